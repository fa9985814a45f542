# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""Random commands to the specification of secure mode, most of them sensible."""

import random
from copy import deepcopy
from dataclasses import replace

from hypothesis import strategies as st

from flchain.chain.spec.masked_clock import is_masked
from flchain.chain.spec.masked_state import ENTITLING, PHASES
from flchain.protocol import calls, events
from flchain.protocol.reverts import Revert
from flchain.protocol.types import Phase
from tests.unit.chain.masked_stage import MASKED_AGENTS, RECORDED, MaskedStage, digest_of
from tests.unit.chain.stage import ADDRESSES, VALIDATORS

COMMANDS = 80
SEEDS = st.integers(0, 2**63)
BUDGET = 3
STRANGE = b"\x07" * 32


class LoggingStage(MaskedStage):
    """A stage that keeps all events."""

    def __init__(self, **changes):
        self.log = []
        super().__init__(**changes)

    def send(self, name, call):
        happened = super().send(name, call)
        self.log += happened
        return happened

    def take_log(self):
        taken, self.log = tuple(self.log), []
        return taken


def make_stage(phase):
    return LoggingStage(privacy_rounds=BUDGET).gather().reach(phase)


def reach_second_sum():
    """Return a stage in ATTEST on a version of which one sum is known."""
    stage = make_stage(Phase.UNMASK)
    stage.time = stage.masked.closes_at
    stage.settle()
    stage.time += 1_000
    return stage.reach(Phase.ATTEST)


STARTS = (make_stage(Phase.SHARES), make_stage(Phase.SUBMIT), reach_second_sum())
LOGS = tuple(stage.take_log() for stage in STARTS)
"""The events that led to each start."""


def fork(seed):
    stage = deepcopy(STARTS[seed % len(STARTS)])
    stage.rng = random.Random(seed)
    stage.batches = {}
    stage.time += 1
    return stage


def draw_name(stage):
    return stage.rng.choice([*MASKED_AGENTS, *MASKED_AGENTS, "v1", "stranger"])


def draw_anchor(stage):
    return stage.record.anchor if stage.rng.random() < 0.95 else STRANGE


def draw_phase(stage):
    return stage.masked.phase if stage.rng.random() < 0.95 else stage.rng.choice(PHASES)


def draw_post(stage):
    name, phase = draw_name(stage), draw_phase(stage)
    digest = digest_of(name, phase) if stage.rng.random() < 0.9 else STRANGE
    return name, calls.PostRecord(1, stage.number, phase, draw_anchor(stage), digest)


def draw_batch(stage):
    if stage.masked.phase not in RECORDED:
        return None
    names = stage.rng.sample(MASKED_AGENTS, stage.rng.randint(0, 8))
    false = [name for name in names if stage.rng.random() < 0.3]
    relayer = stage.rng.choice(["orchestrator", "p1", "p1", "a1"])
    call = stage.build_batch(names, false)
    if stage.rng.random() < 0.1:
        call = replace(call, places=(stage.rng.getrandbits(9),))
    return relayer, call


def draw_void(stage):
    if not stage.batches:
        return None
    number, (event, anchor) = stage.rng.choice(list(stage.batches.items()))
    stage.anchor_of[event.phase] = anchor
    name = stage.rng.choice([n for n in MASKED_AGENTS if event.places[0] >> stage.place(n) & 1])
    return "stranger", stage.build_void(number, name, event)


def draw_attestation(stage):
    source = ENTITLING.get(stage.masked.phase, Phase.SHARES)
    known = [n for n in MASKED_AGENTS if stage.place(n) in stage.masked.get_set(source)]
    held = [name for name in known if stage.rng.random() < 0.9]
    validator = stage.rng.choice([*VALIDATORS, *VALIDATORS, "a1"])
    phase, anchor = draw_phase(stage), draw_anchor(stage)
    if stage.rng.random() < 0.3 and validator != "a1":
        signed = (stage.sign_attestation(validator, stage.bitmap(*held)),)
        return "stranger", calls.AttestRecordsBundle(1, stage.number, phase, anchor, signed)
    call = calls.AttestRecords(1, stage.number, phase, anchor, stage.bitmap(*held))
    return validator, call


def draw_complaint(stage):
    accused = stage.rng.randrange(10)
    anchor = draw_anchor(stage)
    return draw_name(stage), calls.Complain(1, stage.number, anchor, accused, STRANGE)


def draw_penalty(stage):
    place, accused = stage.rng.randrange(8), stage.rng.randrange(8)
    if stage.rng.random() < 0.3:
        return "stranger", calls.PunishComplaint(1, stage.number, place, accused)
    phase = stage.rng.choice(PHASES)
    return "stranger", calls.PunishMissing(1, stage.number, phase, (place,))


def draw_evidence(stage):
    name = stage.rng.choice(MASKED_AGENTS)
    digests = stage.rng.choice([(STRANGE, STRANGE), (STRANGE, b"\x08" * 32)])
    first, second = (stage.anchored(name, one) for one in digests)
    phase = stage.masked.phase
    call = calls.ReportEquivocation(1, stage.number, phase, ADDRESSES[name], first, second)
    return "stranger", call


def draw_round(stage):
    call = calls.Settle(1) if stage.rng.random() < 0.7 else calls.OpenRound(1)
    return "stranger", stage.rng.choice([call, call, calls.PinAnchor(1)])


DRAWS = [draw_post] * 12 + [draw_batch] * 4 + [draw_void] * 2 + [draw_attestation] * 8
DRAWS += [draw_complaint, draw_penalty, draw_penalty, draw_round, draw_round]


def draw_pause(stage):
    draw = stage.rng.random()
    masked = stage.masked
    if masked.opens_at > stage.time and draw < 0.5:
        return masked.opens_at - stage.time
    if draw < 0.05:
        return max(masked.closes_at - stage.time, 0)
    if draw < 0.06 and not is_masked(stage.book):
        return 200
    return stage.rng.choice([0, 0, 0, 0, 1, 3])


def play(seed, draws=DRAWS):
    """Yield the stage after every command, with its events; None if it was refused."""
    stage = fork(seed)
    for _ in range(COMMANDS):
        stage.time += draw_pause(stage)
        before = deepcopy(stage.state) if stage.rng.random() < 0.1 else None
        command = stage.rng.choice(draws)(stage)
        if command is None:
            continue
        try:
            happened = stage.send(*command)
        except Revert:
            assert before is None or before == stage.state, command
            happened = None
        remember(stage, happened)
        yield stage, happened


def remember(stage, happened):
    for event in happened or ():
        if isinstance(event, events.RecordsRelayed):
            before = stage.batches.get(event.batch - 1)
            anchor = stage.state.masked[1].anchor if event.phase == stage.masked.phase else None
            stage.batches[event.batch] = (event, anchor or (before and before[1]) or STRANGE)
        if isinstance(event, events.RoundOpened):
            stage.batches = {}

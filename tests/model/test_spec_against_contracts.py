"""The executable specification and the deployed contracts, given the same random commands.

Every sequence starts from a snapshot of a deployment. After each command the two must have
answered the same: the same events in the same order, or the same error with the same
arguments. After each accepted one the task's views must agree, and at the end all views.

The commands follow from a seed, but for draws: their seeds follow from blocks' hashes, which are
new in every run, since Anvil's blocks hold random numbers. What a failure reports names every call.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

import pytest

from flchain.chain.spec import token
from flchain.chain.spec.state import State, get_book
from flchain.chain.spec.transition import PROCESSORS, process
from flchain.protocol.events import PhaseClosed, RoundSettled
from flchain.protocol.reverts import REVERTS, Revert
from flchain.protocol.types import Mode, Outcome, Phase
from tests.model.actors import ADDRESSES, NAME_OF, SUPPLY, Command, Scene
from tests.model.conftest import GENESIS_TIME, TABLE
from tests.model.contracts import Answer, Codec, Node, Suite, deploy, flatten
from tests.model.generator import draw_blocks, draw_command, draw_pause
from tests.model.starts import STARTS, Start, get_preparation
from tests.model.views import Question, answer, ask_about_all, ask_about_task

SEQUENCES = 400
COMMANDS = 64
THREADS = 2
UNREACHABLE = {
    "ECDSAInvalidSignatureLength": "a permit carries v, r and s, which always make 65 bytes",
    "ERC20InvalidSender": "no call names the sender of tokens without an allowance",
    "InvalidAccountNonce": "signatures are checked against the current nonce",
    "InvalidShortString": "the contracts' names are short",
    "PlacesExhausted": "there are fewer actors than places",
    "StringTooLong": "the contracts' names are short",
}
"""Errors in the ABIs that no call can cause, and why."""
MASKED = {
    *(phase.name for phase in Phase if Phase.JOIN <= phase <= Phase.UNMASK),
    *(Outcome.FINALIZED.name, Outcome.ABORTED_TOO_FEW.name, Outcome.ABORTED_NO_ATTESTERS.name),
    *(Outcome.ABORTED_UNMASK.name, Outcome.ABORTED_DIFFERENCING.name),
}
"""Phases that must have closed in secure mode, and ends of its rounds."""


@dataclass
class Tally:
    """What happened in all sequences."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    finalized: int = 0
    """Sequences in which at least one round was finalised."""
    drawn: int = 0
    """Rounds that a drawn committee finalised."""
    masked: Counter[str] = field(default_factory=Counter)
    """Phases that closed in secure mode, and ends of its rounds."""

    def __iadd__(self, other: "Tally") -> Self:
        self.accepted += other.accepted
        self.refused += other.refused
        self.errors += other.errors
        self.outcomes += other.outcomes
        self.finalized += other.finalized
        self.drawn += other.drawn
        self.masked += other.masked
        return self


class Pair:
    """One scene in the specification and in a deployed suite."""

    def __init__(self, scene: Scene, suite: Suite, tally: Tally, label: str) -> None:
        self.scene, self.suite, self.tally, self.label = scene, suite, tally, label
        self.history: list[str] = []
        scene.find_hash = suite.find_hash
        scene.block = suite.get_pending_number()

    def apply(self, command: Command) -> Answer:
        """Give both the command and compare what they say."""
        sender, call = command
        scene = self.scene
        self.history.append(f"{scene.time}: {NAME_OF[sender]}: {call}")
        chain = self.suite.apply(sender, call, scene.time, scene.block)
        spec = self._process(command)
        assert spec == chain, self.explain("they answer differently", spec, chain)
        scene.block += spec[0] == "events"
        name = type(call).__name__
        self.tally.accepted[name] += spec[0] == "events"
        self.tally.refused[name] += spec[0] == "error"
        if spec[0] == "error":
            self.tally.errors[spec[1][0]] += 1
        elif (task_id := getattr(call, "task_id", None)) is not None:
            self.compare(ask_about_task(scene, task_id))
        return spec

    def _process(self, command: Command) -> Answer:
        sender, call = command
        try:
            events = process(self.scene.state, self.scene.get_env(sender), call)
        except Revert as revert:
            return "error", (type(revert).__name__, flatten(revert.arguments))
        for event in events:
            if isinstance(event, RoundSettled):
                self.count_outcome(event)
            elif isinstance(event, PhaseClosed):
                self.tally.masked[event.phase.name] += 1
        return "events", [
            (event.contract, type(event).__name__, flatten(event)) for event in events
        ]

    def count_outcome(self, event: RoundSettled) -> None:
        """Count how a round ended, and whether a drawn committee finalised it."""
        self.tally.outcomes[event.outcome.name] += 1
        book = get_book(self.scene.state, event.task_id)
        self.tally.drawn += event.outcome == Outcome.FINALIZED and book.round.seats != 0
        self.tally.masked[event.outcome.name] += book.task.mode == Mode.SECURE

    def mine(self, count: int) -> None:
        """Mine empty blocks."""
        if count:
            self.history.append(f"{self.scene.time}: {count} blocks")
            self.scene.time = self.suite.mine(count, self.scene.time)
            self.scene.block += count

    def compare(self, questions: list[Question]) -> None:
        """Compare the answers of views; count the errors that they give."""
        scene, views = self.scene, [view for view, _ in questions]
        answers = self.suite.read_all(views, scene.time, scene.block)
        for question, chain in zip(questions, answers, strict=True):
            spec = answer(question)
            assert spec == chain, self.explain(f"{question[0]} differs", spec, chain)
            if spec[0] == "error":
                self.tally.errors[spec[1][0]] += 1

    def explain(self, what: str, spec: Answer, chain: Answer) -> str:
        """Return what a person needs to find the difference."""
        past = "\n  ".join(self.history[-12:])
        return f"{self.label}: {what}\n spec:  {spec}\n chain: {chain}\n after:\n  {past}"


@dataclass
class Place:
    """A start, reached on one chain: the state there and the snapshot to return to."""

    scene: Scene
    suite: Suite
    snapshot: str


def reach(node: Node, codec: Codec, start: Start) -> Place:
    """Deploy, prepare as the start says, comparing every step, and take a snapshot."""
    config = deploy(node, has_token=start.has_token, time=GENESIS_TIME)
    state = State(config)
    if start.has_token:
        token.mint(state, ADDRESSES["treasury"], SUPPLY)
    scene = Scene(random.Random(0), state, GENESIS_TIME)
    pair = Pair(scene, Suite(node, codec, config), Tally(), f"{start}")
    for command in get_preparation(scene, start):
        pair.apply(command)
    return Place(scene, pair.suite, node.get("evm_snapshot"))


def run_sequence(place: Place, seed: int, tally: Tally) -> None:
    """Run one random sequence from a place, and return the chain to it."""
    scene = place.scene.fork(seed)
    pair = Pair(scene, place.suite, tally, f"sequence {seed}")
    before = tally.outcomes[Outcome.FINALIZED.name]
    for _ in range(COMMANDS):
        scene.time += draw_pause(scene)
        pair.mine(draw_blocks(scene))
        pair.apply(draw_command(scene))
    pair.compare(ask_about_all(scene))
    tally.finalized += tally.outcomes[Outcome.FINALIZED.name] > before
    node = place.suite.node
    assert node.get("evm_revert", place.snapshot)
    place.snapshot = node.get("evm_snapshot")


def run_share(port: int, share: int) -> Tally:
    """Run every sequence of one thread's share on its own chain, start by start."""
    tally, codec = Tally(), Codec()
    with Node(port) as node:
        blank = node.get("evm_snapshot")
        for start in dict.fromkeys(STARTS):
            place = reach(node, codec, start)
            for seed in range(share, SEQUENCES, THREADS):
                if STARTS[seed // THREADS % len(STARTS)] == start:
                    run_sequence(place, seed, tally)
            assert node.get("evm_revert", blank)
            blank = node.get("evm_snapshot")
    return tally


def describe(tally: Tally) -> str:
    """Return how often each command was accepted and refused, and each error was raised."""
    names = [kind.__name__ for kind in PROCESSORS]
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(tally.outcomes.items()))
    masked = ", ".join(f"{count} {name}" for name, count in sorted((+tally.masked).items()))
    return "\n".join(
        [
            f"{SEQUENCES} sequences of {COMMANDS} commands, {tally.finalized} with a final round",
            f"rounds: {outcomes}; {tally.drawn} FINALIZED by a drawn committee",
            f"secure mode, phases closed and ends: {masked}",
            f"{'command':24} {'accepted':>8} {'refused':>8}",
            *(f"{name:24} {tally.accepted[name]:8} {tally.refused[name]:8}" for name in names),
            f"{'error':28} {'raised':>8}",
            *(f"{name:28} {tally.errors[name]:8}  {UNREACHABLE.get(name, '')}" for name in REVERTS),
        ]
    )


@pytest.mark.anvil
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_contracts__random_command_sequences__do_what_the_specification_says(
    start_anvil, record_property
):
    tally = Tally()
    ports = [start_anvil() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for share in pool.map(run_share, ports, range(THREADS)):
            tally += share
    record_property(TABLE, describe(tally))
    accepted, refused = tally.accepted.total(), tally.refused.total()
    assert accepted + refused == SEQUENCES * COMMANDS
    assert accepted >= refused, "at least half of the commands must be accepted"
    assert tally.finalized >= SEQUENCES // 10
    assert tally.drawn >= SEQUENCES // 20
    assert {name for name, count in tally.masked.items() if count} >= MASKED
    assert {kind.__name__ for kind in PROCESSORS if not tally.accepted[kind.__name__]} == set()
    assert {name for name in REVERTS if not tally.errors[name]} == set(UNREACHABLE)

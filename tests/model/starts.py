"""Where sequences start: an empty deployment, or one with everything ready for a round."""

from collections.abc import Iterator
from dataclasses import dataclass

from flchain.chain.spec.masked_clock import get_masked_book
from flchain.chain.spec.rounds import get_phase
from flchain.protocol import calls
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.records import Vote
from flchain.protocol.types import Phase, RoundId, TaskId, Verdict, Wei
from tests.model.actors import ADDRESSES, AGENT_STAKE, FUNDS, NAMES, Command, Scene, build_task
from tests.model.drawing import build_claim, fix_seed
from tests.model.progress import build_proposal, find_lacking, step_forward
from tests.model.task_variants import SECURE

READY_TASKS: tuple[dict[str, object], ...] = (
    {},
    {"max_rounds": 1, "min_survivors": 2, "min_agents": 2},
    {"proposal_bond": Wei(0), "propose_ranks": 2, "max_attempts": 3, "open_delay": 0},
)
DRAWN_TASKS: tuple[dict[str, object], ...] = (
    {"committee": 3, "seat_window": 4, "min_validators": 4},
    {"committee": 7, "seat_window": 4, "min_validators": 4, "max_rounds": 1},
    {},
)
LONELY_TASKS: tuple[dict[str, object], ...] = (
    {"committee": 1, "seat_window": 6, "min_validators": 2, "max_attempts": 1},
    {"committee": 7, "seat_window": 4, "min_validators": 4},
)
SECURE_TASKS: tuple[dict[str, object], ...] = (
    SECURE,
    SECURE | {"privacy_rounds": 1, "finality_delay": 0, "open_delay": 0},
)
ACTIVATION = 30
"""Seconds after which whoever has enrolled is active."""
SILENT_ROUNDS = 3
MOST_STEPS = 400
PROPOSERS = {ADDRESSES[name] for name in ("orchestrator", "p1", "p2")}


@dataclass(frozen=True)
class Start:
    """A deployment with or without a token.

    One that is ready has tasks with active members and budgets. In one with a silent validator,
    v4 has missed three votes that ran out, or three in which it was the committee, and may be
    dismissed. One that is seated is in SEAT, and a draw with a committee came before.
    In one that is revealed a sum of the first task is known, and no model came of it. In one with
    a phase the first task's round is in this phase of the masked part.
    """

    has_token: bool
    tasks: tuple[dict[str, object], ...] = ()
    has_silent: bool = False
    is_seated: bool = False
    is_revealed: bool = False
    phase: Phase = Phase.NONE

    def __hash__(self) -> int:
        return hash(f"{self}")


FRESH, LISTED = Start(has_token=True), Start(has_token=False)
READY = Start(has_token=True, tasks=READY_TASKS)
LISTED_READY = Start(has_token=False, tasks=READY_TASKS)
DRAWN = Start(has_token=True, tasks=DRAWN_TASKS)
SEATED = Start(has_token=True, tasks=DRAWN_TASKS, is_seated=True)
LISTED_DRAWN = Start(has_token=False, tasks=DRAWN_TASKS)
SILENT = Start(has_token=True, tasks=READY_TASKS, has_silent=True)
MASKED = Start(has_token=True, tasks=SECURE_TASKS)
REVEALED = Start(has_token=True, tasks=SECURE_TASKS, is_revealed=True)
CHECKING = Start(has_token=True, tasks=SECURE_TASKS, phase=Phase.CHECK)
UNMASKING = Start(has_token=True, tasks=SECURE_TASKS, phase=Phase.UNMASK)
LISTED_MASKED = Start(has_token=False, tasks=SECURE_TASKS[::-1], is_revealed=True)
LONELY = Start(has_token=True, tasks=LONELY_TASKS, has_silent=True)
STARTS = (
    *(READY, FRESH, SEATED, LISTED_READY, DRAWN, LISTED),
    *(READY, SILENT, SEATED, LONELY, LISTED_DRAWN, SEATED),
    *(MASKED, REVEALED, LISTED_MASKED, REVEALED, CHECKING, UNMASKING),
)
"""One sequence in eighteen starts at each."""


def get_preparation(scene: Scene, start: Start) -> Iterator[Command]:
    """Yield the commands that lead from the deployment to the start of a sequence.

    The scene must have applied each before it asks for the next.
    """
    treasury = ADDRESSES["treasury"]
    if start.has_token:
        for name in NAMES[1:]:
            yield treasury, calls.Transfer(ADDRESSES[name], FUNDS)
    for changes in start.tasks:
        yield treasury, calls.CreateTask(build_task(has_token=start.has_token, **changes))
    for task_id in scene.state.books:
        yield from _fill(scene, task_id)
    scene.time += ACTIVATION
    yield from _play(scene, start)
    if start.has_silent:
        # A penalty must not take its stake below what is needed.
        yield ADDRESSES["v4"], calls.Approve(scene.state.config.addresses.agent_registry, FUNDS)
        yield ADDRESSES["v4"], calls.IncreaseStake(AGENT_STAKE)
        for number in range(1, SILENT_ROUNDS + 1):
            # Two silent votes are not enough.
            yield ADDRESSES["stranger"], calls.Dismiss(TaskId(1), ADDRESSES["v4"])
            is_drawn = start.tasks == LONELY_TASKS
            yield from (_run_lonely_round if is_drawn else _run_silent_round)(
                scene, RoundId(number)
            )


def _play(scene: Scene, start: Start) -> Iterator[Command]:
    """Bring the first task's rounds to where the start is."""
    if start.is_seated:
        yield from _reach_second_draw(scene)
    if start.is_revealed:
        yield from _reveal(scene, TaskId(1))
    if start.phase:
        yield from _reach_phase(scene, TaskId(1), start.phase)


def _reveal(scene: Scene, task_id: TaskId) -> Iterator[Command]:
    """Go on until shares may be released, and let nobody release any."""
    yield from _reach_phase(scene, task_id, Phase.UNMASK)
    scene.time = max(scene.time, get_masked_book(scene.state, task_id).closes_at)
    yield ADDRESSES["stranger"], calls.Settle(task_id)


def _reach_phase(scene: Scene, task_id: TaskId, phase: Phase) -> Iterator[Command]:
    """Do what honest participants would until a phase of the masked part has come."""
    for _ in range(MOST_STEPS):
        if get_masked_book(scene.state, task_id).phase == phase:
            return
        command = step_forward(scene, task_id)
        if command is None:
            scene.time += 2
        else:
            yield command
    raise AssertionError(f"{phase.name} did not come")


def _fill(scene: Scene, task_id: TaskId) -> Iterator[Command]:
    """Register everybody and enrol them, those who propose in the first task alone."""
    while steps := find_lacking(scene, task_id):
        wanted = [step for step in steps if task_id == 1 or step[0] not in PROPOSERS]
        if not wanted:
            return
        yield wanted[0]


def _reach_second_draw(scene: Scene) -> Iterator[Command]:
    """Do what honest participants would until the second draw's proposal is on record."""
    task_id = TaskId(1)
    book = scene.get_book(task_id)
    for _ in range(MOST_STEPS):
        if get_phase(scene.state, task_id, scene.now) == Phase.SEAT and book.draw.beacons:
            return
        # What is sent instead gives the chain another block.
        idle = ADDRESSES["treasury"], calls.Transfer(ADDRESSES["v1"], Wei(1))
        yield step_forward(scene, task_id) or idle
        scene.time += 1
    raise AssertionError("the second draw did not come")


def _run_silent_round(scene: Scene, number: RoundId) -> Iterator[Command]:
    """Finalise a round whose vote is undecided until its window runs out, v4 silent."""
    task_id, task = TaskId(1), scene.get_book(TaskId(1)).task
    yield from _reach_proposal(scene, number)
    proposal_id = scene.get_book(task_id).proposal.proposal_id
    for name, verdict in (("v1", Verdict.APPROVE), ("v2", Verdict.WORSE), ("v3", Verdict.WORSE)):
        yield ADDRESSES[name], calls.CastVote(task_id, number, Vote(proposal_id, verdict))
    scene.time += task.vote_window
    yield ADDRESSES["stranger"], calls.Settle(task_id)


def _reach_proposal(scene: Scene, number: RoundId) -> Iterator[Command]:
    task_id, task = TaskId(1), scene.get_book(TaskId(1)).task
    scene.time = max(scene.time, scene.get_book(task_id).next_open_at)
    yield ADDRESSES["stranger"], calls.OpenRound(task_id)
    yield ADDRESSES["a1"], calls.Submit(task_id, number, scene.draw_digest(), 1)
    scene.time += task.submit_window
    for name in ("v1", "v2", "v3"):
        yield ADDRESSES[name], calls.Attest(task_id, number, encode_bitmap({0}, 1))
    scene.time += task.attest_window
    yield ADDRESSES["orchestrator"], build_proposal(scene, task_id)


def _run_lonely_round(scene: Scene, number: RoundId) -> Iterator[Command]:
    """Seat v4 alone, as nobody else proves a seat, and let it be silent to the end."""
    stranger, task_id = ADDRESSES["stranger"], TaskId(1)
    task = scene.get_book(task_id).task
    yield from _reach_proposal(scene, number)
    yield ADDRESSES["treasury"], calls.Transfer(ADDRESSES["v4"], Wei(1))
    yield fix_seed(scene, task_id) or (stranger, calls.StartSeed(task_id))
    yield stranger, calls.OpenSeats(task_id, number)
    scene.time += 3 * task.seat_window
    place = scene.get_book(task_id).members[ADDRESSES["v4"]].place
    claim = build_claim(scene, task_id, place)
    assert claim is not None
    yield stranger, calls.ProveSeats(task_id, number, (claim,))
    for _ in range(2):
        scene.time = scene.get_book(task_id).ballot.vote_close
        yield stranger, calls.Settle(task_id)
    scene.time += ACTIVATION

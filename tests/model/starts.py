"""Where sequences start: an empty deployment, or one with everything ready for a round."""

from collections.abc import Iterator
from dataclasses import dataclass

from flchain.protocol import calls
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.records import Vote
from flchain.protocol.types import RoundId, TaskId, Verdict, Wei
from tests.model.actors import ADDRESSES, FUNDS, NAMES, Command, Scene, build_task
from tests.model.progress import build_proposal, find_lacking

READY_TASKS: tuple[dict[str, object], ...] = (
    {},
    {"max_rounds": 1, "min_survivors": 2, "min_agents": 2},
    {"proposal_bond": Wei(0), "propose_ranks": 2, "max_attempts": 3, "open_delay": 0},
)
ACTIVATION = 30
"""Seconds after which whoever has enrolled is active."""
SILENT_ROUNDS = 3
PROPOSERS = {ADDRESSES[name] for name in ("orchestrator", "p1", "p2")}


@dataclass(frozen=True)
class Start:
    """A deployment with or without a token.

    One that is ready has tasks with active members and budgets; in one with a silent
    validator, v4 has missed three votes that ran out, and may be dismissed.
    """

    has_token: bool
    is_ready: bool
    has_silent: bool = False


FRESH, READY = Start(has_token=True, is_ready=False), Start(has_token=True, is_ready=True)
LISTED, LISTED_READY = Start(has_token=False, is_ready=False), Start(has_token=False, is_ready=True)
SILENT = Start(has_token=True, is_ready=True, has_silent=True)
STARTS = (READY, FRESH, READY, LISTED_READY, READY, LISTED, READY, SILENT)
"""One sequence in eight starts at each."""


def get_preparation(scene: Scene, start: Start) -> Iterator[Command]:
    """Yield the commands that lead from the deployment to the start of a sequence.

    The scene must have applied each before it asks for the next.
    """
    treasury = ADDRESSES["treasury"]
    if start.has_token:
        for name in NAMES[1:]:
            yield treasury, calls.Transfer(ADDRESSES[name], FUNDS)
    if start.is_ready:
        for changes in READY_TASKS:
            yield treasury, calls.CreateTask(build_task(has_token=start.has_token, **changes))
        for task_id in scene.state.books:
            yield from _fill(scene, task_id)
        scene.time += ACTIVATION
    if start.has_silent:
        for number in range(1, SILENT_ROUNDS + 1):
            # Two silent votes are not enough.
            yield ADDRESSES["stranger"], calls.Dismiss(TaskId(1), ADDRESSES["v4"])
            yield from _run_silent_round(scene, RoundId(number))


def _fill(scene: Scene, task_id: TaskId) -> Iterator[Command]:
    """Register everybody and enrol them, those who propose in the first task alone."""
    while steps := find_lacking(scene, task_id):
        wanted = [step for step in steps if task_id == 1 or step[0] not in PROPOSERS]
        if not wanted:
            return
        yield wanted[0]


def _run_silent_round(scene: Scene, number: RoundId) -> Iterator[Command]:
    """Finalise a round whose vote is undecided until its window runs out, v4 silent."""
    task_id, task = TaskId(1), scene.get_book(TaskId(1)).task
    yield ADDRESSES["stranger"], calls.OpenRound(task_id)
    yield ADDRESSES["a1"], calls.Submit(task_id, number, scene.draw_digest(), 1)
    scene.time += task.submit_window
    for name in ("v1", "v2", "v3"):
        yield ADDRESSES[name], calls.Attest(task_id, number, encode_bitmap({0}, 1))
    scene.time += task.attest_window
    yield ADDRESSES["orchestrator"], build_proposal(scene, task_id)
    proposal_id = scene.get_book(task_id).proposal.proposal_id
    for name, verdict in (("v1", Verdict.APPROVE), ("v2", Verdict.WORSE), ("v3", Verdict.WORSE)):
        yield ADDRESSES[name], calls.CastVote(task_id, number, Vote(proposal_id, verdict))
    scene.time += task.vote_window
    yield ADDRESSES["stranger"], calls.Settle(task_id)

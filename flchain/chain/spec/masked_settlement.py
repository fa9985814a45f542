"""What `settle` does while a round is in its masked part."""

from dataclasses import replace

from flchain.chain.spec.masked_clock import (
    close_phase,
    get_masked_doom,
    get_masked_phase,
)
from flchain.chain.spec.masked_state import MaskedBook
from flchain.chain.spec.state import Book, Env, State
from flchain.protocol.events import Event
from flchain.protocol.records import Submissions
from flchain.protocol.reverts import WrongPhase
from flchain.protocol.types import Outcome, Phase, TaskId, Timestamp


def settle_masked(state: State, env: Env, task_id: TaskId) -> tuple[Outcome, list[Event]]:
    """Record that the newest phase is over: what made the round fail, or NONE and what follows.

    After UNMASK the survivors go over to the round, and PROPOSE opens. Raises WrongPhase while
    a window is open.
    """
    book, masked = state.books[task_id], state.masked[task_id]
    phase = get_masked_phase(masked, env.time)
    if phase != Phase.SETTLE:
        raise WrongPhase(Phase.SETTLE, phase)
    doom = get_masked_doom(book, masked)
    if doom != Outcome.NONE:
        masked.closed, masked.phase = masked.phase, Phase.ENDED
        return doom, []
    events = close_phase(state, env, task_id)
    if masked.phase == Phase.ENDED:
        adopt(book, masked, env.time)
    return doom, events


def adopt(book: Book, masked: MaskedBook, now: Timestamp) -> None:
    """Let the survivors be those of the round: places take the part of submissions."""
    survivors = masked.get_set(Phase.ATTEST)
    held = masked.attestations[Phase.ATTEST].items()
    book.submissions = Submissions(masked.commitment, len(masked.holders))
    book.attestations = {validator: places & survivors for validator, places in held}
    book.round = replace(book.round, submit_close=now, attest_close=now)

"""The clock of the masked part of a round: from JOIN to UNMASK, phase by phase.

A phase closes when its window is over or when everybody entitled has acted. What closes it fixes
the set that it decided, the set's root, and when the next phase opens.
"""

from collections import Counter

from flchain.chain.spec.masked_state import ATTESTED, ENTITLING, MaskedBook
from flchain.chain.spec.state import Book, Env, State, get_book, get_round_key
from flchain.protocol.digests import (
    WORD,
    compute_anchor,
    compute_majority,
    pack_bits,
    set_root,
    start_chain,
)
from flchain.protocol.events import Event, PhaseClosed
from flchain.protocol.records import MaskedRound, Task
from flchain.protocol.types import (
    ZERO_DIGEST,
    Bitmap,
    Digest,
    Mode,
    Outcome,
    Phase,
    Seconds,
    TaskId,
    Timestamp,
)

LAST_WINDOWS = 10
"""Length of the last proposing window in secure mode, whose sum is revealed already."""
MAX_REVEALED = 2
"""Most sums that are revealed for one model version."""
FINAL_PHASES = (Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)
"""Phases that wait for finality of what came before."""


def get_masked_book(state: State, task_id: TaskId) -> MaskedBook:
    """Return the masked part of a task; a blank one if it has none."""
    return state.masked.get(task_id) or MaskedBook()


def is_masked(book: Book) -> bool:
    """Return whether the newest round is live and in its masked part."""
    is_live = book.round.round != 0 and book.round.outcome == Outcome.NONE
    return is_live and book.task.mode == Mode.SECURE and book.round.attest_close == 0


def get_masked_phase(masked: MaskedBook, time: Timestamp) -> Phase:
    """Return the phase of a live masked part; SETTLE once its window is over."""
    return masked.phase if time < masked.closes_at else Phase.SETTLE


def get_window(task: Task, phase: Phase) -> Seconds:
    """Return the longest duration of a masked phase."""
    return {
        Phase.JOIN: task.join_window,
        Phase.SHARES: task.shares_window,
        Phase.CHECK: task.check_window,
        Phase.SUBMIT: task.submit_window,
        Phase.ATTEST: task.attest_window,
        Phase.UNMASK: task.unmask_window,
    }[phase]


def compute_schedule(task: Task, masked: MaskedBook) -> Timestamp:
    """Return when the newest phase closes if nothing brings that forward."""
    return Timestamp(masked.opens_at + get_window(task, masked.phase))


def get_anchor(masked: MaskedBook, env: Env) -> Digest:
    """Return what records of the newest phase name; zero in the block that opened the way to it."""
    if masked.is_pinned:
        return masked.anchor
    if masked.round == 0 or env.block <= masked.close_block:
        return ZERO_DIGEST
    return compute_anchor(masked.anchor, env.get_block_hash(masked.close_block))


def get_masked(state: State, env: Env, task_id: TaskId) -> MaskedRound:
    """Return the masked part of a task's newest round."""
    masked = get_masked_book(state, task_id)
    return MaskedRound(
        round=masked.round,
        phase=masked.phase,
        opens_at=masked.opens_at,
        closes_at=masked.closes_at,
        close_block=masked.close_block,
        expected=masked.expected,
        count=masked.count,
        attesters=len(masked.attestations.get(masked.phase, ())),
        places=len(masked.holders),
        batches=len(masked.batches),
        spent=masked.spent,
        revealed_version=masked.revealed_version,
        revealed=masked.revealed,
        commitment=masked.commitment,
        anchor=get_anchor(masked, env),
    )


def get_masked_set(state: State, task_id: TaskId, phase: Phase) -> Bitmap:
    """Return the places that a phase of the newest round has decided so far, 224 per word."""
    masked = get_masked_book(state, task_id)
    return pack_places(masked, masked.get_set(phase))


def pack_places(masked: MaskedBook, places: frozenset[int]) -> Bitmap:
    """Return a set of places as words of 224 bits, enough of them for all places."""
    return Bitmap(pack_bits(places, len(masked.holders), WORD))


def count_attested(book: Book, masked: MaskedBook) -> frozenset[int]:
    """Return the places whose blobs a majority of validators attested, of those with a record."""
    attestations = masked.attestations.get(masked.phase, {})
    holders = Counter(place for held in attestations.values() for place in held)
    needed = compute_majority(book.round.validators)
    attested = frozenset(place for place, count in holders.items() if count >= needed)
    return attested & masked.get_set(ENTITLING[masked.phase])


def is_differencing(book: Book, masked: MaskedBook, survivors: frozenset[int]) -> bool:
    """Return whether this sum, beside those known for its version, would tell on too few.

    At most two sums per version; each of the two differences is empty or has min_survivors.
    """
    if masked.revealed == 0 or masked.revealed_version != book.round.parent_version:
        return False
    first = masked.revealed_set
    sizes = (len(survivors - first), len(first - survivors))
    is_apart = all(size == 0 or size >= book.task.min_survivors for size in sizes)
    return masked.revealed == MAX_REVEALED or not is_apart


def get_masked_doom(book: Book, masked: MaskedBook) -> Outcome:
    """Return what makes the round fail if the newest phase closes now; NONE if nothing does."""
    if masked.phase in ATTESTED:
        return _get_attested_doom(book, masked)
    if masked.phase == Phase.UNMASK:
        is_short = masked.count < book.task.threshold
        return Outcome.ABORTED_UNMASK if is_short else Outcome.NONE
    is_first = masked.phase == Phase.JOIN
    needed = book.task.min_agents if is_first else book.task.min_survivors
    return Outcome.ABORTED_TOO_FEW if masked.count < needed else Outcome.NONE


def _get_attested_doom(book: Book, masked: MaskedBook) -> Outcome:
    attesters = len(masked.attestations.get(masked.phase, ()))
    if attesters < compute_majority(book.round.validators):
        return Outcome.ABORTED_NO_ATTESTERS
    kept = count_attested(book, masked)
    if len(kept) < book.task.min_survivors:
        return Outcome.ABORTED_TOO_FEW
    if masked.phase == Phase.ATTEST and is_differencing(book, masked, kept):
        return Outcome.ABORTED_DIFFERENCING
    return Outcome.NONE


def open_masked(state: State, env: Env, task_id: TaskId) -> None:
    """Start JOIN of a round that opens now; nobody needs finality or a block's hash for it."""
    book = get_book(state, task_id)
    masked = state.masked.setdefault(task_id, MaskedBook())
    key = get_round_key(state.config, task_id, book.round.round)
    masked.round, masked.phase, masked.closed = book.round.round, Phase.JOIN, Phase.NONE
    masked.opens_at, masked.close_block = env.time, env.block
    masked.closes_at = compute_schedule(book.task, masked)
    masked.anchor, masked.is_pinned, masked.commitment = key, True, start_chain(key)
    masked.expected, masked.count, masked.relayed_at = book.round.members, 0, None
    masked.sets, masked.relayed, masked.attestations = {}, {}, {}
    masked.batches, masked.complaints, masked.punished = [], set(), set()


def close_phase(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Fix what the newest phase decided and go on to the next; UNMASK ends the masked part."""
    book, masked = state.books[task_id], state.masked[task_id]
    phase = masked.phase
    if phase in ATTESTED:
        masked.sets[phase] = count_attested(book, masked)
    members = masked.get_set(phase)
    key = get_round_key(state.config, task_id, masked.round)
    root = set_root(key, phase, masked.commitment, pack_places(masked, members))
    if phase in {Phase.JOIN, Phase.CHECK}:
        masked.expected = len(members)
    if phase == Phase.ATTEST:
        reveal(book, masked, members)
    masked.closed, masked.phase = phase, _get_next(phase)
    _start_window(book.task, masked, env, root)
    return [PhaseClosed(task_id, masked.round, phase, root, len(members), masked.opens_at)]


def _get_next(phase: Phase) -> Phase:
    return Phase.ENDED if phase == Phase.UNMASK else Phase(phase + 1)


def _start_window(task: Task, masked: MaskedBook, env: Env, root: Digest) -> None:
    phase = masked.phase
    pause = task.finality_delay if phase in FINAL_PHASES else 0
    masked.opens_at = Timestamp(env.time + pause)
    masked.close_block, masked.anchor, masked.is_pinned = env.block, root, False
    masked.relayed_at = None
    is_over = phase == Phase.ENDED
    masked.closes_at = masked.opens_at if is_over else compute_schedule(task, masked)
    if phase not in ATTESTED:
        masked.commitment, masked.count = start_chain(root), 0


def reveal(book: Book, masked: MaskedBook, survivors: frozenset[int]) -> None:
    """Count the sum of `survivors` as revealed: UNMASK opens, and shares may be released."""
    version = book.round.parent_version
    if masked.revealed == 0 or masked.revealed_version != version:
        masked.revealed_version, masked.revealed = version, 0
        masked.revealed_set = survivors
    masked.revealed += 1
    masked.spent += 1


def complete_phase(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Close the newest phase early once everybody entitled has acted.

    After a batch, the window stays open for as long as a direct record needs. A phase that makes
    the round fail, and the last, are left to `settle`.
    """
    book, masked = state.books[task_id], state.masked[task_id]
    if masked.phase in ATTESTED:
        is_complete = len(masked.attestations[masked.phase]) == book.round.validators
    else:
        is_complete = masked.count == masked.expected
    if not is_complete:
        return []
    earliest = env.time
    if masked.relayed_at is not None:
        earliest = Timestamp(max(env.time, masked.relayed_at + book.task.forced_window))
    masked.closes_at = Timestamp(min(masked.closes_at, earliest))
    can_go_on = masked.closes_at <= env.time and masked.phase != Phase.UNMASK
    if not can_go_on or get_masked_doom(book, masked) != Outcome.NONE:
        return []
    return close_phase(state, env, task_id)

"""What draws leave behind in storage: weights to come, lists of seats, tallies of audits.

As in `traces`, such words depend on the order in which things happened. They are kept in the way
of `WeightBook.sol`, `Committees.sol` and `Evidence.sol`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from flchain.chain.spec.state import Book, State, compute_epoch, get_round_key
from flchain.chain.spec.votes import get_weight
from flchain.protocol.events import DrawKeySet, Event, RoundOpened, SeatsProven, VoteAudited
from flchain.protocol.records import DrawKey
from flchain.protocol.types import Digest, TaskId, Timestamp

SEATS_PER_WORD = 8
_SEAT_BITS = 32
_PLACES_SHIFT = 8
_AUDIT_TYPES = (
    *("bytes32", "uint32", "uint8", "address", "bytes32", "bytes32"),
    *("uint32", "uint8"),
)


@dataclass(frozen=True, slots=True)
class Weights:
    """The stored weight of validators: active, and of up to two epochs to come."""

    active: int = 0
    epoch_a: int = 0
    weight_a: int = 0
    epoch_b: int = 0
    weight_b: int = 0
    at_opening: int = 0


@dataclass
class DrawTraces:
    """The words that depend on the history of draws, by task."""

    weights: dict[TaskId, Weights] = field(default_factory=dict)
    seats: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    audits: dict[tuple[TaskId, Digest], int] = field(default_factory=dict)
    _keys: dict[TaskId, dict[int, DrawKey]] = field(default_factory=dict)

    def apply(self, state: State, time: Timestamp, events: Sequence[Event]) -> None:
        """Follow the events of one call; `state` is the state after it."""
        epoch = compute_epoch(state.config, time)
        for event in events:
            self._follow(event, state, epoch)
        for task_id in {event.task_id for event in events if hasattr(event, "task_id")}:
            self._follow_rests(task_id, state.books[task_id], epoch)

    def _follow(self, event: Event, state: State, epoch: int) -> None:
        match event:
            case DrawKeySet():
                self._set_key(event, state, epoch)
            case RoundOpened() if state.books[event.task_id].task.committee:
                folded = _fold(self._get_weights(event.task_id), epoch)
                self.weights[event.task_id] = replace(folded, at_opening=folded.active)
            case SeatsProven():
                self._store_seats(event.task_id, state.books[event.task_id].seats)
            case VoteAudited():
                self._audit(event, state)

    def _get_weights(self, task_id: TaskId) -> Weights:
        return self.weights.get(task_id, Weights())

    def _set_key(self, event: DrawKeySet, state: State, epoch: int) -> None:
        """Add the weight of a new key, or remove that of one that is gone."""
        folded = _fold(self._get_weights(event.task_id), epoch)
        known = self._keys.setdefault(event.task_id, {})
        if event.active_from:
            folded = _add(folded, event.active_from, event.weight)
        else:
            gone = known.get(event.place, DrawKey())
            folded = _remove(folded, gone.active_from, gone.weight, epoch)
        known[event.place] = state.books[event.task_id].draw_keys[event.place]
        self.weights[event.task_id] = folded

    def _follow_rests(self, task_id: TaskId, book: Book, epoch: int) -> None:
        """Move the weight of validators that rest, place by place, as no event says so."""
        known = self._keys.get(task_id, {})
        for place, now in sorted(book.draw_keys.items()):
            before = known[place]
            if before.penalties != now.penalties:
                folded = _fold(self._get_weights(task_id), epoch)
                removed = _remove(folded, before.active_from, before.weight, epoch)
                self.weights[task_id] = _add(removed, now.active_from, now.weight)
            known[place] = now

    def _store_seats(self, task_id: TaskId, seats: Sequence[int]) -> None:
        for start in range(0, len(seats), SEATS_PER_WORD):
            lanes = enumerate(seats[start : start + SEATS_PER_WORD])
            word = sum(seat << _SEAT_BITS * lane for lane, seat in lanes)
            self.seats[task_id, start // SEATS_PER_WORD] = word

    def _audit(self, event: VoteAudited, state: State) -> None:
        """Add an auditor's seats to the lowest byte, and the bit of its place above it."""
        finding, book = event.finding, state.books[event.task_id]
        key = get_round_key(state.config, event.task_id, finding.round)
        draw = (book.draw.round, book.draw.attempt)
        values = (finding.round, finding.attempt, finding.validator, finding.claimed, finding.found)
        named = Digest(keccak(encode(_AUDIT_TYPES, (key, *values, *draw))))
        place = book.members[event.auditor].place
        tally = self.audits.get((event.task_id, named), 0) | 1 << _PLACES_SHIFT + place
        self.audits[event.task_id, named] = tally + get_weight(book, event.auditor)


def _fold(weights: Weights, epoch: int) -> Weights:
    """Move the weight whose epoch has come to the active one."""
    w = weights
    for _ in range(2):
        if w.epoch_a == 0 or w.epoch_a > epoch:
            return w
        active = w.active + w.weight_a
        w = Weights(active, w.epoch_b, w.weight_b, at_opening=w.at_opening)
    return w


def _add(w: Weights, active_from: int, weight: int) -> Weights:
    if w.epoch_a in {0, active_from}:
        return replace(w, epoch_a=active_from, weight_a=w.weight_a + weight)
    return replace(w, epoch_b=active_from, weight_b=w.weight_b + weight)


def _remove(w: Weights, active_from: int, weight: int, epoch: int) -> Weights:
    if active_from <= epoch:
        return replace(w, active=w.active - weight)
    if w.epoch_a == active_from:
        return replace(w, weight_a=w.weight_a - weight)
    return replace(w, weight_b=w.weight_b - weight)

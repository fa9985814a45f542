"""What rounds leave behind in storage, beyond what the contracts still need.

The round manager reuses its slots from round to round, and counts members so that nothing is
iterated over. Such words depend on the order in which things happened. They are kept here, call
by call, in the way of `Populations.sol`, `Attestations.sol` and `Tallies.sol`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from flchain.chain.proofs.draw_traces import DrawTraces
from flchain.chain.proofs.lanes import ATTESTERS_SHIFT, add_lanes, fill_lanes
from flchain.chain.proofs.masked_traces import MaskedTraces, is_adoption
from flchain.chain.spec.rounds import get_survivors
from flchain.chain.spec.state import State, compute_epoch
from flchain.chain.spec.votes import get_weight
from flchain.protocol.digests import LANES, WORD, compute_majority, pack_bits
from flchain.protocol.events import (
    BlobsAttested,
    Event,
    MemberEnrolled,
    MemberLeft,
    PhaseClosed,
    ProposalSubmitted,
    ProposalVoided,
    RoundOpened,
    VoteCast,
)
from flchain.protocol.types import Address, Role, TaskId, Timestamp, Verdict

_LANE_MASK = (1 << LANES) - 1
_WORD_MASK = (1 << WORD) - 1
_COUNT_MASK = 0xFF


@dataclass(frozen=True, slots=True)
class Pending:
    """The stored population of one role: active members, and up to two epochs to come."""

    active: int = 0
    epoch_a: int = 0
    count_a: int = 0
    epoch_b: int = 0
    count_b: int = 0


@dataclass
class Traces:
    """The words that depend on history, by task."""

    populations: dict[tuple[TaskId, int], Pending] = field(default_factory=dict)
    counters: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    attested: dict[tuple[TaskId, Address, int], int] = field(default_factory=dict)
    rejects: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    draws: DrawTraces = field(default_factory=DrawTraces)
    masked: MaskedTraces = field(default_factory=MaskedTraces)
    voting: set[TaskId] = field(default_factory=set)
    """Tasks whose ballot says that it is live; one that ended its round goes on saying so."""
    _kinds: dict[TaskId, int] = field(default_factory=dict)

    def apply(self, state: State, time: Timestamp, events: Sequence[Event]) -> None:
        """Follow the events of one call; `state` is the state after it."""
        epoch = compute_epoch(state.config, time)
        for event in events:
            self._follow_members(event, state, epoch)
            self._follow_round(event, state)
            if isinstance(event, PhaseClosed) and is_adoption(event):
                self._adopt(event, state)
        self.draws.apply(state, time, events)
        self.masked.apply(state, events)

    def _follow_members(self, event: Event, state: State, epoch: int) -> None:
        if isinstance(event, MemberEnrolled):
            self._enrol(event, epoch)
        elif isinstance(event, MemberLeft):
            self._leave(event, state, epoch)
        elif isinstance(event, RoundOpened):
            for role in (Role.AGENT, Role.VALIDATOR):
                key = (event.task_id, int(role))
                self.populations[key] = _fold(self._get_population(key), epoch)

    def _follow_round(self, event: Event, state: State) -> None:
        if isinstance(event, BlobsAttested):
            self._attest(event)
        elif isinstance(event, ProposalSubmitted):
            self._kinds[event.task_id] = 0
            self.voting.add(event.task_id)
        elif isinstance(event, ProposalVoided | RoundOpened):
            self.voting.discard(event.task_id)
        elif isinstance(event, VoteCast) and event.vote.verdict == Verdict.WRONG:
            self._reject(event, get_weight(state.books[event.task_id], event.validator))

    def _get_population(self, key: tuple[TaskId, int]) -> Pending:
        return self.populations.get(key, Pending())

    def _enrol(self, event: MemberEnrolled, epoch: int) -> None:
        key = (event.task_id, event.role)
        folded = _fold(self._get_population(key), epoch)
        self.populations[key] = _add(folded, event.active_from)

    def _leave(self, event: MemberLeft, state: State, epoch: int) -> None:
        member = state.books[event.task_id].members[event.member]
        key = (event.task_id, member.role)
        folded = _fold(self._get_population(key), epoch)
        self.populations[key] = _remove(folded, member.active_from, epoch)

    def _attest(self, event: BlobsAttested) -> None:
        tag = int(event.round)
        for number, bits in enumerate(event.bitmap):
            key = (event.task_id, event.validator, number)
            stored = self.attested.get(key, 0)
            is_tagged = stored >> WORD == tag
            known = stored & _WORD_MASK if is_tagged else 0
            self.attested[key] = tag << WORD | known | bits
            is_first = not is_tagged and number == 0
            if bits or is_first:
                self._count(event.task_id, tag, number * (WORD // LANES), bits, is_first=is_first)

    def _count(self, task_id: TaskId, tag: int, group: int, bits: int, *, is_first: bool) -> None:
        """Raise the counters of the submissions in `bits`, group by group up to the last."""
        while True:
            key = (task_id, group)
            word = add_lanes(self.counters.get(key, 0), tag, bits & _LANE_MASK)
            self.counters[key] = word + (int(is_first) << ATTESTERS_SHIFT)
            is_first, bits, group = False, bits >> LANES, group + 1
            if not bits:
                return

    def _adopt(self, event: PhaseClosed, state: State) -> None:
        """Write the survivors of a masked round into the counters, as if just enough held each."""
        book = state.books[event.task_id]
        needed, attesters = compute_majority(book.round.validators), len(book.attestations)
        words = pack_bits(get_survivors(book), book.submissions.count, LANES)
        for group, lanes in enumerate(words):
            count = 0 if group else attesters
            self.counters[event.task_id, group] = fill_lanes(event.round, lanes, needed, count)

    def _reject(self, event: VoteCast, weight: int) -> None:
        """Count an objection of so many seats: its hash with the count in the lowest byte."""
        answer = (event.vote.reason, event.vote.counter_content_id)
        objection = int.from_bytes(keccak(encode(("uint8", "bytes32"), answer)), "big")
        kinds = self._kinds.get(event.task_id, 0)
        for kind in range(kinds):
            key = (event.task_id, kind)
            if (self.rejects[key] ^ objection) >> 8 == 0:
                self.rejects[key] += weight
                return
        self.rejects[event.task_id, kinds] = (objection & ~_COUNT_MASK) + weight
        self._kinds[event.task_id] = kinds + 1


def _fold(population: Pending, epoch: int) -> Pending:
    """Move the members whose epoch has come to the active ones."""
    p = population
    if p.count_a and p.epoch_a <= epoch:
        p = Pending(p.active + p.count_a, p.epoch_b, p.count_b)
    if p.count_a and p.epoch_a <= epoch:
        p = replace(p, active=p.active + p.count_a, epoch_a=0, count_a=0)
    return p


def _add(p: Pending, active_from: int) -> Pending:
    if not p.count_a or p.epoch_a == active_from:
        return replace(p, epoch_a=active_from, count_a=p.count_a + 1)
    return replace(p, epoch_b=active_from, count_b=p.count_b + 1)


def _remove(p: Pending, active_from: int, epoch: int) -> Pending:
    if active_from <= epoch:
        return replace(p, active=p.active - 1)
    if p.count_b and p.epoch_b == active_from:
        left = p.count_b - 1
        return replace(p, count_b=left, epoch_b=p.epoch_b if left else 0)
    if p.count_a == 1:
        return Pending(p.active, p.epoch_b, p.count_b)
    return replace(p, count_a=p.count_a - 1)

"""The masked part of one round so far, read off the chain's events and nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from flchain.chain.base import LoggedEvent
from flchain.protocol.digests import chain_record, compute_majority, decode_bitmap, start_chain
from flchain.protocol.events import (
    AgentMissed,
    AnchorPinned,
    ComplaintPosted,
    Event,
    PhaseClosed,
    RecordPosted,
    RecordsAttested,
    RecordsRelayed,
    RecordVoided,
    UpdateSubmitted,
)
from flchain.protocol.records import SignedRecord, Task
from flchain.protocol.types import ZERO_DIGEST, Address, Digest, Phase, Seconds

ATTESTED = {Phase.CHECK: Phase.SHARES, Phase.ATTEST: Phase.SUBMIT}
"""Whose blobs the validators attest in a phase."""


@dataclass(frozen=True)
class Relayed:
    """A relayed record: who signs for it, in which batch, and under which anchor."""

    phase: Phase
    batch: int
    anchor: Digest
    place: int
    record: SignedRecord


@dataclass(frozen=True)
class MaskedPast:
    """What agents and validators recorded; `validators` is how many were active at opening."""

    validators: int
    records: Mapping[Phase, Mapping[int, Digest]] = field(default_factory=dict)
    """Digests in force by phase and place."""
    posted: Mapping[Phase, frozenset[int]] = field(default_factory=dict)
    """Places whose record is direct, which no batch and nobody else can change."""
    attested: Mapping[Phase, Mapping[Address, frozenset[int]]] = field(default_factory=dict)
    closed: Mapping[Phase, PhaseClosed] = field(default_factory=dict)
    anchors: Mapping[Phase, Digest] = field(default_factory=dict)
    batches: tuple[RecordsRelayed, ...] = ()
    complaints: tuple[ComplaintPosted, ...] = ()
    voided: frozenset[tuple[int, int]] = frozenset()
    """Batch and place of removed records."""
    missed: frozenset[Address] = frozenset()
    """Agents that have paid for a missed step of this round."""
    trail: tuple[LoggedEvent, ...] = ()
    """All events of the masked part, in order: what the others follow from."""

    def get_records(self, phase: Phase) -> Mapping[int, Digest]:
        """Return the digests in force of a phase, by place."""
        return self.records.get(phase, {})

    def is_relayed(self, phase: Phase, place: int) -> bool:
        """Return whether the digest in force at a place came with a batch."""
        return place in self.get_records(phase).keys() - self.get_posted(phase)

    def get_set(self, phase: Phase) -> frozenset[int]:
        """Return the places with a record, in CHECK and ATTEST those that a majority attested."""
        if phase not in ATTESTED:
            return frozenset(self.get_records(phase))
        held = Counter(place for each in self.attested.get(phase, {}).values() for place in each)
        needed = compute_majority(self.validators)
        enough = {place for place, count in held.items() if count >= needed}
        return frozenset(enough & self.get_records(ATTESTED[phase]).keys())

    def get_relayed(self, phase: Phase) -> frozenset[int]:
        """Return the places that a batch filled, voided or not, and no direct record has."""
        added = (decode_bitmap(each.added) for each in self.batches if each.phase is phase)
        return frozenset().union(*added) - self.get_posted(phase)

    def get_posted(self, phase: Phase) -> frozenset[int]:
        """Return the places with a direct record."""
        return self.posted.get(phase, frozenset())

    def compute_waited(self, task: Task, members: int) -> Seconds:
        """Return the sum of the windows of agents' phases that ran out before all had acted."""
        expected = {
            Phase.JOIN: (task.join_window, members),
            Phase.SHARES: (task.shares_window, len(self.get_set(Phase.JOIN))),
            Phase.SUBMIT: (task.submit_window, len(self.get_set(Phase.CHECK))),
            Phase.UNMASK: (task.unmask_window, len(self.get_set(Phase.CHECK))),
        }
        return Seconds(
            sum(
                window
                for phase, (window, count) in expected.items()
                if self.has_closed(phase) and len(self.get_records(phase)) < count
            )
        )

    def has_closed(self, phase: Phase) -> bool:
        """Return whether a phase has decided its set."""
        return phase in self.closed


def apply_masked(past: MaskedPast, event: Event) -> MaskedPast:
    """Return the past with one more event; others than those of masked rounds change nothing."""
    match event:
        case RecordPosted():
            posted = past.get_posted(event.phase) | {event.place}
            past = replace(past, posted={**past.posted, event.phase: posted})
            return _record(past, event.phase, {event.place: event.digest})
        case RecordsRelayed():
            batches = (*past.batches, event)
            return _record(replace(past, batches=batches), event.phase, _list_added(event))
        case RecordVoided():
            kept = {p: d for p, d in past.get_records(event.phase).items() if p != event.place}
            voided = past.voided | {(event.batch, event.place)}
            return replace(past, records={**past.records, event.phase: kept}, voided=voided)
        case RecordsAttested():
            return _attest(past, event)
        case _:
            return _note(past, event)


def build_submissions(
    past: MaskedPast, event: RecordPosted | RecordsRelayed | RecordVoided, holders: tuple[str, ...]
) -> tuple[UpdateSubmitted, ...]:
    """Return the masked vectors as a round's submissions, numbered by place, without weights."""
    found = sorted(past.get_records(Phase.SUBMIT).items())
    return tuple(
        UpdateSubmitted(event.task_id, event.round, Address(holders[place]), place, digest, 0)
        for place, digest in found
    )


def chain_events(round_key: Digest, events: Iterable[Event]) -> int:
    """Return the rolling commitment, 240 bits, after a round's records, as the contract has it."""
    return reduce(chain_event, events, start_chain(round_key))


def chain_event(commitment: int, event: Event) -> int:
    """Return the rolling commitment after one more event."""
    match event:
        case RecordPosted():
            return chain_record(commitment, event.agent, event.digest, event.place)
        case RecordsRelayed():
            return chain_record(commitment, event.relayer, event.root, event.batch)
        case RecordVoided():
            return chain_record(commitment, event.agent, ZERO_DIGEST, event.place)
        case PhaseClosed() if event.phase not in {Phase.SHARES, Phase.SUBMIT}:
            return start_chain(event.set_root)
        case _:
            return commitment


def list_relayed(past: MaskedPast, anchors: Mapping[Phase, Digest]) -> list[Relayed]:
    """Return the relayed records that count or counted, batch by batch; `anchors` adds to known."""
    known = {**anchors, **past.anchors}
    return [
        Relayed(batch.phase, batch.batch, known[batch.phase], place, record)
        for batch in past.batches
        if batch.phase in known
        for place, record in list_entries(batch)
    ]


def find_relayed(past: MaskedPast, phase: Phase, place: int, anchor: Digest) -> Relayed | None:
    """Return the record that a batch put at a place, voided or not: no second one ever does."""
    for batch in past.batches:
        if batch.phase is phase and place in decode_bitmap(batch.added):
            record = dict(list_entries(batch))[place]
            return Relayed(phase, batch.batch, anchor, place, record)
    return None


def list_entries(event: RecordsRelayed) -> list[tuple[int, SignedRecord]]:
    """Return the records of a batch that count, with their places."""
    added = decode_bitmap(event.added)
    places = sorted(decode_bitmap(event.places))
    return [entry for entry in zip(places, event.records, strict=True) if entry[0] in added]


def _list_added(event: RecordsRelayed) -> dict[int, Digest]:
    return {place: record.digest for place, record in list_entries(event)}


def _record(past: MaskedPast, phase: Phase, added: Mapping[int, Digest]) -> MaskedPast:
    return replace(past, records={**past.records, phase: {**past.get_records(phase), **added}})


def _attest(past: MaskedPast, event: RecordsAttested) -> MaskedPast:
    known = past.attested.get(event.phase, {})
    held = known.get(event.validator, frozenset()) | decode_bitmap(event.bitmap)
    attested = {**past.attested, event.phase: {**known, event.validator: held}}
    return replace(past, attested=attested)


def _note(past: MaskedPast, event: Event) -> MaskedPast:
    match event:
        case PhaseClosed():
            return replace(past, closed={**past.closed, event.phase: event})
        case AnchorPinned():
            return replace(past, anchors={**past.anchors, event.phase: event.anchor})
        case ComplaintPosted():
            return replace(past, complaints=(*past.complaints, event))
        case AgentMissed():
            return replace(past, missed=past.missed | {event.agent})
        case _:
            return past

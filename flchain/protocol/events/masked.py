"""Events of the masked rounds: records, batches, complaints, attestations and penalties."""

from dataclasses import dataclass

from flchain.protocol.events.base import Event
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import Address, Bitmap, Digest, Phase, RoundId, TaskId, Timestamp


class _MaskedRoundsEvent(Event):
    __slots__ = ()
    contract = "MaskedRounds"


@dataclass(frozen=True, slots=True)
class PhaseClosed(_MaskedRoundsEvent):
    """A phase closed with a set of so many places; the next opens at `opens_at`."""

    task_id: TaskId
    round: RoundId
    phase: Phase
    set_root: Digest
    members: int
    opens_at: Timestamp


@dataclass(frozen=True, slots=True)
class AnchorPinned(_MaskedRoundsEvent):
    """What records of a phase name is fixed."""

    task_id: TaskId
    round: RoundId
    phase: Phase
    anchor: Digest


@dataclass(frozen=True, slots=True)
class RecordPosted(_MaskedRoundsEvent):
    """An agent recorded a digest itself."""

    task_id: TaskId
    round: RoundId
    agent: Address
    phase: Phase
    place: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class RecordsRelayed(_MaskedRoundsEvent):
    """A batch was recorded; of its `places` those in `added` count, and make up the root."""

    task_id: TaskId
    round: RoundId
    relayer: Address
    phase: Phase
    batch: int
    root: Digest
    places: Bitmap
    added: Bitmap
    records: tuple[SignedRecord, ...]


@dataclass(frozen=True, slots=True)
class RecordVoided(_MaskedRoundsEvent):
    """A relayed record was false and is removed."""

    task_id: TaskId
    round: RoundId
    agent: Address
    phase: Phase
    batch: int
    place: int


@dataclass(frozen=True, slots=True)
class ComplaintPosted(_MaskedRoundsEvent):
    """An agent says that the one at place `accused` sent it a bad share."""

    task_id: TaskId
    round: RoundId
    agent: Address
    accused: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class RecordsAttested(_MaskedRoundsEvent):
    """A validator attested blobs; `bitmap` holds the new places alone."""

    task_id: TaskId
    round: RoundId
    validator: Address
    phase: Phase
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class AgentMissed(_MaskedRoundsEvent):
    """An agent owes the penalty of a round: for a missed step, in CHECK for a failed complaint."""

    task_id: TaskId
    round: RoundId
    agent: Address
    phase: Phase


@dataclass(frozen=True, slots=True)
class EquivocationPunished(_MaskedRoundsEvent):
    """An agent was punished for two records in one phase."""

    task_id: TaskId
    agent: Address
    offence: Digest
    reporter: Address

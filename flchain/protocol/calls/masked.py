"""Calls of the masked rounds: records, batches, complaints, attestations and evidence."""

from dataclasses import dataclass

from flchain.protocol.calls.base import Call
from flchain.protocol.records import AnchoredRecord, SignedAttestation, SignedRecord
from flchain.protocol.types import Address, Bitmap, Digest, Phase, RoundId, TaskId


class _MaskedRoundsCall(Call):
    __slots__ = ()
    contract = "MaskedRounds"


@dataclass(frozen=True, slots=True)
class PostRecord(_MaskedRoundsCall):
    """Record the sender's digest in JOIN, SHARES, SUBMIT or UNMASK; replaces a relayed one."""

    function = "postRecord"
    task_id: TaskId
    round: RoundId
    phase: Phase
    anchor: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class RelayRecords(_MaskedRoundsCall):
    """Record the digests that agents signed, with the sender's stake as bond.

    `records` has one entry for each place of the bitmap `places`, lowest first.
    """

    function = "relayRecords"
    task_id: TaskId
    round: RoundId
    phase: Phase
    anchor: Digest
    places: Bitmap
    records: tuple[SignedRecord, ...]


@dataclass(frozen=True, slots=True)
class VoidRecord(_MaskedRoundsCall):
    """Remove a false record of a batch; its relayer is punished, a tenth goes to the sender."""

    function = "voidRecord"
    task_id: TaskId
    round: RoundId
    batch: int
    anchor: Digest
    place: int
    record: SignedRecord
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PinAnchor(_MaskedRoundsCall):
    """Fix what records of the newest phase name; anybody may send this."""

    function = "pinAnchor"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Complain(_MaskedRoundsCall):
    """Say that the agent at a place sent a bad share; `digest` is that of the evidence."""

    function = "complain"
    task_id: TaskId
    round: RoundId
    anchor: Digest
    accused: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class AttestRecords(_MaskedRoundsCall):
    """Attest in CHECK or ATTEST that the sender holds and verified the blobs of these places."""

    function = "attestRecords"
    task_id: TaskId
    round: RoundId
    phase: Phase
    anchor: Digest
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class AttestRecordsBundle(_MaskedRoundsCall):
    """Record up to 32 signed attestations; skips those that add nothing."""

    function = "attestRecordsBundle"
    task_id: TaskId
    round: RoundId
    phase: Phase
    anchor: Digest
    attestations: tuple[SignedAttestation, ...]


@dataclass(frozen=True, slots=True)
class PunishMissing(_MaskedRoundsCall):
    """Burn the penalty of up to 32 agents that missed their step in a phase that is over."""

    function = "punishMissing"
    task_id: TaskId
    round: RoundId
    phase: Phase
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PunishComplaint(_MaskedRoundsCall):
    """Burn the penalty of who accused a sender that the validators kept."""

    function = "punishComplaint"
    task_id: TaskId
    round: RoundId
    accuser: int
    accused: int


@dataclass(frozen=True, slots=True)
class ReportEquivocation(_MaskedRoundsCall):
    """Punish an agent that signed two records for one phase; a tenth goes to the reporter."""

    function = "reportEquivocation"
    task_id: TaskId
    round: RoundId
    phase: Phase
    agent: Address
    first: AnchoredRecord
    second: AnchoredRecord

"""Calls of the round manager and of its source of seeds: tasks, rounds, draws, votes."""

from dataclasses import dataclass

from flchain.protocol.calls.base import Call
from flchain.protocol.records import (
    Audit,
    Content,
    SeatProof,
    SignedAttestation,
    SignedVote,
    Task,
    Vote,
    VrfKey,
    VrfProof,
)
from flchain.protocol.types import Address, Bitmap, Digest, RoundId, Signature, TaskId, Timestamp


class _RoundManagerCall(Call):
    __slots__ = ()
    contract = "RoundManager"


class _ChainSeedsCall(Call):
    __slots__ = ()
    contract = "ChainSeeds"


@dataclass(frozen=True, slots=True)
class CreateTask(_RoundManagerCall):
    """Create a task; the sender becomes its sponsor. Returns the task's id."""

    function = "createTask"
    task: Task


@dataclass(frozen=True, slots=True)
class CloseTask(_RoundManagerCall):
    """Close a task; its sponsor gets what is left of the budget."""

    function = "closeTask"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Enrol(_RoundManagerCall):
    """Enrol the sender under one role; it counts from two epochs later."""

    function = "enrol"
    task_id: TaskId
    role: int


@dataclass(frozen=True, slots=True)
class EnrolWithSig(_RoundManagerCall):
    """Enrol `member` on its signature."""

    function = "enrolWithSig"
    member: Address
    task_id: TaskId
    role: int
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class LeaveTask(_RoundManagerCall):
    """Leave a task; duties in the live round remain."""

    function = "leaveTask"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class LeaveTaskWithSig(_RoundManagerCall):
    """Leave a task on the member's signature."""

    function = "leaveTaskWithSig"
    member: Address
    task_id: TaskId
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class Endorse(_RoundManagerCall):
    """Attest that the sender holds the policy and version 0."""

    function = "endorse"
    task_id: TaskId
    policy_digest: Digest
    initial_state: Digest


@dataclass(frozen=True, slots=True)
class EndorseWithSig(_RoundManagerCall):
    """Endorse a task on the validator's signature."""

    function = "endorseWithSig"
    validator: Address
    task_id: TaskId
    policy_digest: Digest
    initial_state: Digest
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class RefreshDrawKey(_RoundManagerCall):
    """Copy a validator's key and stake anew for later draws; anybody may send this."""

    function = "refreshDrawKey"
    task_id: TaskId
    validator: Address


@dataclass(frozen=True, slots=True)
class Dismiss(_RoundManagerCall):
    """Remove a member that lapsed, or a validator that missed three votes."""

    function = "dismiss"
    task_id: TaskId
    member: Address


@dataclass(frozen=True, slots=True)
class OpenRound(_RoundManagerCall):
    """Open the task's next round; anybody may send this. Returns its number."""

    function = "openRound"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Submit(_RoundManagerCall):
    """Record the digest and the weight of the sender's update."""

    function = "submit"
    task_id: TaskId
    round: RoundId
    digest: Digest
    weight: int


@dataclass(frozen=True, slots=True)
class SubmitWithSig(_RoundManagerCall):
    """Record `agent`'s update on its signature."""

    function = "submitWithSig"
    agent: Address
    task_id: TaskId
    round: RoundId
    digest: Digest
    weight: int
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class Attest(_RoundManagerCall):
    """Attest that the sender holds, verified and will serve these blobs."""

    function = "attest"
    task_id: TaskId
    round: RoundId
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class AttestBundle(_RoundManagerCall):
    """Record up to 32 signed attestations; skips those that add nothing."""

    function = "attestBundle"
    task_id: TaskId
    round: RoundId
    attestations: tuple[SignedAttestation, ...]


@dataclass(frozen=True, slots=True)
class Propose(_RoundManagerCall):
    """Propose the round's result; locks the bond. Returns the proposal's id."""

    function = "propose"
    task_id: TaskId
    round: RoundId
    content: Content


@dataclass(frozen=True, slots=True)
class OpenSeats(_RoundManagerCall):
    """Fix the seed of the newest draw; anybody may send this."""

    function = "openSeats"
    task_id: TaskId
    round: RoundId


@dataclass(frozen=True, slots=True)
class ProveSeats(_RoundManagerCall):
    """Enter the seats that up to 32 proofs win; anybody may send this."""

    function = "proveSeats"
    task_id: TaskId
    round: RoundId
    proofs: tuple[SeatProof, ...]


@dataclass(frozen=True, slots=True)
class ReportDoubleVote(_RoundManagerCall):
    """Punish a validator that signed two different votes; a tenth goes to the reporter."""

    function = "reportDoubleVote"
    task_id: TaskId
    round: RoundId
    attempt: int
    first: SignedVote
    second: SignedVote


@dataclass(frozen=True, slots=True)
class AuditVote(_RoundManagerCall):
    """Say that an earlier vote's tag is not what its work gives."""

    function = "auditVote"
    task_id: TaskId
    finding: Audit


@dataclass(frozen=True, slots=True)
class CastVote(_RoundManagerCall):
    """Vote on the live proposal."""

    function = "vote"
    task_id: TaskId
    round: RoundId
    ballot_paper: Vote


@dataclass(frozen=True, slots=True)
class VoteBundle(_RoundManagerCall):
    """Record up to 32 signed votes; skips those already counted."""

    function = "voteBundle"
    task_id: TaskId
    round: RoundId
    votes: tuple[SignedVote, ...]


@dataclass(frozen=True, slots=True)
class Settle(_RoundManagerCall):
    """Record what time and counts have decided; anybody may send this."""

    function = "settle"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class StartSeed(_ChainSeedsCall):
    """Fix the seed of a draw that has no beacon; anybody may send this."""

    function = "start"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class RevealSeed(_ChainSeedsCall):
    """Fix the seed of a draw from a beacon's output; anybody may send this."""

    function = "reveal"
    task_id: TaskId
    rank: int
    key: VrfKey
    proof: VrfProof

"""Every call that a person can send: one frozen dataclass per contract function.

A field's position is the argument's position in the ABI, so an adapter can encode any call.
`…WithSig` calls carry the EIP-712 signature of the account that their first field names.
What only the round manager may call is in `flchain.protocol.reserved`.
"""

from dataclasses import dataclass
from typing import ClassVar

from flchain.protocol.records import Content, SignedAttestation, SignedVote, Task, Vote
from flchain.protocol.types import (
    Address,
    Bitmap,
    Digest,
    RoundId,
    Signature,
    TaskId,
    Timestamp,
    Wei,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `function` on `contract`; the fields are its arguments."""

    contract: ClassVar[str]
    function: ClassVar[str]


class _AgentRegistryCall(Call):
    __slots__ = ()
    contract = "AgentRegistry"


class _RoundManagerCall(Call):
    __slots__ = ()
    contract = "RoundManager"


class _RewardDistributorCall(Call):
    __slots__ = ()
    contract = "RewardDistributor"


class _TokenCall(Call):
    __slots__ = ()
    contract = "LocalToken"


@dataclass(frozen=True, slots=True)
class Register(_AgentRegistryCall):
    """Register the sender; the stake is pulled from its allowance."""

    function = "register"
    roles: int
    stake: Wei
    keys_digest: Digest


@dataclass(frozen=True, slots=True)
class RegisterWithPermit(_AgentRegistryCall):
    """Register the sender, with an EIP-2612 permit as the allowance."""

    function = "registerWithPermit"
    roles: int
    stake: Wei
    keys_digest: Digest
    permit_deadline: Timestamp
    v: int
    r: bytes
    s: bytes


@dataclass(frozen=True, slots=True)
class RegisterWithSig(_AgentRegistryCall):
    """Register `agent`, whose stake it is, on its signature."""

    function = "registerWithSig"
    agent: Address
    roles: int
    stake: Wei
    keys_digest: Digest
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class IncreaseStake(_AgentRegistryCall):
    """Add to the sender's stake from its allowance."""

    function = "increaseStake"
    amount: Wei


@dataclass(frozen=True, slots=True)
class IncreaseStakeWithSig(_AgentRegistryCall):
    """Add to `agent`'s stake, from its tokens, on its signature."""

    function = "increaseStakeWithSig"
    agent: Address
    amount: Wei
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class BeginUnbonding(_AgentRegistryCall):
    """Give up the sender's roles and start to unbond its stake."""

    function = "beginUnbonding"


@dataclass(frozen=True, slots=True)
class BeginUnbondingWithSig(_AgentRegistryCall):
    """Start to unbond `agent`'s stake on its signature."""

    function = "beginUnbondingWithSig"
    agent: Address
    deadline: Timestamp
    signature: Signature


@dataclass(frozen=True, slots=True)
class Withdraw(_AgentRegistryCall):
    """Pay unbonded stake to `agent`; anybody may send this."""

    function = "withdraw"
    agent: Address


@dataclass(frozen=True, slots=True)
class SetAllowed(_AgentRegistryCall):
    """Put an account on the allow-list or take it off; governance only."""

    function = "setAllowed"
    agent: Address
    allowed: bool


@dataclass(frozen=True, slots=True)
class SetSuspended(_AgentRegistryCall):
    """Suspend an identity or lift its suspension; governance only."""

    function = "setSuspended"
    agent: Address
    suspended: bool


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
class Fund(_RewardDistributorCall):
    """Add to a task's budget from the sender's allowance."""

    function = "fund"
    task_id: TaskId
    amount: Wei


@dataclass(frozen=True, slots=True)
class Claim(_RewardDistributorCall):
    """Pay one reward to `account`; anybody may send this."""

    function = "claim"
    task_id: TaskId
    round: RoundId
    index: int
    account: Address
    amount: Wei
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Sweep(_RewardDistributorCall):
    """Return unclaimed rewards to the task after claiming has ended."""

    function = "sweep"
    task_id: TaskId
    round: RoundId


@dataclass(frozen=True, slots=True)
class Approve(_TokenCall):
    """Let `spender` pull up to `value` of the sender's tokens."""

    function = "approve"
    spender: Address
    value: Wei


@dataclass(frozen=True, slots=True)
class Permit(_TokenCall):
    """Approve on the owner's EIP-2612 signature."""

    function = "permit"
    owner: Address
    spender: Address
    value: Wei
    deadline: Timestamp
    v: int
    r: bytes
    s: bytes


@dataclass(frozen=True, slots=True)
class Transfer(_TokenCall):
    """Send tokens."""

    function = "transfer"
    to: Address
    value: Wei


@dataclass(frozen=True, slots=True)
class TransferFrom(_TokenCall):
    """Send `sender`'s tokens out of the allowance that it gave."""

    function = "transferFrom"
    sender: Address
    to: Address
    value: Wei

"""Every event of the contracts: one frozen dataclass each, fields in ABI order.

The token's own Transfer and Approval are left out: no rule of the protocol reads them.
"""

from dataclasses import dataclass
from typing import ClassVar

from flchain.protocol.records import Content, Task, Vote
from flchain.protocol.types import (
    Address,
    Bitmap,
    Bps,
    Digest,
    Epoch,
    Outcome,
    RoundId,
    TaskId,
    Timestamp,
    Version,
    Wei,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that `contract` recorded; the class has the event's name."""

    contract: ClassVar[str]


class _AgentRegistryEvent(Event):
    __slots__ = ()
    contract = "AgentRegistry"


class _RoundManagerEvent(Event):
    __slots__ = ()
    contract = "RoundManager"


class _ModelRegistryEvent(Event):
    __slots__ = ()
    contract = "ModelRegistry"


class _RewardDistributorEvent(Event):
    __slots__ = ()
    contract = "RewardDistributor"


@dataclass(frozen=True, slots=True)
class AgentRegistered(_AgentRegistryEvent):
    """An identity registered."""

    agent: Address
    roles: int
    stake: Wei
    active_from: Epoch
    keys_digest: Digest


@dataclass(frozen=True, slots=True)
class StakeIncreased(_AgentRegistryEvent):
    """Stake was added."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class UnbondingStarted(_AgentRegistryEvent):
    """An identity gave up its roles and waits for its stake."""

    agent: Address
    amount: Wei
    unbonds_at: Timestamp


@dataclass(frozen=True, slots=True)
class StakeWithdrawn(_AgentRegistryEvent):
    """Unbonded stake was paid out."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class BondLocked(_AgentRegistryEvent):
    """Stake was locked as the bond of a proposal."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class BondReleased(_AgentRegistryEvent):
    """A bond was given back."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class AgentSlashed(_AgentRegistryEvent):
    """A bond was burned."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class AllowanceSet(_AgentRegistryEvent):
    """Governance changed the allow-list."""

    agent: Address
    is_allowed: bool


@dataclass(frozen=True, slots=True)
class SuspensionSet(_AgentRegistryEvent):
    """An identity was suspended, or its suspension was lifted."""

    agent: Address
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class TaskCreated(_RoundManagerEvent):
    """A task was created."""

    task_id: TaskId
    sponsor: Address
    task: Task


@dataclass(frozen=True, slots=True)
class TaskEndorsed(_RoundManagerEvent):
    """A validator accepted a task's policy and initial state."""

    task_id: TaskId
    validator: Address


@dataclass(frozen=True, slots=True)
class TaskClosed(_RoundManagerEvent):
    """The sponsor closed a task."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class MemberEnrolled(_RoundManagerEvent):
    """An identity enrolled."""

    task_id: TaskId
    member: Address
    role: int
    active_from: Epoch


@dataclass(frozen=True, slots=True)
class MemberLeft(_RoundManagerEvent):
    """A member left, or was dismissed."""

    task_id: TaskId
    member: Address
    is_dismissed: bool


@dataclass(frozen=True, slots=True)
class RoundOpened(_RoundManagerEvent):
    """A round opened."""

    task_id: TaskId
    round: RoundId
    parent_version: Version
    members: int
    validators: int


@dataclass(frozen=True, slots=True)
class UpdateSubmitted(_RoundManagerEvent):
    """An agent submitted; `index` is its place in the round."""

    task_id: TaskId
    round: RoundId
    agent: Address
    index: int
    digest: Digest
    weight: int


@dataclass(frozen=True, slots=True)
class BlobsAttested(_RoundManagerEvent):
    """A validator attested blobs; `bitmap` holds the new ones alone."""

    task_id: TaskId
    round: RoundId
    validator: Address
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class ProposalSubmitted(_RoundManagerEvent):
    """A proposal was recorded."""

    task_id: TaskId
    round: RoundId
    proposer: Address
    attempt: int
    rank: int
    proposal_id: Digest
    content_id: Digest
    survivor_root: Digest
    content: Content


@dataclass(frozen=True, slots=True)
class VoteCast(_RoundManagerEvent):
    """A vote was counted."""

    task_id: TaskId
    round: RoundId
    validator: Address
    attempt: int
    vote: Vote


@dataclass(frozen=True, slots=True)
class VoteExtended(_RoundManagerEvent):
    """An undecided vote was extended."""

    task_id: TaskId
    round: RoundId
    attempt: int
    vote_close: Timestamp


@dataclass(frozen=True, slots=True)
class ProposalVoided(_RoundManagerEvent):
    """A proposal is void and the next attempt begins."""

    task_id: TaskId
    round: RoundId
    attempt: int
    is_proven_wrong: bool


@dataclass(frozen=True, slots=True)
class RoundSettled(_RoundManagerEvent):
    """A round ended."""

    task_id: TaskId
    round: RoundId
    outcome: Outcome
    next_open_at: Timestamp


@dataclass(frozen=True, slots=True)
class ModelPublished(_ModelRegistryEvent):
    """A model version was published; `round` is 0 for version 0."""

    task_id: TaskId
    version: Version
    round: RoundId
    state_digest: Digest
    proposal_id: Digest


@dataclass(frozen=True, slots=True)
class TaskFunded(_RewardDistributorEvent):
    """Somebody added to a task's budget."""

    task_id: TaskId
    sender: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class TaskRefunded(_RewardDistributorEvent):
    """A closed task's budget was paid back."""

    task_id: TaskId
    to: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class RewardsPublished(_RewardDistributorEvent):
    """A round's rewards were published."""

    task_id: TaskId
    round: RoundId
    root: Digest
    total: Wei
    payout_bps: Bps
    claimable_from: Timestamp


@dataclass(frozen=True, slots=True)
class RewardClaimed(_RewardDistributorEvent):
    """A reward was paid."""

    task_id: TaskId
    round: RoundId
    account: Address
    index: int
    amount: Wei


@dataclass(frozen=True, slots=True)
class RewardsSwept(_RewardDistributorEvent):
    """Unclaimed rewards returned to the task."""

    task_id: TaskId
    round: RoundId
    amount: Wei

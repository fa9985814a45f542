"""Events of the model registry and of the reward distributor."""

from dataclasses import dataclass

from flchain.protocol.events.base import Event
from flchain.protocol.types import Address, Bps, Digest, RoundId, TaskId, Timestamp, Version, Wei


class _ModelRegistryEvent(Event):
    __slots__ = ()
    contract = "ModelRegistry"


class _RewardDistributorEvent(Event):
    __slots__ = ()
    contract = "RewardDistributor"


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

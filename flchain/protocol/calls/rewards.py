"""Calls of the reward distributor and of the token."""

from dataclasses import dataclass

from flchain.protocol.calls.base import Call
from flchain.protocol.types import Address, Digest, RoundId, TaskId, Timestamp, Wei


class _RewardDistributorCall(Call):
    __slots__ = ()
    contract = "RewardDistributor"


class _TokenCall(Call):
    __slots__ = ()
    contract = "LocalToken"


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

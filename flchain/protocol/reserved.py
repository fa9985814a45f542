"""The calls that the contracts accept from the round manager alone.

Nobody sends them in the ordinary course; they are here because anybody may try, and because
the round manager's own steps are made of them.
"""

from dataclasses import dataclass

from flchain.protocol.calls import Call
from flchain.protocol.types import Address, Bps, Digest, RoundId, Seconds, TaskId, Version, Wei


@dataclass(frozen=True, slots=True)
class AddDuty(Call):
    """Record a duty of `agent`; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "addDuty"
    agent: Address
    role: int


@dataclass(frozen=True, slots=True)
class RemoveDuty(Call):
    """Record the end of a duty; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "removeDuty"
    agent: Address


@dataclass(frozen=True, slots=True)
class LockBond(Call):
    """Lock part of `agent`'s stake; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "lockBond"
    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class ReleaseBond(Call):
    """Give a bond back; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "releaseBond"
    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class SlashBond(Call):
    """Burn a bond; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "slashBond"
    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class PunishOffence(Call):
    """Take stake for an offence; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "punishOffence"
    agent: Address
    reporter: Address


@dataclass(frozen=True, slots=True)
class PunishSilence(Call):
    """Burn the fixed penalty for a silent seat; reserved for the round manager."""

    contract = "AgentRegistry"
    function = "punishSilence"
    agent: Address


@dataclass(frozen=True, slots=True)
class PublishInitial(Call):
    """Publish version 0 of a task; reserved for the round manager."""

    contract = "ModelRegistry"
    function = "publishInitial"
    task_id: TaskId
    state_digest: Digest


@dataclass(frozen=True, slots=True)
class PublishVersion(Call):
    """Publish the next version; reserved for the round manager."""

    contract = "ModelRegistry"
    function = "publish"
    task_id: TaskId
    round: RoundId
    state_digest: Digest
    proposal_id: Digest


@dataclass(frozen=True, slots=True)
class Reserve(Call):
    """Reserve budget for a round; reserved for the round manager."""

    contract = "RewardDistributor"
    function = "reserve"
    task_id: TaskId
    amount: Wei


@dataclass(frozen=True, slots=True)
class Release(Call):
    """Return the live round's reserve; reserved for the round manager."""

    contract = "RewardDistributor"
    function = "release"
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class PublishRewards(Call):
    """Publish a round's rewards; reserved for the round manager."""

    contract = "RewardDistributor"
    function = "publish"
    task_id: TaskId
    round: RoundId
    root: Digest
    total: Wei
    payout_bps: Bps
    claim_delay: Seconds
    claim_window: Seconds


@dataclass(frozen=True, slots=True)
class Refund(Call):
    """Pay back a closed task's budget; reserved for the round manager."""

    contract = "RewardDistributor"
    function = "refund"
    task_id: TaskId
    to: Address


@dataclass(frozen=True, slots=True)
class OpenMasked(Call):
    """Start the masked part of a round; reserved for the round manager."""

    contract = "MaskedRounds"
    function = "open"
    task_id: TaskId
    round: RoundId
    members: int
    validators: int
    parent_version: Version


@dataclass(frozen=True, slots=True)
class SettleMasked(Call):
    """Record that a masked phase is over; reserved for the round manager."""

    contract = "MaskedRounds"
    function = "settle"
    task_id: TaskId

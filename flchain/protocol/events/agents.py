"""Events of the agent registry: identities, stake and keys."""

from dataclasses import dataclass

from flchain.protocol.events.base import Event
from flchain.protocol.types import Address, Digest, Epoch, Timestamp, Wei


class _AgentRegistryEvent(Event):
    __slots__ = ()
    contract = "AgentRegistry"


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
    """Stake was burned."""

    agent: Address
    amount: Wei


@dataclass(frozen=True, slots=True)
class KeyRotated(_AgentRegistryEvent):
    """An identity has another VRF key."""

    agent: Address
    keys_digest: Digest


@dataclass(frozen=True, slots=True)
class GuardianSet(_AgentRegistryEvent):
    """An identity named, or removed, who may recover its key."""

    agent: Address
    guardian: Address


@dataclass(frozen=True, slots=True)
class RecoveryAnnounced(_AgentRegistryEvent):
    """A guardian announced a key; a zero digest says that it is cancelled."""

    agent: Address
    keys_digest: Digest
    executable_from: Timestamp


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

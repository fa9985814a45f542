"""Calls of the agent registry: identities, stake and keys."""

from dataclasses import dataclass

from flchain.protocol.calls.base import Call
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.types import Address, Digest, Signature, Timestamp, Wei


class _AgentRegistryCall(Call):
    __slots__ = ()
    contract = "AgentRegistry"


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
class RegisterWithKey(_AgentRegistryCall):
    """Register the sender with a VRF key that it proves to hold."""

    function = "registerWithKey"
    roles: int
    stake: Wei
    key: VrfKey
    proof: VrfProof


@dataclass(frozen=True, slots=True)
class RotateKey(_AgentRegistryCall):
    """Give the sender another VRF key; identity, stake and duties stay."""

    function = "rotateKey"
    key: VrfKey
    proof: VrfProof


@dataclass(frozen=True, slots=True)
class SetGuardian(_AgentRegistryCall):
    """Name who may recover the sender's VRF key; the zero address for nobody."""

    function = "setGuardian"
    guardian: Address


@dataclass(frozen=True, slots=True)
class AnnounceRecovery(_AgentRegistryCall):
    """Announce another VRF key for `agent`, whose guardian the sender is."""

    function = "announceRecovery"
    agent: Address
    key: VrfKey
    proof: VrfProof


@dataclass(frozen=True, slots=True)
class CancelRecovery(_AgentRegistryCall):
    """Cancel what the sender's guardian has announced."""

    function = "cancelRecovery"


@dataclass(frozen=True, slots=True)
class ExecuteRecovery(_AgentRegistryCall):
    """Put an announced key into force when it is due; anybody may send this."""

    function = "executeRecovery"
    agent: Address


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

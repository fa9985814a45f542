"""VRF keys: registered with a proof, rotated, and recovered by a guardian.

An identity, its stake and its duties outlive its key. A guardian who knows another key can put it
into force after the unbonding period, in which the identity may cancel that.
"""

from dataclasses import replace

from flchain.chain.spec.agents import (
    get_agent,
    register,
    verify_deposit,
    verify_keys,
    verify_registered,
    verify_registration,
)
from flchain.chain.spec.state import Env, KeyHolder, Recovery, State
from flchain.crypto.vrf_hints import hash_key, verify_hinted
from flchain.protocol.calls import (
    AnnounceRecovery,
    CancelRecovery,
    ExecuteRecovery,
    Register,
    RegisterWithKey,
    RotateKey,
    SetGuardian,
)
from flchain.protocol.events import Event, GuardianSet, KeyRotated, RecoveryAnnounced
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.reverts import NotGuardian, NothingAnnounced, RecoveryNotDue
from flchain.protocol.sortition import possession_message
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Timestamp


def get_guardian(state: State, agent: Address) -> Address:
    """Return who may recover an identity's key; the zero address for nobody."""
    return state.guardians.get(agent, ZERO_ADDRESS)


def get_recovery(state: State, agent: Address) -> tuple[Digest, Timestamp]:
    """Return the key that a guardian has announced, and from when it may be put into force."""
    pending = state.recoveries.get(agent, Recovery())
    return pending.keys_digest, pending.executable_from


def verify_possession(state: State, agent: Address, key: VrfKey, proof: VrfProof) -> Digest:
    """Return a key's digest. Raises VrfProofInvalid unless its holder proves it for `agent`."""
    registry = state.config.addresses.agent_registry
    verify_hinted(key, possession_message(state.config.chain_id, registry, agent), proof)
    return hash_key(key)


def verify_key(state: State, agent: Address, digest: Digest) -> None:
    """Raise unless a registered `agent` may get a key that it has proven."""
    verify_registered(state, agent)
    verify_keys(state, agent, digest, is_proven=True)


def verify_recovery(state: State, env: Env, agent: Address) -> Digest:
    """Return the announced key's digest. Raises unless one is announced, and due."""
    pending = state.recoveries.get(agent)
    if pending is None:
        raise NothingAnnounced(agent)
    if env.time < pending.executable_from:
        raise RecoveryNotDue(pending.executable_from)
    return pending.keys_digest


def set_key(state: State, agent: Address, digest: Digest) -> list[Event]:
    """Put a proven key into force."""
    state.agents[agent] = replace(get_agent(state, agent), keys_digest=digest)
    state.keys[digest] = KeyHolder(agent, is_proven=True)
    return [KeyRotated(agent, digest)]


def process_register_with_key(state: State, env: Env, call: RegisterWithKey) -> list[Event]:
    """Register the sender with a VRF key, which it needs to be drawn into a committee."""
    digest = verify_possession(state, env.sender, call.key, call.proof)
    plain = Register(call.roles, call.stake, digest)
    verify_registration(state, env.sender, plain, is_proven=True)
    verify_deposit(state, env.sender, call.stake)
    return register(state, env, env.sender, plain, is_proven=True)


def process_rotate_key(state: State, env: Env, call: RotateKey) -> list[Event]:
    """Give the sender another VRF key."""
    digest = verify_possession(state, env.sender, call.key, call.proof)
    verify_key(state, env.sender, digest)
    return set_key(state, env.sender, digest)


def process_set_guardian(state: State, env: Env, call: SetGuardian) -> list[Event]:
    """Name who may recover the sender's key; what was announced is void."""
    verify_registered(state, env.sender)
    state.guardians[env.sender] = call.guardian
    state.recoveries.pop(env.sender, None)
    return [GuardianSet(env.sender, call.guardian)]


def process_announce_recovery(state: State, env: Env, call: AnnounceRecovery) -> list[Event]:
    """Announce another key for an identity whose guardian the sender is.

    It replaces what was announced before, and the wait begins anew.
    """
    if get_guardian(state, call.agent) != env.sender:
        raise NotGuardian(call.agent, env.sender)
    digest = verify_possession(state, call.agent, call.key, call.proof)
    executable_from = Timestamp(env.time + state.config.unbonding_period)
    state.recoveries[call.agent] = Recovery(digest, executable_from)
    return [RecoveryAnnounced(call.agent, digest, executable_from)]


def process_cancel_recovery(state: State, env: Env, _call: CancelRecovery) -> list[Event]:
    """Cancel what the sender's guardian has announced."""
    if env.sender not in state.recoveries:
        raise NothingAnnounced(env.sender)
    del state.recoveries[env.sender]
    return [RecoveryAnnounced(env.sender, ZERO_DIGEST, Timestamp(0))]


def process_execute_recovery(state: State, env: Env, call: ExecuteRecovery) -> list[Event]:
    """Put an announced key into force when it is due; anybody may send this."""
    digest = verify_recovery(state, env, call.agent)
    verify_key(state, call.agent, digest)
    del state.recoveries[call.agent]
    return set_key(state, call.agent, digest)

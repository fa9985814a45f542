"""Identities: registration, roles, stake, unbonding, bonds and slashing.

An identity's id is the account that it registered with. Without a token there is no stake:
then only accounts on the allow-list may register, and a slash suspends until governance
lifts it.
"""

from dataclasses import replace
from typing import TypeAlias

from flchain.chain.spec import token
from flchain.chain.spec.signatures import get_nonce, use_nonce, verify_deadline, verify_signed
from flchain.chain.spec.state import Config, Env, KeyHolder, State, compute_epoch
from flchain.protocol.calls import (
    BeginUnbonding,
    BeginUnbondingWithSig,
    IncreaseStake,
    IncreaseStakeWithSig,
    Permit,
    Register,
    RegisterWithPermit,
    RegisterWithSig,
    SetAllowed,
    SetSuspended,
    Withdraw,
)
from flchain.protocol.eip712 import hash_registration, hash_stake_increase, hash_unbonding
from flchain.protocol.events import (
    AgentRegistered,
    AgentSlashed,
    AllowanceSet,
    BondLocked,
    BondReleased,
    Event,
    StakeIncreased,
    StakeWithdrawn,
    SuspensionSet,
    UnbondingStarted,
)
from flchain.protocol.records import Agent
from flchain.protocol.reverts import (
    AlreadyRegistered,
    BondStillLocked,
    BondTooHigh,
    InvalidAmount,
    InvalidKeys,
    InvalidRoles,
    KeysUsed,
    NotAllowed,
    NotEligible,
    NotGovernance,
    NothingUnbonding,
    NotRegistered,
    StakeTooLow,
    StillEnrolled,
    StillUnbonding,
    UnbondingNotOver,
)
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Epoch,
    Role,
    Timestamp,
    Wei,
)

Registration: TypeAlias = Register | RegisterWithPermit | RegisterWithSig
"""What the three ways to register have in common: roles, stake and keys digest."""

BURN_ADDRESS = Address("0x000000000000000000000000000000000000dEaD")
"""Where slashed tokens go."""
ALL_ROLES = Role.AGENT | Role.VALIDATOR | Role.PROPOSER
ACTIVATION_EPOCHS = 2
"""Roles and enrolments count from this many epochs after the current one."""


def get_agent(state: State, address: Address) -> Agent:
    """Return one identity's record; all zero for a stranger."""
    return state.agents.get(address, Agent())


def get_draw_key(state: State, address: Address) -> tuple[Digest, Wei]:
    """Return the digest of the VRF key that an identity proved to hold, and its stake.

    The digest is zero where there is no such key.
    """
    record = get_agent(state, address)
    is_proven = state.keys.get(record.keys_digest) == KeyHolder(address, is_proven=True)
    return (record.keys_digest if is_proven else ZERO_DIGEST), record.stake


def compute_required_stake(config: Config, roles: int) -> Wei:
    """Return the stake that a set of roles needs: the sum over its roles."""
    if not config.has_token:
        return Wei(0)
    needed = config.agent_stake if roles & Role.AGENT else 0
    needed += config.validator_stake if roles & Role.VALIDATOR else 0
    needed += config.proposer_stake if roles & Role.PROPOSER else 0
    return Wei(needed)


def compute_activation(config: Config, time: Timestamp) -> Epoch:
    """Return the first epoch in which what is recorded at `time` counts."""
    return Epoch(compute_epoch(config, time) + ACTIVATION_EPOCHS)


def is_eligible(state: State, address: Address, role: int) -> bool:
    """Return whether an identity may take a duty under `role`.

    It must hold the role, must not be suspended, and must have the stake for all its roles.
    """
    record = get_agent(state, address)
    has_role = role != 0 and record.roles & role == role
    has_stake = record.stake >= compute_required_stake(state.config, record.roles)
    return has_role and has_stake and not record.is_suspended


def verify_governance(state: State, env: Env) -> None:
    """Raise NotGovernance unless governance sends the call."""
    if env.sender != state.config.governance:
        raise NotGovernance(env.sender)


def verify_registered(state: State, address: Address) -> Agent:
    """Return the record of a registered identity, or raise NotRegistered."""
    record = get_agent(state, address)
    if record.roles == 0:
        raise NotRegistered(address)
    return record


def verify_keys(state: State, agent: Address, digest: Digest, *, is_proven: bool) -> None:
    """Raise KeysUsed unless `agent` may register a digest: each works once, for ever.

    Without a proof it does not stop another account, which proves to hold the key.
    """
    holder = state.keys.get(digest)
    is_squatted = (
        holder is not None and is_proven and not holder.is_proven and holder.agent != agent
    )
    if holder is not None and not is_squatted:
        raise KeysUsed(digest)


def verify_registration(
    state: State, agent: Address, call: Registration, *, is_proven: bool = False
) -> None:
    """Raise unless `agent` may register anew with these roles, stake and keys.

    Earlier stake must be withdrawn first.
    """
    record = get_agent(state, agent)
    if record.roles != 0:
        raise AlreadyRegistered(agent)
    if record.unbonding != 0:
        raise StillUnbonding(agent, record.unbonds_at)
    if not 0 < call.roles <= ALL_ROLES:
        raise InvalidRoles(call.roles)
    if call.keys_digest == ZERO_DIGEST:
        raise InvalidKeys(call.keys_digest)
    verify_keys(state, agent, call.keys_digest, is_proven=is_proven)
    verify_entry(state, agent, call.roles, call.stake)


def verify_entry(state: State, agent: Address, roles: int, stake: Wei) -> None:
    """Raise unless the stake suffices or, without a token, the allow-list has `agent`."""
    if not state.config.has_token:
        if agent not in state.allowed:
            raise NotAllowed(agent)
        if stake != 0:
            raise InvalidAmount(stake)
    elif stake < (needed := compute_required_stake(state.config, roles)):
        raise StakeTooLow(stake, needed)


def verify_deposit(state: State, agent: Address, amount: Wei) -> None:
    """Raise unless the registry may pull `amount` from `agent`; zero pulls nothing."""
    if amount != 0:
        token.verify_pull(state, agent, state.config.addresses.agent_registry, amount)


def verify_increase(state: State, agent: Address, amount: Wei) -> None:
    """Raise unless a registered `agent` can add `amount` to its stake."""
    record = verify_registered(state, agent)
    if amount == 0 or not state.config.has_token:
        raise InvalidAmount(amount)
    token.compute_total(record.stake, amount)
    verify_deposit(state, agent, amount)


def verify_unbonding(state: State, agent: Address) -> None:
    """Raise unless `agent` is registered and free of enrolments and bonds."""
    record = verify_registered(state, agent)
    if record.duties != 0:
        raise StillEnrolled(agent, record.duties)
    if record.locked != 0:
        raise BondStillLocked(agent, record.locked)


def verify_duty(state: State, agent: Address, role: int) -> None:
    """Raise NotEligible unless `agent` may take a duty under `role`."""
    if not is_eligible(state, agent, role):
        raise NotEligible(agent, role)


def verify_bond(state: State, agent: Address, amount: Wei) -> None:
    """Raise BondTooHigh unless `agent`'s free stake covers a bond; zero needs none."""
    record = get_agent(state, agent)
    free = Wei(record.stake - record.locked)
    if free < amount:
        raise BondTooHigh(agent, free, amount)


def register(
    state: State, env: Env, agent: Address, call: Registration, *, is_proven: bool = False
) -> list[Event]:
    """Record a registration and pull its stake.

    A suspension outlives a registration; only governance lifts it.
    """
    state.agents[agent] = replace(
        get_agent(state, agent),
        stake=call.stake,
        active_from=compute_activation(state.config, env.time),
        roles=call.roles,
        keys_digest=call.keys_digest,
    )
    state.keys[call.keys_digest] = KeyHolder(agent, is_proven)
    if call.stake != 0:
        token.pull(state, agent, state.config.addresses.agent_registry, call.stake)
    active_from = state.agents[agent].active_from
    return [AgentRegistered(agent, call.roles, call.stake, active_from, call.keys_digest)]


def increase_stake(state: State, agent: Address, amount: Wei) -> list[Event]:
    """Add to the stake and pull the tokens."""
    record = get_agent(state, agent)
    state.agents[agent] = replace(record, stake=Wei(record.stake + amount))
    token.pull(state, agent, state.config.addresses.agent_registry, amount)
    return [StakeIncreased(agent, amount)]


def begin_unbonding(state: State, env: Env, agent: Address) -> list[Event]:
    """Take all roles and start the wait for the stake."""
    record = get_agent(state, agent)
    unbonds_at = Timestamp(env.time + state.config.unbonding_period)
    state.agents[agent] = replace(
        record, stake=Wei(0), roles=0, unbonding=record.stake, unbonds_at=unbonds_at
    )
    return [UnbondingStarted(agent, record.stake, unbonds_at)]


def set_suspended(state: State, agent: Address, *, suspended: bool) -> list[Event]:
    """Suspend an identity or lift its suspension."""
    state.agents[agent] = replace(get_agent(state, agent), is_suspended=suspended)
    return [SuspensionSet(agent, suspended)]


def add_duties(state: State, agent: Address, count: int) -> None:
    """Count `count` more enrolments, or fewer if negative."""
    record = get_agent(state, agent)
    state.agents[agent] = replace(record, duties=record.duties + count)


def lock_bond(state: State, agent: Address, amount: Wei) -> list[Event]:
    """Lock part of the stake as a bond."""
    record = get_agent(state, agent)
    state.agents[agent] = replace(record, locked=Wei(record.locked + amount))
    return [BondLocked(agent, amount)]


def release_bond(state: State, agent: Address, amount: Wei) -> list[Event]:
    """Give a bond back."""
    record = get_agent(state, agent)
    state.agents[agent] = replace(record, locked=Wei(record.locked - amount))
    return [BondReleased(agent, amount)]


def slash_bond(state: State, agent: Address, amount: Wei) -> list[Event]:
    """Burn a bond. Without a token, suspend instead."""
    record = get_agent(state, agent)
    state.agents[agent] = replace(
        record, stake=Wei(record.stake - amount), locked=Wei(record.locked - amount)
    )
    slashed = AgentSlashed(agent, amount)
    if not state.config.has_token:
        return [slashed, *set_suspended(state, agent, suspended=True)]
    token.move(state, state.config.addresses.agent_registry, BURN_ADDRESS, amount)
    return [slashed]


def process_register(state: State, env: Env, call: Register) -> list[Event]:
    """Register the sender; its stake comes from its allowance."""
    verify_registration(state, env.sender, call)
    verify_deposit(state, env.sender, call.stake)
    return register(state, env, env.sender, call)


def process_register_with_permit(state: State, env: Env, call: RegisterWithPermit) -> list[Event]:
    """Register the sender, using its EIP-2612 permit first.

    A permit that somebody else has used already leaves its allowance in place, so an
    invalid permit is skipped and the allowance decides.
    """
    registry = state.config.addresses.agent_registry
    verify_registration(state, env.sender, call)
    permit = Permit(env.sender, registry, call.stake, call.permit_deadline, call.v, call.r, call.s)
    if token.is_valid_permit(state, env, permit):
        token.verify_transfer(state, env.sender, registry, call.stake)
        token.process_permit(state, env, permit)
    else:
        verify_deposit(state, env.sender, call.stake)
    return register(state, env, env.sender, call)


def process_register_with_sig(state: State, env: Env, call: RegisterWithSig) -> list[Event]:
    """Register `agent` on its signature; the stake is `agent`'s.

    The keys digest, which works once, stands in for a nonce.
    """
    registry = state.config.addresses.agent_registry
    verify_deadline(env, call.deadline)
    signed = hash_registration(call.roles, call.stake, call.keys_digest, call.deadline)
    verify_signed(state.config, registry, call.agent, signed, call.signature)
    verify_registration(state, call.agent, call)
    verify_deposit(state, call.agent, call.stake)
    return register(state, env, call.agent, call)


def process_increase_stake(state: State, env: Env, call: IncreaseStake) -> list[Event]:
    """Add to the sender's stake from its allowance."""
    verify_increase(state, env.sender, call.amount)
    return increase_stake(state, env.sender, call.amount)


def process_increase_stake_with_sig(
    state: State, env: Env, call: IncreaseStakeWithSig
) -> list[Event]:
    """Add to `agent`'s stake, from its tokens, on its signature."""
    registry = state.config.addresses.agent_registry
    verify_deadline(env, call.deadline)
    nonce = get_nonce(state, registry, call.agent)
    signed = hash_stake_increase(call.amount, nonce, call.deadline)
    verify_signed(state.config, registry, call.agent, signed, call.signature)
    verify_increase(state, call.agent, call.amount)
    use_nonce(state, registry, call.agent)
    return increase_stake(state, call.agent, call.amount)


def process_begin_unbonding(state: State, env: Env, _call: BeginUnbonding) -> list[Event]:
    """Give up the sender's roles; its stake waits for the unbonding period."""
    verify_unbonding(state, env.sender)
    return begin_unbonding(state, env, env.sender)


def process_begin_unbonding_with_sig(
    state: State, env: Env, call: BeginUnbondingWithSig
) -> list[Event]:
    """Start to unbond `agent`'s stake on its signature.

    The signature names the keys of the registration that it ends.
    """
    registry = state.config.addresses.agent_registry
    verify_deadline(env, call.deadline)
    signed = hash_unbonding(get_agent(state, call.agent).keys_digest, call.deadline)
    verify_signed(state.config, registry, call.agent, signed, call.signature)
    verify_unbonding(state, call.agent)
    return begin_unbonding(state, env, call.agent)


def process_withdraw(state: State, env: Env, call: Withdraw) -> list[Event]:
    """Pay unbonded stake to its owner; anybody may send this."""
    record = get_agent(state, call.agent)
    if record.unbonding == 0:
        raise NothingUnbonding(call.agent)
    if env.time < record.unbonds_at:
        raise UnbondingNotOver(record.unbonds_at)
    state.agents[call.agent] = replace(record, unbonding=Wei(0))
    token.move(state, state.config.addresses.agent_registry, call.agent, record.unbonding)
    return [StakeWithdrawn(call.agent, record.unbonding)]


def process_set_allowed(state: State, env: Env, call: SetAllowed) -> list[Event]:
    """Put an account on the allow-list or take it off."""
    verify_governance(state, env)
    (state.allowed.add if call.allowed else state.allowed.discard)(call.agent)
    return [AllowanceSet(call.agent, call.allowed)]


def process_set_suspended(state: State, env: Env, call: SetSuspended) -> list[Event]:
    """Suspend an identity or lift its suspension."""
    verify_governance(state, env)
    verify_registered(state, call.agent)
    return set_suspended(state, call.agent, suspended=call.suspended)

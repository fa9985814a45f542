"""Task budgets, the escrow of each round, and Merkle claims."""

from dataclasses import replace

from flchain.chain.spec import token
from flchain.chain.spec.state import Config, Env, State, get_round_key
from flchain.crypto.merkle import verify_proof
from flchain.protocol.calls import Claim, Fund, Sweep
from flchain.protocol.digests import reward_leaf
from flchain.protocol.events import (
    Event,
    RewardClaimed,
    RewardsPublished,
    RewardsSwept,
    TaskFunded,
    TaskRefunded,
)
from flchain.protocol.records import Budget, Distribution
from flchain.protocol.reverts import (
    AlreadyClaimed,
    BudgetTooLow,
    ClaimTooEarly,
    ClaimTooLate,
    InvalidFunding,
    InvalidProof,
    NoRewards,
    RewardsExhausted,
    SweepTooEarly,
)
from flchain.protocol.rewards import compute_share
from flchain.protocol.types import Address, Bps, Digest, RoundId, TaskId, Timestamp, Wei

INLINE_LEAVES = 64
"""Leaves whose claims a `Distribution` record shows."""


def get_budget(state: State, task_id: TaskId) -> Budget:
    """Return a task's budget; anybody may fund a task, even before it exists."""
    return state.budgets.get(task_id, Budget())


def get_distribution(state: State, task_id: TaskId, number: RoundId) -> Distribution:
    """Return a round's rewards; all zero if it has none."""
    claimed = sum(
        1 << index for index in range(INLINE_LEAVES) if is_claimed(state, task_id, number, index)
    )
    stored = state.distributions.get((task_id, number), Distribution())
    return replace(stored, claimed=claimed)


def compute_leaf(config: Config, call: Claim) -> Digest:
    """Return the leaf that a claim must prove; it binds the account and the amount."""
    return reward_leaf(
        config.chain_id,
        config.addresses.reward_distributor,
        get_round_key(config, call.task_id, call.round),
        index=call.index,
        account=call.account,
        amount=call.amount,
    )


def is_claimed(state: State, task_id: TaskId, number: RoundId, index: int) -> bool:
    """Return whether one reward was paid."""
    return (task_id, number, index) in state.claimed


def verify_reserve(state: State, task_id: TaskId, amount: Wei) -> None:
    """Raise BudgetTooLow unless the budget covers a round's reserve."""
    if (available := get_budget(state, task_id).available) < amount:
        raise BudgetTooLow(available, amount)


def verify_claim(state: State, env: Env, call: Claim) -> Wei:
    """Return what a claim is worth now, or raise what forbids it.

    A reward is paid once, from `claimable_from` until before `expires_at`, and never more
    than the round has left.
    """
    rewards = get_distribution(state, call.task_id, call.round)
    if rewards.claimable_from == 0:
        raise NoRewards(call.task_id, call.round)
    if env.time < rewards.claimable_from:
        raise ClaimTooEarly(rewards.claimable_from)
    if env.time >= rewards.expires_at:
        raise ClaimTooLate(rewards.expires_at)
    if is_claimed(state, call.task_id, call.round, call.index):
        raise AlreadyClaimed(call.index)
    if not verify_proof(rewards.root, compute_leaf(state.config, call), call.proof):
        raise InvalidProof(call.index, call.account)
    paid = compute_share(call.amount, rewards.payout_bps)
    if paid > rewards.remaining:
        raise RewardsExhausted(rewards.remaining, paid)
    return paid


def reserve(state: State, task_id: TaskId, amount: Wei) -> None:
    """Set part of the budget aside for a round."""
    budget = get_budget(state, task_id)
    state.budgets[task_id] = Budget(Wei(budget.available - amount), Wei(budget.reserved + amount))


def release(state: State, task_id: TaskId) -> None:
    """Return the live round's reserve to the budget."""
    budget = get_budget(state, task_id)
    state.budgets[task_id] = Budget(Wei(budget.available + budget.reserved))


def publish_rewards(
    state: State, env: Env, task_id: TaskId, number: RoundId, payout_bps: Bps
) -> RewardsPublished:
    """Make the proposal's rewards claimable; the rest of the reserve returns.

    `payout_bps` is the part of each leaf that is paid.
    """
    book = state.books[task_id]
    task, proposal = book.task, book.proposal
    payout = compute_share(proposal.reward_total, payout_bps)
    budget = get_budget(state, task_id)
    state.budgets[task_id] = Budget(Wei(budget.available + budget.reserved - payout))
    claimable_from = Timestamp(env.time + task.claim_delay)
    expires_at = Timestamp(claimable_from + task.claim_window)
    state.distributions[task_id, number] = Distribution(
        payout, claimable_from, expires_at, payout_bps, 0, proposal.reward_root
    )
    return RewardsPublished(
        task_id, number, proposal.reward_root, proposal.reward_total, payout_bps, claimable_from
    )


def refund(state: State, task_id: TaskId, to: Address) -> TaskRefunded:
    """Pay out all that is available in a task's budget."""
    budget = get_budget(state, task_id)
    state.budgets[task_id] = replace(budget, available=Wei(0))
    token.move(state, state.config.addresses.reward_distributor, to, budget.available)
    return TaskRefunded(task_id, to, budget.available)


def process_fund(state: State, env: Env, call: Fund) -> list[Event]:
    """Add to a task's budget from the sender's allowance."""
    distributor = state.config.addresses.reward_distributor
    if call.amount == 0 or not state.config.has_token:
        raise InvalidFunding(call.amount)
    budget = get_budget(state, call.task_id)
    available = token.compute_total(budget.available, call.amount)
    token.verify_pull(state, env.sender, distributor, call.amount)
    state.budgets[call.task_id] = replace(budget, available=available)
    token.pull(state, env.sender, distributor, call.amount)
    return [TaskFunded(call.task_id, env.sender, call.amount)]


def process_claim(state: State, env: Env, call: Claim) -> list[Event]:
    """Pay one reward to the account in its leaf; anybody may send this."""
    distributor = state.config.addresses.reward_distributor
    paid = verify_claim(state, env, call)
    token.verify_transfer(state, distributor, call.account, paid)
    rewards = state.distributions[call.task_id, call.round]
    state.distributions[call.task_id, call.round] = replace(
        rewards, remaining=Wei(rewards.remaining - paid)
    )
    state.claimed.add((call.task_id, call.round, call.index))
    token.move(state, distributor, call.account, paid)
    return [RewardClaimed(call.task_id, call.round, call.account, call.index, paid)]


def process_sweep(state: State, env: Env, call: Sweep) -> list[Event]:
    """Return what nobody claimed to the task's budget; anybody may send this."""
    rewards = get_distribution(state, call.task_id, call.round)
    if rewards.remaining == 0:
        raise NoRewards(call.task_id, call.round)
    if env.time < rewards.expires_at:
        raise SweepTooEarly(rewards.expires_at)
    state.distributions[call.task_id, call.round] = replace(rewards, remaining=Wei(0))
    budget = get_budget(state, call.task_id)
    state.budgets[call.task_id] = replace(
        budget, available=Wei(budget.available + rewards.remaining)
    )
    return [RewardsSwept(call.task_id, call.round, rewards.remaining)]

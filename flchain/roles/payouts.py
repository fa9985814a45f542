"""Claims: from a round's record to the Merkle proof that the distributor wants."""

from flchain.crypto.merkle import compute_proof
from flchain.protocol.calls import Claim
from flchain.protocol.errors import FlchainError, ProofError
from flchain.protocol.records import Task
from flchain.protocol.reverts import AlreadyClaimed, ClaimTooLate
from flchain.protocol.rewards import Reward
from flchain.protocol.types import RoundId, Timestamp
from flchain.roles.context import Context
from flchain.roles.execution import compute_reward_leaves, compute_reward_root, fetch_rewards
from flchain.roles.history import RoundPast
from flchain.roles.observation import Observation


def compute_expiry(past: RoundPast, task: Task) -> Timestamp:
    """Return when a round's rewards cannot be claimed any more; 0 if it has none."""
    start = past.rewards.claimable_from if past.rewards else None
    return Timestamp(0 if start is None else start + task.claim_window)


def build_claim(context: Context, past: RoundPast) -> Claim | None:
    """Return the call that pays this account for a round; None if nothing is due to it.

    Raises ProofError if the record that the proposal names does not give the reward root, and
    storage errors if it can't be had.
    """
    number, rewards = past.opened.round, past.rewards
    if rewards is None or rewards.total == 0:
        return None
    listed = fetch_rewards(context.archive, past.final_proposal.content.aggregate_root)
    if compute_reward_root(listed, context.get_round_key(number), context.ids) != rewards.root:
        raise ProofError(
            f"round {number}: its record lists rewards that do not give the root on chain; "
            "run `flchain verify` and tell the validators"
        )
    return _find_claim(context, past, listed)


def claim_rewards(context: Context, seen: Observation, done: set[RoundId]) -> int:
    """Claim every reward of this account that is due; return how many were paid.

    Rounds in `done` are left out; those that nothing is left to do for, since they are paid or
    expired, are added to it. A round that can't be paid keeps no other from it: the first failure
    is raised after the last round.
    """
    paid, failures = 0, []
    task = context.ledger.get_task(context.task_id)
    for number, past in seen.past.rounds.items():
        if number in done or past.rewards is None or seen.now < past.rewards.claimable_from:
            continue
        try:
            paid += _claim_reward(context, seen, past, task)
        except FlchainError as error:
            failures.append(error)
        else:
            done.add(number)
    if failures:
        raise failures[0]
    return paid


def _claim_reward(context: Context, seen: Observation, past: RoundPast, task: Task) -> bool:
    """Claim what is due for one round; return whether it was paid."""
    if seen.now >= compute_expiry(past, task):
        return False
    claim = build_claim(context, past)
    if claim is None:
        return False
    try:
        context.send(claim, past.opened.round)
    except (AlreadyClaimed, ClaimTooLate):
        return False
    return True


def _find_claim(context: Context, past: RoundPast, listed: tuple[Reward, ...]) -> Claim | None:
    number = past.opened.round
    leaves = compute_reward_leaves(listed, context.get_round_key(number), context.ids)
    for reward in listed:
        if reward.account != context.signer.address or reward.index in past.claimed:
            continue
        proof = compute_proof(leaves, leaves[reward.index])
        return Claim(context.task_id, number, reward.index, reward.account, reward.amount, proof)
    return None

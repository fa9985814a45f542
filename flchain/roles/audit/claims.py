"""Rewards: what each account was due, and what it was paid."""

from flchain.protocol.events import RewardClaimed
from flchain.protocol.rewards import Reward, compute_share
from flchain.protocol.types import Bps
from flchain.roles.audit.evidence import Evidence
from flchain.roles.audit.report import Findings
from flchain.roles.execution import RoundResult
from flchain.roles.history import RoundPast


def audit_claims(
    evidence: Evidence, past: RoundPast, result: RoundResult, findings: Findings
) -> None:
    """Compare every payment of a round with the reward that re-execution gives."""
    number, rewards = past.opened.round, past.rewards
    if rewards is None:
        findings.failed("rewards", "none were published although the round has a result", number)
        return
    claims = evidence.get_claims(number)
    due = {reward.index: reward for reward in result.rewards}
    wrong = [text for claim in claims if (text := _judge(claim, due, rewards.payout_bps))]
    for text in wrong:
        findings.failed("claim", text, number)
    if not wrong:
        paid = sum(claim.amount for claim in claims)
        text = f"{len(claims)} of {len(due)} claimed, {paid} wei, each as its leaf says"
        findings.passed("claims", text, number)


def _judge(claim: RewardClaimed, due: dict[int, Reward], payout_bps: Bps) -> str:
    """Return what is wrong with a payment; nothing if it is right."""
    reward = due.get(claim.index)
    if reward is None:
        return f"{claim.account} was paid {claim.amount} wei for leaf {claim.index}, which is none"
    amount = compute_share(reward.amount, payout_bps)
    if (claim.account, claim.amount) != (reward.account, amount):
        return (
            f"leaf {claim.index} was paid as {claim.amount} wei to {claim.account}, "
            f"{amount} wei were due to {reward.account}"
        )
    return ""

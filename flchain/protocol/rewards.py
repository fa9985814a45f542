"""How a round's reserve is split, in integers alone: every node gets the same numbers.

Validators who attested share their part equally. Agents share the rest in proportion to the
weight that their updates had in the sum, but no agent gets more than its cap; what a cap or
a division leaves over is not paid out and returns to the task's budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.protocol.types import Address, Bps, Wei

WHOLE = Bps(10_000)


@dataclass(frozen=True, slots=True)
class Reward:
    """One leaf of a round's reward tree; indices run from 0 without gaps."""

    index: int
    account: Address
    amount: Wei


def compute_rewards(
    survivors: Sequence[tuple[Address, int]],
    attesters: Sequence[Address],
    *,
    reserve: Wei,
    validator_share_bps: Bps,
    max_share_bps: Bps,
) -> tuple[Reward, ...]:
    """Return the rewards of a round, agents first, each group in the order given.

    `survivors` are (agent, weight) in submission order; an update that counted for nothing
    has weight 0. Zero amounts are left out. The sum never exceeds `reserve`.
    """
    validators_part = compute_share(reserve, validator_share_bps)
    agents_part = Wei(reserve - validators_part)
    shares = [
        *compute_agent_shares(survivors, agents_part, max_share_bps),
        *compute_equal_shares(attesters, validators_part),
    ]
    paid = [(account, amount) for account, amount in shares if amount]
    return tuple(Reward(index, *share) for index, share in enumerate(paid))


def compute_share(amount: Wei, share: Bps) -> Wei:
    """Return `share` of `amount`, rounded down."""
    return Wei(amount * share // WHOLE)


def compute_agent_shares(
    survivors: Sequence[tuple[Address, int]], part: Wei, max_share_bps: Bps
) -> list[tuple[Address, Wei]]:
    """Return each agent's share of `part` by weight, capped and rounded down."""
    total = sum(weight for _, weight in survivors)
    cap = compute_share(part, max_share_bps)
    return [(agent, min(Wei(part * weight // total), cap)) for agent, weight in survivors if weight]


def compute_equal_shares(accounts: Sequence[Address], part: Wei) -> list[tuple[Address, Wei]]:
    """Return equal shares of `part`, rounded down."""
    return [(account, Wei(part // len(accounts))) for account in accounts]

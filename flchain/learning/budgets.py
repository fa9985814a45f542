"""How many rounds a task's privacy budget pays for: the number that its contract enforces."""

from flchain.learning.privacy import (
    build_release,
    compute_epsilon,
    compute_loss,
    count_private_rounds,
    explain_privacy,
    get_delta,
    is_private,
)
from flchain.learning.strategies import get_strategy
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy

MOST_ROUNDS = 2**16 - 1
"""What the contract's field holds; more rounds than these no task opens."""


def compute_privacy_rounds(policy: Policy) -> int:
    """Return how many rounds the budget allows; 0 where no noise is added.

    Raises ConfigError, with the way out, if it does not pay for a single one: to the contract 0
    means that nothing limits a task.
    """
    if not is_private(policy):
        return 0
    rounds = count_private_rounds(policy, _count_sections(policy))
    if rounds == 0:
        raise ConfigError(
            "policy: privacy.epsilon does not pay for one round; raise it, or "
            "privacy.noise_multiplier"
        )
    return min(rounds, MOST_ROUNDS)


def verify_rounds(policy: Policy, rounds: int) -> None:
    """Raise ConfigError if the budget ends before so many rounds."""
    allowed = compute_privacy_rounds(policy)
    if 0 < allowed < rounds:
        raise ConfigError(
            f"the privacy budget pays for {allowed} rounds, {rounds} are asked for: lower the "
            "rounds, or raise privacy.epsilon or privacy.noise_multiplier"
        )


def explain_budget(policy: Policy) -> str:
    """Return in a sentence what is promised once the budget is spent, or that nothing is."""
    return explain_spending(policy, compute_privacy_rounds(policy))


def explain_spending(policy: Policy, rounds: int) -> str:
    """Return in a sentence what is promised after so many rounds."""
    return explain_privacy(policy, _count_sections(policy), rounds)


def compute_spent_epsilon(policy: Policy, rounds: int) -> float:
    """Return epsilon after so many rounds, by the Renyi accountant; a policy with noise alone."""
    release = build_release(policy, _count_sections(policy))
    return compute_epsilon(compute_loss(release), get_delta(policy.privacy), rounds)


def _count_sections(policy: Policy) -> int:
    return len(get_strategy(policy).update_sections)

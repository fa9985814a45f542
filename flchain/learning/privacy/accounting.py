"""How much privacy has been spent: one accountant for plain and for masked aggregation.

Losses of rounds add up by order (Renyi composition, for adaptively chosen rounds too) and are
turned into (epsilon, delta) by Canonne, Kamath and Steinke 2020,
https://arxiv.org/abs/2004.00010, proposition 12. `flchain.learning.privacy.tight` has the
tighter accountant of dp-accounting; a figure is worth nothing without the accountant's name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flchain.learning.privacy.curves import Curve
from flchain.protocol.errors import ConfigError, ProofError
from flchain.protocol.policy import MICROS

ORDERS: tuple[float, ...] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *range(11, 64),
    *(64 * 2 ** (step / 8) // 1 for step in range(81)),
)
"""Where the curves are looked at: 1.1 to 65,536, whole from 11 on."""
MAX_ROUNDS = 1_000_000
_SLACK_MICROS = 1


@dataclass(frozen=True)
class Loss:
    """What one release costs: its Renyi curve at `ORDERS`, and a pure epsilon if there is one."""

    renyi: tuple[float, ...]
    pure: float = math.inf


def build_loss(curve: Curve, pure: float = math.inf) -> Loss:
    """Return the loss of a release with this curve."""
    return Loss(tuple(curve(alpha) for alpha in ORDERS), pure)


def compute_epsilon(loss: Loss, delta: float, rounds: int) -> float:
    """Return epsilon at `delta` after `rounds` releases; 0 rounds cost nothing.

    Raises ConfigError unless 0 < delta < 1.
    """
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, well below 1 / agents")
    if rounds == 0:
        return 0.0
    pairs = zip(loss.renyi, ORDERS, strict=True)
    renyi = min(_convert(value * rounds, alpha, delta) for value, alpha in pairs)
    return max(0.0, min(renyi, loss.pure * rounds))


def count_rounds(loss: Loss, delta: float, budget: float) -> int:
    """Return how many releases stay within `budget`, at most a million."""
    low, high = 0, MAX_ROUNDS
    while low < high:
        middle = (low + high + 1) // 2
        if compute_epsilon(loss, delta, middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def compute_budget_table(loss: Loss, delta: float, rounds: int) -> tuple[int, ...]:
    """Return epsilon in millionths, rounded up, after 1, 2, ... `rounds` releases.

    Committed when a task is created, it lets a contract refuse a round without a logarithm.
    """
    losses = [compute_epsilon(loss, delta, number) for number in range(1, rounds + 1)]
    return tuple(math.ceil(epsilon * MICROS) for epsilon in losses)


def verify_budget_table(table: Sequence[int], loss: Loss, delta: float) -> None:
    """Raise ProofError if a table claims less than what is spent.

    One millionth is forgiven, since two machines' logarithms may differ in the last bit.
    """
    expected = compute_budget_table(loss, delta, len(table))
    for number, (claimed, spent) in enumerate(zip(table, expected, strict=True), start=1):
        if claimed + _SLACK_MICROS < spent:
            raise ProofError(
                f"budget table: round {number} claims {claimed} millionths of epsilon, "
                f"{spent} are spent"
            )


def _convert(total: float, alpha: float, delta: float) -> float:
    return total + math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)

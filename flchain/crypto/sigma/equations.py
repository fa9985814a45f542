"""Checking many group equations at once, with weights that the prover cannot foresee.

Each equation says that a sum of scalar * point is infinity. Weights come from the transcript
after the last message, so that a set with one wrong equation passes with probability 2^-128; the
check is deterministic.
"""

from collections.abc import Iterable, Sequence

from flchain.crypto.groups import INFINITY, Group, Point
from flchain.crypto.transcript import Transcript

Terms = Sequence[tuple[int, Point]]
"""Scalars and points whose products add up to infinity."""


def verify_equations(group: Group, transcript: Transcript, equations: Iterable[Terms]) -> bool:
    """Return whether all equations hold. The transcript must hold every scalar and point."""
    sums: dict[Point, int] = {}
    weight = 1
    for terms in equations:
        for scalar, point in terms:
            sums[point] = (sums.get(point, 0) + weight * scalar) % group.order
        weight, transcript = transcript.challenge("weight")
    return group.sum_products(tuple(sums), tuple(sums.values())) == INFINITY

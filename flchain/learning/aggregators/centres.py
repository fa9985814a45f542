"""Geometric median and centred clipping, iterated on coefficients instead of vectors.

Both are combinations of the updates in every step, so that a step takes n^2 operations whatever
the updates' length. Distances are floors of exact square roots, coefficients are in units of
2^-20.

Geometric median: Weiszfeld's algorithm as in Pillutla et al. 2022,
https://arxiv.org/abs/1912.13445. Centred clipping: Karimireddy et al. 2021,
https://arxiv.org/abs/2012.10333; its radius follows the updates' median distance. Both begin at
zero, that is at a model that does not move.
"""

import math
from collections.abc import Sequence

import numpy as np

from flchain.learning.aggregators.base import MAX_DIVISOR, Mix, Points, Settings, Stage, keep_one
from flchain.learning.aggregators.exact import Integers
from flchain.learning.strategies.base import Parameter

_WHOLE_BPS = 10_000
_WEIGHT_BITS = 40


def compute_geometric_median(points: Points, iterations: int) -> Integers:
    """Return the median's coefficients; from the first iteration on they add up to 2^20.

    Distances below one unit of the updates count as one.
    """
    coefficients = np.zeros(len(points), object)
    for _ in range(iterations):
        least = MAX_DIVISOR * points.divisor
        radii = [max(radius, least) for radius in compute_radii(points, coefficients)]
        weights = [(min(radii) << _WEIGHT_BITS) // radius for radius in radii]
        total = sum(weights)
        coefficients = np.array([MAX_DIVISOR * weight // total for weight in weights], object)
        coefficients[int(np.argmax(weights))] += MAX_DIVISOR - sum(coefficients)
    return coefficients


def compute_centred_clipping(points: Points, iterations: int, radius_bps: int) -> Integers:
    """Return the coefficients of v <- v + mean_i (x_i - v) min(1, tau / |x_i - v|).

    tau is `radius_bps` of the median of |x_i - v|.
    """
    whole, count = MAX_DIVISOR, len(points)
    coefficients = np.zeros(count, object)
    for _ in range(iterations):
        radii = compute_radii(points, coefficients)
        limit = compute_median(radii) * radius_bps // _WHOLE_BPS
        shares = [min(whole, limit * whole // radius) if radius else whole for radius in radii]
        kept = count * whole - sum(shares)
        moved = coefficients * kept + whole * np.array(shares, object)
        coefficients = moved // (count * whole)
    return coefficients


def compute_radii(points: Points, coefficients: Integers) -> list[int]:
    """Return floor(|2^20 x_i - sum_j c_j x_j|) of each row, in the points' units."""
    gram, whole = points.gram.astype(object), MAX_DIVISOR
    along = gram @ coefficients
    squared = coefficients @ along
    squares = np.diagonal(gram)
    return [
        math.isqrt(squared + whole * (whole * square - 2 * product))
        for square, product in zip(squares, along, strict=True)
    ]


def compute_median(values: Sequence[int]) -> int:
    """Return the median, of an even number floor((a + b) / 2) of the two in the middle."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def mix_geometric_median(points: Points, settings: Settings) -> Mix:
    """Return the geometric median."""
    coefficients = compute_geometric_median(points, settings["iterations"])
    return Mix(coefficients[np.newaxis], MAX_DIVISOR)


def mix_centred_clipping(points: Points, settings: Settings) -> Mix:
    """Return the clipped centre."""
    coefficients = compute_centred_clipping(points, settings["iterations"], settings["radius_bps"])
    return Mix(coefficients[np.newaxis], MAX_DIVISOR)


def _need_majority(f: int) -> int:
    return 2 * f + 1


_ITERATIONS = Parameter("iterations", 1, 64)

GEOMETRIC_MEDIAN = Stage(
    "geometric-median", (_ITERATIONS,), _need_majority, keep_one, mix_geometric_median
)
CENTRED_CLIPPING = Stage(
    "centred-clipping",
    (_ITERATIONS, Parameter("radius_bps", 1, 100 * _WHOLE_BPS)),
    _need_majority,
    keep_one,
    mix_centred_clipping,
)

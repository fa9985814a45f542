"""Renyi differential privacy of one release, as a function of the order alpha > 1.

Gaussian and Laplace: Mironov 2017, https://arxiv.org/abs/1702.07476, table II. Skellam:
Agarwal, Kairouz and Liu 2021, https://arxiv.org/abs/2110.04995, corollary 4.1 with scale 1.
Gaussian with Poisson sampling, for training on secret batches: Mironov, Talwar and Zhang 2019,
https://arxiv.org/abs/1908.10530, theorem 5.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

_MOST_ORDER = 1_024
_TAILS = 12
_STEPS = 32

Curve: TypeAlias = Callable[[float], float]
"""Maps an order to the loss of one release; infinite where the formula does not hold."""


def build_gaussian_curve(multiplier: float) -> Curve:
    """Return alpha / (2 z^2), z being deviation / L2 sensitivity."""
    return lambda alpha: alpha / (2 * multiplier * multiplier)


def build_laplace_curve(multiplier: float) -> Curve:
    """Return the curve of Laplace noise, `multiplier` being b / L1 sensitivity.

    It is convex in the sensitivity and zero at zero, so a change spread over many coordinates
    costs no more than one in a single coordinate.
    """

    def compute(alpha: float) -> float:
        first = math.log(alpha / (2 * alpha - 1)) + (alpha - 1) / multiplier
        second = math.log((alpha - 1) / (2 * alpha - 1)) - alpha / multiplier
        largest = max(first, second)
        total = math.exp(first - largest) + math.exp(second - largest)
        return (largest + math.log(total)) / (alpha - 1)

    return compute


def build_skellam_curve(variance: float, l1: float, l2: float) -> Curve:
    """Return the curve of Skellam noise of a variance; sensitivities are of integer vectors.

    The formula holds for whole orders.
    """

    def compute(alpha: float) -> float:
        if alpha != int(alpha):
            return math.inf
        squared = l2 * l2
        tail = min(
            ((2 * alpha - 1) * squared + 6 * l1) / (4 * variance * variance),
            3 * l1 / (2 * variance),
        )
        return alpha * squared / (2 * variance) + tail

    return compute


def build_sampled_gaussian_curve(multiplier: float, rate: float) -> Curve:
    """Return the curve of Gaussian noise on a Poisson sample of secret rows.

    A sample that others can predict, such as a public cohort, gains nothing: use rate 1.
    """
    if rate == 1:
        return build_gaussian_curve(multiplier)

    def compute(alpha: float) -> float:
        if alpha > _MOST_ORDER:
            return math.inf
        return max(0.0, _compute_log_moment(multiplier, rate, alpha) / (alpha - 1))

    return compute


def _compute_log_moment(multiplier: float, rate: float, alpha: float) -> float:
    """Return log E ((1 - q) + q exp((2x - 1) / (2 z^2)))^alpha for x from N(0, z^2).

    By the trapezoid rule, which is exact to the last digits for what falls off like a Gaussian.
    """
    start, end = -_TAILS * multiplier, alpha + _TAILS * multiplier
    step = multiplier / _STEPS
    places = np.arange(start, end, step)
    density = -(places**2) / (2 * multiplier**2) - math.log(multiplier * math.sqrt(2 * math.pi))
    shifted = math.log(rate) + (2 * places - 1) / (2 * multiplier**2)
    terms = density + alpha * np.logaddexp(math.log1p(-rate), shifted)
    largest = float(terms.max())
    return largest + math.log(float(np.exp(terms - largest).sum()) * step)

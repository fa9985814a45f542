"""Renyi differential privacy of one release, as a function of the order alpha > 1.

Gaussian and Laplace: Mironov 2017, https://arxiv.org/abs/1702.07476, table II. Skellam:
Agarwal, Kairouz and Liu 2021, https://arxiv.org/abs/2110.04995, corollary 4.1 with scale 1.
Gaussian with Poisson sampling, for training on secret batches: Mironov, Talwar and Zhang 2019,
https://arxiv.org/abs/1908.10530, section 3.3.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

_MOST_TERMS = 1_024

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
    """Return the curve of Gaussian noise on a Poisson sample of secret rows, for whole orders.

    A sample that others can predict, such as a public cohort, gains nothing: use rate 1.
    """
    if rate == 1:
        return build_gaussian_curve(multiplier)

    def compute(alpha: float) -> float:
        if alpha != int(alpha) or alpha > _MOST_TERMS:
            return math.inf
        order = int(alpha)
        terms = [
            math.lgamma(order + 1)
            - math.lgamma(k + 1)
            - math.lgamma(order - k + 1)
            + (order - k) * math.log1p(-rate)
            + (k * math.log(rate) if k else 0.0)
            + (k * k - k) / (2 * multiplier * multiplier)
            for k in range(order + 1)
        ]
        largest = max(terms)
        total = math.log(sum(math.exp(term - largest) for term in terms))
        return (largest + total) / (order - 1)

    return compute

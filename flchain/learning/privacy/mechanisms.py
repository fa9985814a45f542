"""Mechanisms: noise on bounded integers, by the name that a policy uses.

`scale` is the standard deviation (Gaussian, Skellam) or b (Laplace), in quantised units. The
generator must come from secret entropy: whoever can repeat the noise can take it off again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flchain.learning.parameters import Int64


@dataclass(frozen=True)
class Mechanism:
    """Noise of a kind. `norm` is the norm that it hides, 1 or 2.

    `is_summable` says whether sums of the agents' integers are noise of the same kind, which is
    what an aggregate under masks needs. Sums of rounded Gaussian noise are only nearly so.
    """

    name: str
    norm: int
    is_summable: bool
    draw: Callable[[int, float, np.random.Generator], Int64]

    def compute_deviation(self, scale: float) -> float:
        """Return the standard deviation of noise of a scale."""
        return scale * math.sqrt(2) if self.norm == 1 else scale


def draw_gaussian(size: int, scale: float, rng: np.random.Generator) -> Int64:
    """Return N(0, scale^2), rounded after the draw: on integers that is post-processing."""
    noise: Int64 = np.rint(rng.normal(0, scale, size)).astype(np.int64)
    return noise


def draw_laplace(size: int, scale: float, rng: np.random.Generator) -> Int64:
    """Return Laplace(scale), rounded after the draw."""
    noise: Int64 = np.rint(rng.laplace(0, scale, size)).astype(np.int64)
    return noise


def draw_skellam(size: int, scale: float, rng: np.random.Generator) -> Int64:
    """Return the difference of two Poisson variables, of variance scale^2 in all."""
    rate = scale * scale / 2
    noise: Int64 = rng.poisson(rate, size) - rng.poisson(rate, size)
    return noise


MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("gaussian", 2, is_summable=False, draw=draw_gaussian),
        Mechanism("laplace", 1, is_summable=False, draw=draw_laplace),
        Mechanism("skellam", 2, is_summable=True, draw=draw_skellam),
    )
}
"""Every mechanism but "none"."""

"""Bounding what one agent can change, which is what noise is measured against.

Adaptive clipping: Andrew et al. 2021, https://arxiv.org/abs/1905.03871. The bound C follows the
gamma-quantile of the agents' norms: C <- C exp(-eta (b - gamma)), where b is the share of agents
whose norm is at most C, known only with noise.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from flchain.learning.parameters import Float32
from flchain.protocol.errors import ConfigError, EncodingError


def clip_l2(vector: Float32, limit: float) -> Float32:
    """Return `vector` shortened to an L2 norm of at most `limit`. EncodingError on NaN."""
    return _shorten(vector, float(np.linalg.norm(np.asarray(vector, np.float64))), limit)


def clip_l1(vector: Float32, limit: float) -> Float32:
    """Return `vector` scaled to a sum of magnitudes of at most `limit`. EncodingError on NaN."""
    return _shorten(vector, float(np.abs(np.asarray(vector, np.float64)).sum()), limit)


@dataclass(frozen=True)
class AdaptiveClip:
    """A bound that follows a quantile of the norms.

    `quantile` is gamma, `rate` is eta, and `count_noise` the deviation of the Gaussian noise on
    the count of agents within the bound; at 0 the count is exact and not private.
    """

    clip: float
    quantile: float = 0.5
    rate: float = 0.2
    count_noise: float = 0.0

    def __post_init__(self) -> None:
        is_quantile = 0 <= self.quantile <= 1
        if not (self.clip > 0 and is_quantile and self.rate > 0 and self.count_noise >= 0):
            raise ConfigError(
                "adaptive clipping needs clip > 0, quantile from 0 to 1, rate > 0, count_noise >= 0"
            )


def update_clip(
    state: AdaptiveClip, within: int, agents: int, rng: np.random.Generator
) -> AdaptiveClip:
    """Return the next bound, after `within` of `agents` norms were at most the present one."""
    noisy = within + (rng.normal(0, state.count_noise) if state.count_noise else 0.0)
    share = min(1.0, max(0.0, noisy / agents))
    return replace(state, clip=state.clip * math.exp(-state.rate * (share - state.quantile)))


def compute_update_noise(noise_multiplier: float, count_noise: float) -> float:
    """Return z for the updates so that updates and counts together cost `noise_multiplier`.

    z_delta = (z^-2 - (2 sigma_b)^-2)^(-1/2), section 2.2 of the paper. Raises ConfigError if the
    counts alone would cost more.
    """
    left = noise_multiplier**-2 - (2 * count_noise) ** -2 if count_noise > 0 else -1.0
    if left <= 0:
        raise ConfigError(f"count_noise must be above {noise_multiplier / 2:g}; raise it")
    return float(left**-0.5)


def _shorten(vector: Float32, norm: float, limit: float) -> Float32:
    if not math.isfinite(norm):
        raise EncodingError(
            "the update holds NaN or infinity; clean the data or lower the learning rate"
        )
    return vector if norm <= limit else np.asarray(vector * (limit / norm), np.float32)

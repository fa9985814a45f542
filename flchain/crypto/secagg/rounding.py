"""From floats to integers whose L2 norm is bounded for certain, as differential privacy wants it.

The vector is clipped to norm C and multiplied by 2^shift; each coordinate is rounded up with its
fraction as the chance, so that the mean is kept. Rounding can lengthen the vector, so it is done
again, with other random numbers, until the norm is at most

    sqrt(min(c^2 + d/4 + c + sqrt(d)/2, (c + sqrt(d))^2)),    c = C * 2^shift,

the bound of P. Kairouz, Z. Liu, T. Steinke, "The distributed discrete Gaussian mechanism", ICML
2021 (conditional randomised rounding, beta = exp(-1/2)): more than 39 tries in 100 pass. Rounding
on condition has a small bias, at most what that paper's section 4 states. Where no noise is added
`flchain.learning` rounds once, with a margin instead.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.crypto.secagg.masks import KEY_SIZE, stream_words
from flchain.protocol.errors import ConfigError, EncodingError

MAX_CLIP = 1 << 30
# Small enough for the cache, and for BLAS to use one thread.
_BLOCK = 1 << 13
_CHANCE = 2.0**-32
# More than the rounding errors of a sum of squares in float64, so that the bound is certain.
_MARGIN = 1 + 2.0**-32


@dataclass(frozen=True, slots=True)
class Rounding:
    """`clip` is the norm's bound before rounding, in units of 2^-shift."""

    shift: int
    clip: int

    def compute_squared_bound(self, size: int) -> int:
        """Return the largest squared norm that a rounded vector of `size` may have."""
        clip, root = self.clip, math.isqrt(size)
        likely = clip * clip + (size + 3) // 4 + clip + (root + 1) // 2
        return min(likely, (clip + root + 1) ** 2)

    def compute_bound(self, size: int) -> int:
        """Return the largest magnitude that a coordinate of a rounded vector may have."""
        return math.isqrt(self.compute_squared_bound(size))


def round_vector(
    vector: NDArray[np.float32], rules: Rounding, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return the rounded vector in units of 2^-shift.

    The generator gives the key of a stream whose words, divided by 2^32, are the chances. Raises
    EncodingError on NaN or infinity, ConfigError if the clip is not in [1, 2^30].
    """
    if not 1 <= rules.clip <= MAX_CLIP:
        raise ConfigError(f"rounding: the clip must be from 1 to 2^30 units, not {rules.clip}")
    factor = _compute_factor(vector, rules)
    limit = rules.compute_squared_bound(len(vector)) / _MARGIN
    rounded = np.empty(len(vector), np.int32)
    while _round_into(rounded, vector, factor, rng.bytes(KEY_SIZE)) > limit:
        pass
    return rounded


def _compute_factor(vector: NDArray[np.float32], rules: Rounding) -> float:
    """Return what scales to units and clips."""
    squared, wide = 0.0, np.empty(_BLOCK)
    for start in range(0, len(vector), _BLOCK):
        block = vector[start : start + _BLOCK]
        values = wide[: len(block)]
        values[:] = block
        squared += float(values @ values)
    # A sum of squares is finite only if every term is.
    if not math.isfinite(squared):
        raise EncodingError("the update holds NaN or infinity; lower the learning rate")
    scale = float(1 << rules.shift)
    norm = math.sqrt(squared) * scale
    return scale * (rules.clip / norm) if norm > rules.clip else scale


def _round_into(
    rounded: NDArray[np.int32],
    vector: NDArray[np.float32],
    factor: float,
    key: bytes,
) -> float:
    """Round the scaled vector into `rounded`, block by block; return its squared norm nearly."""
    squared, wide, chances = 0.0, np.empty(_BLOCK), np.empty(_BLOCK)
    starts = range(0, len(vector), _BLOCK)
    for start, words in zip(starts, stream_words(key, _BLOCK), strict=False):
        block = vector[start : start + _BLOCK]
        values = wide[: len(block)]
        np.multiply(block, factor, out=values, dtype=np.float64)
        np.multiply(words, _CHANCE, out=chances)
        np.add(values, chances[: len(block)], out=values)
        np.floor(values, out=values)
        rounded[start : start + _BLOCK] = values
        squared += float(values @ values)
    return squared

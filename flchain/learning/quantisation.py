"""From floats to bounded integers: the last step on the agent's side of the line.

Stochastic rounding (Gupta et al. 2015, https://arxiv.org/abs/1502.02551) keeps the mean of
many updates unbiased; the generator comes from above, so that a seed repeats it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from flchain.learning.parameters import Float32, FloatUpdate, Int32, QuantizedUpdate
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Policy, UpdateSpec


def quantise_update(
    update: FloatUpdate, policy: Policy, rng: np.random.Generator
) -> QuantizedUpdate:
    """Return the publishable form of `update`. Raises EncodingError on NaN or infinity."""
    rules = policy.update
    sections = {name: quantise(vector, rules, rng) for name, vector in update.sections.items()}
    return QuantizedUpdate(sections, {"samples": update.samples})


def quantise(vector: Float32, rules: UpdateSpec, rng: np.random.Generator) -> Int32:
    """Clip `vector` in L2 and by coordinate and round it to units of 2^-shift.

    The result's L2 norm is at most `rules.clip` and each coordinate at most
    `rules.coordinate_bound`. Raises EncodingError on NaN or infinity.
    """
    scaled = np.asarray(vector, np.float64) * float(1 << rules.shift)
    # Rounding moves each coordinate by less than one, hence the vector by less than sqrt(d).
    scaled = _clip_norm(scaled, rules.clip - math.isqrt(scaled.size) - 1)
    bound = rules.coordinate_bound
    np.clip(scaled, -bound, bound, out=scaled)
    scaled += rng.random(scaled.size)
    np.floor(scaled, out=scaled)
    # What was just below the bound may have been rounded past it.
    quantised: Int32 = np.minimum(scaled, bound, out=scaled).astype(np.int32)
    return quantised


def _clip_norm(vector: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    squared = float(np.square(vector).sum())
    # A sum of squares is finite only if every term is.
    if not math.isfinite(squared):
        raise EncodingError(
            "the update holds NaN or infinity; clean the data or lower the learning rate"
        )
    norm = math.sqrt(squared)
    return vector * (limit / norm) if norm > limit else vector

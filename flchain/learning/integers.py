"""Exact integer vector arithmetic: the same bits on every machine.

Only `+ - *`, shifts, comparisons and floor division on int64, with the ranges under which
nothing overflows stated and kept by the callers; sums that might not fit are Python integers.
"""

import math

import numpy as np

from flchain.learning.parameters import Int32, Int64

# Small enough for temporaries to stay in the processor's cache.
_CHUNK = 1 << 13
_HALF_BITS = 20
# A chunk's sum of squares of values below this is below 2^61.
_SMALL = 1 << 24
_RATIO_BITS = 30


def divide_half_up(numerator: Int64, divisor: int) -> Int64:
    """Return floor(numerator / divisor + 1/2) for each value: 5/2 is 3 and -5/2 is -2.

    `divisor` is positive; |numerator| + divisor must stay below 2^62.
    """
    return (2 * numerator + divisor) // (2 * divisor)


def centre(total: Int64) -> Int64:
    """Return the value congruent to `total` modulo 2^32 in [-2^31, 2^31)."""
    return ((total + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31)


def add_scaled(total: Int64, vector: Int32, factor: int) -> None:
    """Add `factor * vector` to `total`, in place; |factor| is at most 2^31."""
    for start in range(0, len(vector), _CHUNK):
        chunk = vector[start : start + _CHUNK].astype(np.int64)
        chunk *= factor
        total[start : start + _CHUNK] += chunk


def compute_squared_norm(vector: Int32 | Int64) -> int:
    """Return the exact sum of squares of values of at most 2^40 in magnitude.

    Each value is split as a * 2^20 + b with 0 <= b < 2^20, so that the sums over a chunk of
    2^13 values stay below 2^53.
    """
    return sum(
        _square_chunk(vector[start : start + _CHUNK].astype(np.int64))
        for start in range(0, len(vector), _CHUNK)
    )


def clip_norm(vector: Int64, limit: int) -> Int64:
    """Return `vector`, of magnitudes up to 2^31, shortened to an L2 norm of at most `limit`.

    A longer vector is multiplied by floor(limit * 2^30 / ceil(norm)) / 2^30 and rounded
    towards zero, so the result's norm never exceeds the limit.
    """
    squared = compute_squared_norm(vector)
    if squared <= limit * limit:
        return vector
    norm = math.isqrt(squared - 1) + 1
    ratio = (limit << _RATIO_BITS) // norm
    shortened: Int64 = np.sign(vector) * ((np.abs(vector) * ratio) >> _RATIO_BITS)
    return shortened


def saturate(vector: Int64, limit: int) -> Int64:
    """Return `vector` with values beyond plus or minus `limit` replaced by it."""
    return np.clip(vector, -limit, limit)


def _square_chunk(chunk: Int64) -> int:
    # The product of int64 vectors is an integer loop of numpy's; BLAS has floats only.
    if max(int(chunk.max()), -int(chunk.min())) < _SMALL:
        return int(chunk @ chunk)
    high, low = chunk >> _HALF_BITS, chunk & ((1 << _HALF_BITS) - 1)
    squares = (int(high @ high) << _HALF_BITS) + (int(high @ low) << 1)
    return (squares << _HALF_BITS) + int(low @ low)

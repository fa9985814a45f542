"""Exact integer vector arithmetic: the same bits on every machine.

Only `+ - *`, shifts, comparisons and floor division on int64, with the ranges under which
nothing overflows stated and kept by the callers; sums that might not fit are Python integers.
"""

import math

import numpy as np

from flchain.learning.parameters import Int32, Int64

# Small enough for temporaries to stay in the processor's cache, and for BLAS to use one thread: its
# others would wait for a core that something else is using.
_CHUNK = 1 << 13
_HALF_BITS = 20
_EXACT = 1 << 53
_RATIO_BITS = 30


def divide_half_up(numerator: Int64, divisor: int) -> Int64:
    """Return floor(numerator / divisor + 1/2) for each value: 5/2 is 3 and -5/2 is -2.

    `divisor` is positive; |numerator| + divisor must stay below 2^62.
    """
    quotient = 2 * numerator
    quotient += divisor
    quotient //= 2 * divisor
    return quotient


def centre(total: Int64) -> Int64:
    """Return the value congruent to `total` modulo 2^32 in [-2^31, 2^31)."""
    centred = total + (1 << 31)
    centred &= (1 << 32) - 1
    centred -= 1 << 31
    return centred


def add_scaled(total: Int64, vector: Int32, factor: int) -> None:
    """Add `factor * vector` to `total`, in place; |factor| is at most 2^31."""
    for start in range(0, len(vector), _CHUNK):
        chunk = vector[start : start + _CHUNK].astype(np.int64)
        chunk *= factor
        total[start : start + _CHUNK] += chunk


def compute_squared_norm(vector: Int32 | Int64) -> int:
    """Return the exact sum of squares of values of at most 2^40 in magnitude.

    A sum of integers below 2^53 is exact in float64, in any order, and much faster there than in
    int64. Where a chunk's sum may be larger, each value is split as a * 2^20 + b.
    """
    largest = max(int(vector.max()), -int(vector.min())) if len(vector) else 0
    is_small = largest * largest * _CHUNK <= _EXACT
    chunks = (vector[start : start + _CHUNK] for start in range(0, len(vector), _CHUNK))
    return sum(_square_small(chunk) if is_small else _square_large(chunk) for chunk in chunks)


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


def multiply_fraction(vector: Int64, numerator: int, denominator: int) -> Int64:
    """Return vector * numerator / denominator, rounded half up, for magnitudes up to 2^62.

    `denominator` is positive, `numerator` is not negative, both are at most 2^30, and the exact
    result must stay below 2^62.
    """
    whole = vector // denominator
    rest = vector - whole * denominator
    rest *= numerator
    whole *= numerator
    whole += divide_half_up(rest, denominator)
    return whole


def divide_vectors(numerator: Int64, denominator: Int64, bits: int, limit: int) -> Int64:
    """Return numerator * 2^bits / denominator by value, rounded half up and saturated.

    `denominator` is from 1 to 2^32, `bits` at most 28 and `limit` at most 2^60.
    """
    whole = numerator // denominator
    rest = numerator - whole * denominator
    most = (limit >> bits) + 1
    result = np.clip(whole, -most, most) << bits
    result += ((rest << (bits + 1)) + denominator) // (2 * denominator)
    return saturate(result, limit)


def compute_isqrt(vector: Int64) -> Int64:
    """Return floor(sqrt(value)) of values from 0 to 2^62.

    The square root in float64 only guesses; integers settle it, so that no machine's rounding
    takes part in the result.
    """
    root = np.sqrt(vector.astype(np.float64)).astype(np.int64)
    root -= root * root > vector
    root += (root + 1) * (root + 1) <= vector
    return root


def _square_small(chunk: Int32 | Int64) -> int:
    exact = chunk.astype(np.float64)
    return int(exact @ exact)


def _square_large(chunk: Int32 | Int64) -> int:
    # Both halves are at most 2^20, so that their products' sums stay below 2^54.
    wide = chunk.astype(np.int64)
    high, low = wide >> _HALF_BITS, wide & ((1 << _HALF_BITS) - 1)
    squares = (int(high @ high) << _HALF_BITS) + (int(high @ low) << 1)
    return (squares << _HALF_BITS) + int(low @ low)

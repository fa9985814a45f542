"""Exact inner products and matrix products of integers, at the speed of floating point.

A float64 product of matrices is exact, in whatever order it is summed, as long as no sum of
magnitudes can reach 2^53. What does not fit is computed in int64, and beyond that in Python's
integers; all three give the same values. Gram matrices are of dtype int64 or, where they could
overflow in later steps, of Python integers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from flchain.learning.parameters import Int32

Integers: TypeAlias = NDArray[Any]
"""An array of int64 or of Python integers."""
Float64: TypeAlias = NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.int32)

_EXACT = 1 << 53
_WIDE = 1 << 62
_LIMB_BITS = 16
# A coordinate of up to 2^20 in magnitude keeps a chunk's sum of 2^13 products exact.
_NARROW = 1 << 20
# BLAS starts its threads at about 2^18 multiplications; for a few rows that only costs time.
_ONE_THREAD = 1 << 18
# Values that are sorted rather than multiplied, half a mebibyte of them.
_CACHED = 1 << 17
_LEAST_CHUNK, _USUAL_CHUNK, _MOST_CHUNK = 256, 2_048, 8_192


def choose_chunk(rows: int) -> int:
    """Return how many coordinates to work on at a time, so that `rows` of them stay in cache."""
    chunk = _ONE_THREAD // max(1, rows * rows)
    return min(chunk, _MOST_CHUNK) if chunk >= _LEAST_CHUNK else _USUAL_CHUNK


def stack_chunks(
    rows: Sequence[Int32], dtype: type[Number]
) -> Iterator[tuple[slice, NDArray[Number]]]:
    """Yield the rows as `dtype`, a chunk of coordinates at a time, always in the same buffer."""
    size = len(rows[0])
    chunk = choose_chunk(len(rows)) if dtype is np.float64 else _CACHED // len(rows) + 1
    buffer = np.empty((len(rows), min(size, chunk)), dtype)
    for start in range(0, size, chunk):
        part = slice(start, min(start + chunk, size))
        block = buffer[:, : part.stop - start]
        for line, row in zip(block, rows, strict=True):
            line[:] = row[part]
        yield part, block


def find_largest(rows: Sequence[Int32]) -> int:
    """Return the largest magnitude in any row; 0 if there is none."""
    return max((max(int(row.max()), -int(row.min())) for row in rows if len(row)), default=0)


def compute_gram(rows: Sequence[Int32]) -> Integers:
    """Return the exact inner product of every two rows."""
    count, largest = len(rows), find_largest(rows)
    if largest <= _NARROW:
        fits = largest * largest * len(rows[0]) < _WIDE
        gram = np.zeros((count, count), np.int64 if fits else object)
        for _, block in stack_chunks(rows, np.float64):
            gram += (block @ block.T).astype(np.int64)
        return _narrow(gram)
    high = [row >> _LIMB_BITS for row in rows]
    low = [row & ((1 << _LIMB_BITS) - 1) for row in rows]
    crossed = compute_gram([*high, *low])
    squares, mixed = crossed[:count, :count], crossed[:count, count:]
    total = (squares.astype(object) << (2 * _LIMB_BITS)) + crossed[count:, count:]
    return _narrow(total + ((mixed + mixed.T).astype(object) << _LIMB_BITS))


def multiply(first: Integers, second: Integers) -> Integers:
    """Return the exact matrix product."""
    bound = first.shape[-1] * get_magnitude(first) * get_magnitude(second)
    if bound < _EXACT:
        product: Integers = (first.astype(np.float64) @ second.astype(np.float64)).astype(np.int64)
        return product
    if bound < _WIDE:
        exact: Integers = first.astype(np.int64) @ second.astype(np.int64)
        return exact
    return _narrow(first.astype(object) @ second.astype(object))


def get_magnitude(values: Integers) -> int:
    """Return the largest magnitude; 0 of an empty array."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def compute_distances(gram: Integers) -> Integers:
    """Return the squared distance between every two rows."""
    squares = np.diagonal(gram)
    distances: Integers = squares[:, np.newaxis] + squares[np.newaxis, :] - 2 * gram
    return distances


def _narrow(values: Integers) -> Integers:
    """Return int64 if sums of four times as many values as there are rows fit, else objects."""
    fits = 8 * max(1, len(values)) * get_magnitude(values) < _WIDE
    return values.astype(np.int64 if fits else object)

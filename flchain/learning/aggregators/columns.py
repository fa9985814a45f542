"""Rules for each coordinate on its own: median, trimmed mean, mean around the median.

Yin et al. 2018, https://arxiv.org/abs/1803.01498; the mean around the median is the second half
of Bulyan. They work on sorted values, so equal values need no tie-break.
"""

import numpy as np

from flchain.learning.aggregators.base import Reducer
from flchain.learning.parameters import Int32, Int64


def reduce_single(columns: Int32 | Int64, f: int) -> Int64:
    """Return the only row."""
    del f
    single: Int64 = columns[:, 0].astype(np.int64)
    return single


def reduce_median(columns: Int32 | Int64, f: int) -> Int64:
    """Return the middle value; of an even number floor((a + b) / 2) of the two in the middle."""
    del f
    high = columns.shape[1] // 2
    upper: Int64 = columns[:, high].astype(np.int64)
    if columns.shape[1] % 2:
        return upper
    upper += columns[:, high - 1]
    return upper >> 1


def reduce_trimmed(columns: Int32 | Int64, f: int) -> Int64:
    """Return the sum without the `f` smallest and the `f` largest values."""
    total: Int64 = columns[:, f : columns.shape[1] - f].sum(axis=1, dtype=np.int64)
    return total


def reduce_around_median(columns: Int32 | Int64, f: int) -> Int64:
    """Return the sum of the m - 2f values that lie closest to the median.

    In sorted values they are neighbours: of all runs of that length the one whose farther end is
    closest to the median, the lowest of several such.
    """
    count = columns.shape[1]
    kept = count - 2 * f
    values = columns.astype(np.int64)
    median = reduce_median(values, f)[:, np.newaxis]
    starts = np.arange(2 * f + 1)
    farther = np.maximum(median - values[:, starts], values[:, starts + kept - 1] - median)
    first = farther.argmin(axis=1)
    sums = np.zeros((len(values), count + 1), np.int64)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    lines = np.arange(len(values))
    return np.asarray(sums[lines, first + kept] - sums[lines, first], np.int64)


def _need_majority(f: int) -> int:
    return 2 * f + 1


SINGLE = Reducer(least=lambda _: 1, kept=lambda _m, _f: 1, reduce=reduce_single)
MEDIAN = Reducer(least=_need_majority, kept=lambda _m, _f: 1, reduce=reduce_median)
TRIMMED_MEAN = Reducer(least=_need_majority, kept=lambda m, f: m - 2 * f, reduce=reduce_trimmed)
AROUND_MEDIAN = Reducer(
    least=_need_majority, kept=lambda m, f: m - 2 * f, reduce=reduce_around_median
)

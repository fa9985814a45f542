"""What prepares updates for a rule: nearest-neighbour mixing, bucketing and norm clipping.

NNM: Allouah et al. 2023, https://arxiv.org/abs/2302.01772. Bucketing: Karimireddy et al. 2022,
https://arxiv.org/abs/2006.09365; the rows come in a random order already. Clipping at the median
norm stands between the static and the adaptive clipping of the literature.
"""

import math

import numpy as np

from flchain.learning.aggregators.base import Mix, Points, Settings, Stage, keep_count, keep_one
from flchain.learning.aggregators.centres import compute_median
from flchain.learning.aggregators.exact import compute_distances
from flchain.learning.strategies.base import Parameter

_RATIO = 1 << 15


def mix_neighbours(points: Points, settings: Settings) -> Mix:
    """Replace each row by the mean of the n - f rows closest to it, itself among them."""
    count = len(points)
    closest = count - settings["f"]
    order = np.argsort(compute_distances(points.gram), axis=1, kind="stable")[:, :closest]
    matrix = np.zeros((count, count), np.int64)
    np.put_along_axis(matrix, order, 1, axis=1)
    return Mix(matrix, closest)


def mix_buckets(points: Points, settings: Settings) -> Mix:
    """Replace each `bucket` neighbouring rows by their mean; the last bucket may be smaller."""
    count, size = len(points), settings["bucket"]
    places = np.arange(count) // size
    members = np.bincount(places)
    divisor = math.lcm(*map(int, members))
    matrix = np.zeros((len(members), count), np.int64)
    matrix[places, np.arange(count)] = divisor // members[places]
    return Mix(matrix, divisor)


def clip_norms(points: Points, settings: Settings) -> Mix:
    """Shorten the rows that are longer than the median length to that length."""
    del settings
    # Rounded up, so that no clipped row is longer than the limit.
    norms = [math.isqrt(max(0, int(square) - 1)) + 1 for square in np.diagonal(points.gram)]
    limit = compute_median(norms)
    return Mix(np.diag([min(_RATIO, limit * _RATIO // norm) for norm in norms]), _RATIO)


def mix_mean(points: Points, settings: Settings) -> Mix:
    """Return the mean of all rows."""
    del settings
    return Mix(np.ones((1, len(points)), np.int64), len(points))


def _count_buckets(count: int, settings: Settings) -> int:
    return -(-count // settings["bucket"])


def _need_majority(f: int) -> int:
    return 2 * f + 1


NNM = Stage("nnm", (), _need_majority, keep_count, mix_neighbours)
BUCKETING = Stage(
    "bucketing",
    (Parameter("bucket", 1, 64),),
    lambda _: 1,
    _count_buckets,
    mix_buckets,
    is_blind=True,
)
NORM_CLIPPING = Stage("norm-clipping", (), _need_majority, keep_count, clip_norms)
MEAN = Stage("mean", (), lambda _: 1, keep_one, mix_mean, is_blind=True)
"""The end of a name whose stages do all the work; alone it withstands nothing."""

"""Rules that choose among the updates by their distances: Krum, MultiKrum and Bulyan.

Blanchard et al. 2017, https://arxiv.org/abs/1703.02757; El Mhamdi et al. 2018,
https://arxiv.org/abs/1802.07927. Of equal scores the first row's wins.
"""

import numpy as np
from numpy.typing import NDArray

from flchain.learning.aggregators.base import Mix, Points, Settings, Stage, keep_one
from flchain.learning.aggregators.exact import Integers, compute_distances


def compute_scores(distances: Integers, f: int) -> Integers:
    """Return Krum's score of each row: the sum of its n - f - 2 smallest squared distances."""
    closest = max(1, len(distances) - f - 2)
    # A row's distance to itself is 0 and sorts first.
    scores: Integers = np.sort(distances, axis=1)[:, 1 : closest + 1].sum(axis=1)
    return scores


def select_krum(points: Points, settings: Settings) -> Mix:
    """Return the row with the lowest score."""
    return _select_lowest(points, settings["f"], 1)


def select_multikrum(points: Points, settings: Settings) -> Mix:
    """Return the mean of the n - f rows with the lowest scores."""
    f = settings["f"]
    return _select_lowest(points, f, len(points) - f)


def select_bulyan(points: Points, settings: Settings) -> Mix:
    """Return n - 2f rows, each chosen by Krum among those that are left."""
    distances, f = compute_distances(points.gram), settings["f"]
    left, chosen = list(range(len(points))), []
    for _ in range(len(points) - 2 * f):
        best = int(np.argmin(compute_scores(distances[np.ix_(left, left)], f)))
        chosen.append(left.pop(best))
    return build_selection(np.array(sorted(chosen)), len(points))


def build_selection(chosen: NDArray[np.int64], count: int) -> Mix:
    """Return the mix that passes on the chosen ones of `count` rows."""
    return Mix(np.eye(count, dtype=np.int64)[chosen], 1)


def _select_lowest(points: Points, f: int, count: int) -> Mix:
    scores = compute_scores(compute_distances(points.gram), f)
    matrix = np.zeros((1, len(points)), np.int64)
    matrix[0, np.argsort(scores, kind="stable")[:count]] = 1
    return Mix(matrix, count)


def _need_for_krum(f: int) -> int:
    return 2 * f + 3


def _count_bulyan(count: int, settings: Settings) -> int:
    return count - 2 * settings["f"]


KRUM = Stage("krum", (), _need_for_krum, keep_one, select_krum)
MULTIKRUM = Stage("multikrum", (), _need_for_krum, keep_one, select_multikrum)
BULYAN = Stage("bulyan", (), lambda f: 4 * f + 3, _count_bulyan, select_bulyan)

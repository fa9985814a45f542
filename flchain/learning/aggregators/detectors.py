"""A filter of several detectors: each update's length, and its cosine to the median.

An update is dropped if it is much longer than the median length or points away from the geometric
median. Detectors that need a forward pass give scores, which each validator measures by itself
(`scoring`); what counts is the per-agent median of the signed scores, filtered here.
"""

import math
from collections.abc import Sequence

import numpy as np

from flchain.learning.aggregators.base import (
    Mix,
    Points,
    Settings,
    Stage,
    build_identity,
)
from flchain.learning.aggregators.centres import compute_geometric_median, compute_median
from flchain.learning.aggregators.exact import Integers
from flchain.learning.aggregators.selection import build_selection
from flchain.learning.strategies.base import Parameter

_WHOLE_BPS = 10_000
_MEDIAN_ITERATIONS = 8


def filter_points(points: Points, settings: Settings) -> Mix:
    """Drop what a detector objects to, but never so much that fewer than `min_clients` are left.

    Then those that point most along the median stay.
    """
    norms = [math.isqrt(int(square)) for square in np.diagonal(points.gram)]
    limit = compute_median(norms) * settings["norm_bps"]
    cosines = compute_cosines(points, compute_geometric_median(points, _MEDIAN_ITERATIONS))
    is_fine = [
        norm * _WHOLE_BPS <= limit and cosine >= settings["cosine_bps"]
        for norm, cosine in zip(norms, cosines, strict=True)
    ]
    kept = _keep(is_fine, cosines, settings["min_clients"])
    return build_selection(np.array(kept), len(points))


def compute_cosines(points: Points, coefficients: Integers) -> list[int]:
    """Return the cosine, in basis points towards zero, of each row to a combination of them."""
    gram = points.gram.astype(object)
    along = gram @ coefficients
    squared = int(coefficients @ along)
    return [
        _compute_cosine(int(product), int(square) * squared)
        for product, square in zip(along, np.diagonal(gram), strict=True)
    ]


def select_scored(scores: Sequence[int], settings: Settings) -> list[int]:
    """Return the places that the stage `scores` leaves, of agents with these median scores."""
    return select_by_scores(scores, settings["score_bps"], settings["min_clients"])


def compute_median_scores(vectors: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the median score of each agent over the voters' signed vectors, in basis points."""
    return tuple(compute_median(column) for column in zip(*vectors, strict=True))


def select_by_scores(scores: Sequence[int], threshold_bps: int, min_clients: int) -> list[int]:
    """Return the places of the agents whose score is at least a share of the median score.

    If fewer than `min_clients` are, the ones with the highest scores, the first of equal ones.
    """
    limit = compute_median(scores) * threshold_bps if scores else 0
    is_fine = [score * _WHOLE_BPS >= limit for score in scores]
    return _keep(is_fine, scores, min_clients)


def _keep_all(points: Points, settings: Settings) -> Mix:
    """Leave everything: who scored too little was left out before."""
    del settings
    return build_identity(len(points))


def _compute_cosine(product: int, squares: int) -> int:
    if not squares:
        return 0
    cosine = math.isqrt(product * product * _WHOLE_BPS * _WHOLE_BPS // squares)
    return cosine if product > 0 else -cosine


def _keep(is_fine: Sequence[bool], scores: Sequence[int], least: int) -> list[int]:
    """Return the places that are fine, filled up to `least` with the best of the others."""
    order = sorted(range(len(scores)), key=lambda place: (not is_fine[place], -scores[place]))
    return sorted(order[: max(sum(is_fine), least)])


DETECTORS = Stage(
    "detectors",
    (
        Parameter("norm_bps", _WHOLE_BPS, 1_000 * _WHOLE_BPS),
        Parameter("cosine_bps", -_WHOLE_BPS, _WHOLE_BPS),
        Parameter("min_clients", 1, 1_024),
    ),
    lambda _: 1,
    lambda count, settings: min(count, settings["min_clients"]),
    filter_points,
)

SCORES = Stage(
    "scores",
    (
        Parameter("score_bps", 0, _WHOLE_BPS),
        Parameter("min_clients", 1, 1_024),
        Parameter("probe_size", 1, 1_000_000),
    ),
    lambda _: 1,
    lambda count, settings: min(count, settings["min_clients"]),
    _keep_all,
    is_blind=True,
)
"""Works on validators' signed scores instead of points, hence before all other stages."""

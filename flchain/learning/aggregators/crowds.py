"""Crowds: updates that lie closer together than independent training puts them count as one.

Colluders who all send the same vector pull a rule that goes by distances towards it, and copies
are paid for nothing. Fung et al. 2020 (FoolsGold, https://arxiv.org/abs/1808.04866) turn the
likeness of Sybils against them; here the first of a crowd stands for all of it, and each of the
others is one Byzantine update less to withstand.

The measure is a distance of two honest updates: of all pairs in order of distance the one at place
f (f - 1) / 2 + (n - f)(n - f - 1) / 4. If the bad ones are all alike, at most half of the honest
pairs are closer; and with up to 41 % bad ones the most distant honest pair is at least as far
apart, whatever they do. `closeness_bps` belongs below 1 / sqrt(2): independent updates of many
parameters are sqrt(2) times as far from each other as from their mean, so that up to there no
update lies close to several honest ones and swallows them.
"""

import numpy as np

from flchain.learning.aggregators.base import Mix, Points, Settings, Stage, keep_count
from flchain.learning.aggregators.exact import compute_distances
from flchain.learning.aggregators.selection import build_selection
from flchain.learning.strategies.base import Parameter

_WHOLE_BPS = 10_000


def merge_crowds(points: Points, settings: Settings) -> Mix:
    """Drop each row that is within `closeness_bps` of the measure of an earlier one that stays."""
    distances, count = compute_distances(points.gram).astype(object), len(points)
    pairs = np.sort(distances[np.triu_indices(count, 1)])
    if not len(pairs):
        return build_selection(np.arange(count), count)
    limit = settings["closeness_bps"] ** 2 * pairs[_get_place(count, settings["f"])]
    is_close = distances * _WHOLE_BPS**2 <= limit
    kept: list[int] = []
    for place in range(count):
        if not any(is_close[place, other] for other in kept):
            kept.append(place)
    return build_selection(np.array(kept), count)


def _get_place(count: int, f: int) -> int:
    """Return the place of the measure among the pairs, from 0."""
    honest = max(2, count - f)
    place = f * (f - 1) // 2 + -(-honest * (honest - 1) // 4) - 1
    return min(place, count * (count - 1) // 2 - 1)


CROWDS = Stage(
    "crowds",
    (Parameter("closeness_bps", 0, _WHOLE_BPS),),
    lambda f: 2 * f + 1,
    keep_count,
    merge_crowds,
    finds_byzantine=True,
)

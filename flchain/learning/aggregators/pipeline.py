"""Running a rule: one Gram matrix if a stage wants it, then one pass over the coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flchain.learning.aggregators.base import (
    Aggregator,
    Mix,
    Points,
    Settings,
    apply_to_points,
    build_identity,
    chain,
    shorten,
)
from flchain.learning.aggregators.exact import (
    Float64,
    compute_gram,
    find_largest,
    get_magnitude,
    stack_chunks,
)
from flchain.learning.parameters import Int32, Int64

_INT32 = 1 << 31


@dataclass(frozen=True)
class Centre:
    """What a rule makes of the updates: `values / divisor`, in units of the updates."""

    values: Int64
    divisor: int


def find_centre(aggregator: Aggregator, rows: Sequence[Int32], settings: Settings) -> Centre:
    """Return the centre of `rows`, of which there must be enough for the rule and its `f`.

    Equal scores are decided by the order of the rows. The magnitude of a coordinate times the
    number of rows must be below 2^31, as the policy's capacity makes sure.
    """
    mix = shorten(_mix(aggregator, rows, settings))
    f, reducer = settings["f"], aggregator.reducer
    values = np.empty(len(rows[0]), np.int64)
    exact = mix.matrix.astype(np.float64)
    is_plain = mix.divisor == 1 and np.array_equal(exact, np.eye(len(rows)))
    fits = get_magnitude(mix.matrix) * len(rows) * find_largest(rows) < _INT32
    for part, block in stack_chunks(rows):
        mixed = block if is_plain else exact @ block
        columns = _transpose(mixed, fits=fits)
        columns.sort(axis=1)
        values[part] = reducer.reduce(columns, f)
    return Centre(values, mix.divisor * reducer.kept(len(mix), f))


def _transpose(mixed: Float64, *, fits: bool) -> Int32 | Int64:
    """Return whole numbers with a coordinate's values side by side, which sorts fastest."""
    if fits:
        return np.ascontiguousarray(mixed.T, np.int32)
    return np.ascontiguousarray(mixed.T, np.int64)


def _mix(aggregator: Aggregator, rows: Sequence[Int32], settings: Settings) -> Mix:
    mix = build_identity(len(rows))
    is_blind = all(stage.is_blind for stage in aggregator.stages)
    points = Points(np.zeros_like(mix.matrix) if is_blind else compute_gram(rows))
    for stage in aggregator.stages:
        step = stage.mix(points, settings)
        points, mix = apply_to_points(step, points), chain(step, mix)
    return mix

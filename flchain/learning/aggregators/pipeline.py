"""Running a rule: one Gram matrix if a stage wants it, then one pass over the coordinates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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

    It is zero if a stage drops so many that the next one could withstand none.

    Equal scores are decided by the order of the rows. The magnitude of a coordinate times the
    number of rows must be below 2^31, as the policy's capacity makes sure.
    """
    mixed = _mix(aggregator, rows, settings)
    values = np.zeros(len(rows[0]), np.int64)
    if mixed is None:
        return Centre(values, 1)
    mix, f = mixed
    reducer = aggregator.reducer
    for part, columns in _transpose_chunks(mix, rows):
        columns.sort(axis=1)
        values[part] = reducer.reduce(columns, f)
    return Centre(values, mix.divisor * reducer.kept(len(mix), f))


def _transpose_chunks(mix: Mix, rows: Sequence[Int32]) -> Iterator[tuple[slice, Int32 | Int64]]:
    """Yield the mixed rows with the values of a coordinate side by side, which sorts fastest."""
    matrix = mix.matrix.astype(np.float64)
    if mix.divisor == 1 and np.array_equal(matrix, np.eye(len(rows))):
        for part, block in stack_chunks(rows, np.int32):
            yield part, np.ascontiguousarray(block.T)
        return
    fits = get_magnitude(mix.matrix) * len(rows) * find_largest(rows) < _INT32
    for part, stacked in stack_chunks(rows, np.float64):
        mixed = (matrix @ stacked).T
        if fits:
            yield part, np.ascontiguousarray(mixed, np.int32)
        else:
            yield part, np.ascontiguousarray(mixed, np.int64)


def _mix(
    aggregator: Aggregator, rows: Sequence[Int32], settings: Settings
) -> tuple[Mix, int] | None:
    """Return what the stages leave, and the `f` that the reducer is to withstand.

    None if a stage left too few rows for the next one.
    """
    mix = build_identity(len(rows))
    is_blind = all(stage.is_blind for stage in aggregator.stages)
    points = Points(np.zeros_like(mix.matrix) if is_blind else compute_gram(rows))
    left = aggregator
    while left.stages:
        stage, left = left.stages[0], replace(left, stages=left.stages[1:])
        step = stage.mix(points, settings)
        found = len(points) - len(step) if stage.finds_byzantine else 0
        weaker = left.weaken(len(step), {**settings, "f": max(0, settings["f"] - found)})
        if weaker is None:
            return None
        settings, points, mix = weaker, apply_to_points(step, points), chain(step, mix)
    return shorten(mix), settings["f"]

"""What a robust aggregator is: stages that mix updates, and a rule for each coordinate.

A stage looks at nothing but the inner products of the updates and answers with integer
coefficients: each row that it passes on is a combination of the rows that it got, over one
common divisor. A stage that leaves one row (Krum, geometric median) ends the matter; after one
that leaves several (NNM, bucketing) a reducer works on each coordinate of them. So an aggregation
takes one Gram matrix and one pass over the coordinates, whatever it is made of, and every
number in it is an integer.

`f` is the number of Byzantine updates that a rule is to withstand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from flchain.learning.aggregators.exact import Integers, multiply
from flchain.learning.parameters import Int32, Int64
from flchain.learning.strategies.base import Parameter

MAX_DIVISOR = 1 << 20
"""Coefficients over a larger divisor are rounded to it; this keeps mixed rows below 2^52."""

Settings: TypeAlias = Mapping[str, int]
"""A rule's parameters by name."""


@dataclass(frozen=True)
class Mix:
    """Rows as combinations of updates: row i is sum_j matrix[i, j] x_j / divisor.

    The magnitudes of a row of the matrix add up to the divisor at most.
    """

    matrix: Integers
    divisor: int

    def __len__(self) -> int:
        return len(self.matrix)


@dataclass(frozen=True)
class Points:
    """Rows known by their inner products alone, in units of 1 / divisor."""

    gram: Integers
    divisor: int = 1

    def __len__(self) -> int:
        return len(self.gram)


@dataclass(frozen=True)
class Stage:
    """One step on whole updates.

    `least(f)` is how many rows it needs, `count(n)` how many it passes on at least, of n. One
    that `is_blind` looks at the number of rows alone. Each row that a stage drops which
    `finds_byzantine` is one less to withstand.
    """

    name: str
    parameters: tuple[Parameter, ...]
    least: Callable[[int], int]
    count: Callable[[int, Settings], int]
    mix: Callable[[Points, Settings], Mix]
    is_blind: bool = False
    finds_byzantine: bool = False


@dataclass(frozen=True)
class Reducer:
    """One step on each coordinate.

    `reduce` takes the sorted values of each coordinate (c, m) and returns a sum of `kept(m, f)`
    of them.
    """

    least: Callable[[int], int]
    kept: Callable[[int, int], int]
    reduce: Callable[[Int32 | Int64, int], Int64]


@dataclass(frozen=True)
class Aggregator:
    """One robust rule: its stages, in order, and the reducer of what they leave."""

    name: str
    stages: tuple[Stage, ...]
    reducer: Reducer

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """`f` and what the stages want, each name once."""
        stages = (parameter for stage in self.stages for parameter in stage.parameters)
        return tuple(dict.fromkeys((BYZANTINE, *stages)))

    def is_enough(self, count: int, settings: Settings) -> bool:
        """Return whether `count` updates suffice to withstand `f`."""
        f = settings["f"]
        for stage in self.stages:
            if count < stage.least(f):
                return False
            count = stage.count(count, settings)
        return count >= self.reducer.least(f)

    def compute_least(self, settings: Settings, most: int) -> int | None:
        """Return the fewest updates that suffice; None if not even `most` do."""
        counts = (count for count in range(1, most + 1) if self.is_enough(count, settings))
        return next(counts, None)

    def weaken(self, count: int, settings: Settings) -> Settings | None:
        """Return the settings with the largest `f` that `count` updates can withstand.

        None if they are too few even without any Byzantine one.
        """
        for f in range(settings["f"], -1, -1):
            weaker = {**settings, "f": f}
            if self.is_enough(count, weaker):
                return weaker
        return None


BYZANTINE = Parameter("f", 0, 511)


def build_identity(count: int) -> Mix:
    """Return the mix that leaves everything as it is."""
    return Mix(np.eye(count, dtype=np.int64), 1)


def chain(outer: Mix, inner: Mix) -> Mix:
    """Return `outer` of `inner` as one mix of the updates."""
    return Mix(multiply(outer.matrix, inner.matrix), outer.divisor * inner.divisor)


def apply_to_points(mix: Mix, points: Points) -> Points:
    """Return the inner products of the mixed rows."""
    gram = multiply(multiply(mix.matrix, points.gram), mix.matrix.T)
    return Points(gram, mix.divisor * points.divisor)


def shorten(mix: Mix) -> Mix:
    """Return the mix with a divisor of at most MAX_DIVISOR, coefficients rounded half up."""
    if mix.divisor <= MAX_DIVISOR:
        return Mix(mix.matrix.astype(np.int64), mix.divisor)
    doubled = 2 * MAX_DIVISOR * mix.matrix.astype(object) + mix.divisor
    return Mix((doubled // (2 * mix.divisor)).astype(np.int64), MAX_DIVISOR)


def keep_count(count: int, settings: Settings) -> int:
    """Return `count`: the stage passes on as many rows as it gets."""
    del settings
    return count


def keep_one(count: int, settings: Settings) -> int:
    """Return 1: the stage leaves a single row."""
    del count, settings
    return 1

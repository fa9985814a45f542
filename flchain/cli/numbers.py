"""What a number on the command line may be, so that a wrong one ends before anything begins."""

import math
from typing import Any

import click

from flchain.protocol.policy import MAX_GROUPS

ROUNDS = click.IntRange(1, 2**24 - 1)
"""Numbers of rounds; as many as a task can have."""
TASK = click.IntRange(1, 2**64 - 1)
VERSION = click.IntRange(0, 2**32 - 1)
AGENTS = click.IntRange(1, 1_024)
ATTACKERS = click.IntRange(0, 1_023)
GROUPS = click.IntRange(1, MAX_GROUPS)
VALIDATORS = click.IntRange(1, 64)
"""Seats of a committee."""
SEED = click.IntRange(0, 2**256 - 1)
MAX_TOKENS = 10**10
"""Whole tokens; the contracts count in 96 bits of wei."""
STAKE = click.IntRange(1, MAX_TOKENS)
COINS = click.IntRange(0, 10**9)
PORT = click.IntRange(0, 65_535)
CHAIN_ID = click.IntRange(1, 2**64 - 1)
BYTES = click.IntRange(min=1)


class FiniteRange(click.FloatRange):
    """A range of floats that holds no NaN."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number. Raises BadParameter."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


ALPHA = FiniteRange(0, 1_000_000, min_open=True)
NOISE = FiniteRange(0.000_001, 10_000)
EPSILON = FiniteRange(0, 10_000)
PAUSE = FiniteRange(0, 3_600, min_open=True)
"""Seconds between two looks."""
AGE = FiniteRange(0, 1e10)

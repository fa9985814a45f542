"""What an attack is: a frozen record of pure functions, for tests, simulations and benchmarks.

Attackers collude: all of them know what each of them sees. What they see is up to the caller,
from their own honest updates alone to everybody's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32


@dataclass(frozen=True)
class Scene:
    """What a colluder works with: honest updates (m, d), and the one that it would send itself."""

    honest: Float32
    own: Float32
    rng: np.random.Generator


@dataclass(frozen=True)
class Attack:
    """One attack: what it does to a colluder's rows before training, and to its update after."""

    name: str
    forge: Callable[[Scene], Float32]
    poison: Callable[[Dataset], Dataset]


def send_own(scene: Scene) -> Float32:
    """Return the colluder's own update as it is."""
    return scene.own


def keep_rows(data: Dataset) -> Dataset:
    """Return the rows as they are."""
    return data

"""What a federated strategy is: a frozen record of pure functions.

The client's rule works on floats and is never re-executed. The server's rule maps (state,
step, policy) to the next state with integers only, and is what validators vote on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.learning.integers import saturate
from flchain.learning.parameters import STATE_LIMIT, FloatUpdate, Int64, State
from flchain.learning.training.base import Trainer
from flchain.protocol.policy import Policy

Step: TypeAlias = Mapping[str, Int64]
"""The weighted mean of the updates by section, in units of 2^-32, at most 2^40 in magnitude."""


@dataclass(frozen=True)
class ClientTask:
    """What a client's rule works on; `seed` decides the order of its batches."""

    state: State
    data: Dataset
    policy: Policy
    trainer: Trainer
    seed: int


@dataclass(frozen=True)
class Parameter:
    """One integer parameter of a strategy and the range it may have."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Strategy:
    """One federated algorithm.

    Every update section has the length of `params`, and so has every server section.
    `train` makes an agent's update; `apply` makes the next state of the step that the
    updates add up to, on integers alone.
    """

    name: str
    parameters: tuple[Parameter, ...]
    update_sections: tuple[str, ...]
    server_sections: tuple[str, ...]
    train: Callable[[ClientTask], FloatUpdate]
    apply: Callable[[State, Step, Policy], State]

    def init_state(self, parameters: Int64) -> State:
        """Return version 0: the given parameters, and zeros for the server's memory."""
        server = {name: np.zeros_like(parameters) for name in self.server_sections}
        return State({"params": parameters, **server})


def add_step(parameters: Int64, step: Int64) -> Int64:
    """Return `parameters + step`, saturated at the largest magnitude of a state."""
    return saturate(parameters + step, STATE_LIMIT)

"""What a federated strategy is: a frozen record of pure functions.

The client's rule works on floats and is never re-executed. The server's rule maps (state,
step, policy) to the next state with integers only, and is what validators vote on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.learning.integers import saturate
from flchain.learning.parameters import (
    STATE_LIMIT,
    FloatUpdate,
    Int64,
    NamedArrays,
    QuantizedUpdate,
    State,
)
from flchain.learning.training.base import Trainer
from flchain.protocol.policy import Policy

Step: TypeAlias = Mapping[str, Int64]
"""The weighted mean of the updates by section, in units of 2^-32, at most 2^40 in magnitude."""


@dataclass(frozen=True)
class ClientTask:
    """What a client's rule works on; `seed` decides the order of its batches.

    `memory` is what `Strategy.keep` returned in the newest round that counted this client, as
    flat vectors by name; empty before the first.
    """

    state: State
    data: Dataset
    policy: Policy
    trainer: Trainer
    seed: int
    memory: NamedArrays = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """One integer parameter of a strategy and the range it may have."""

    name: str
    low: int
    high: int


def keep_nothing(
    memory: NamedArrays, update: QuantizedUpdate, policy: Policy
) -> Mapping[str, NDArray[np.float32]]:
    """Return an empty memory: the client begins every round anew."""
    del memory, update, policy
    return {}


def accept_all(update: QuantizedUpdate, policy: Policy) -> None:
    """Ask nothing of an update beyond its form."""
    del update, policy


@dataclass(frozen=True)
class Strategy:
    """One federated algorithm.

    Every update section has the length of `params`, but those in `counts`, which hold one
    integer; every server section has it too. `train` makes an agent's update and `keep`, from
    what is published of it, the client's memory; `verify` raises EncodingError if an update
    cannot count. `apply` makes the next state of the step that the updates add up to, on
    integers alone.
    """

    name: str
    parameters: tuple[Parameter, ...]
    update_sections: tuple[str, ...]
    server_sections: tuple[str, ...]
    train: Callable[[ClientTask], FloatUpdate]
    apply: Callable[[State, Step, Policy], State]
    counts: tuple[str, ...] = ()
    keep: Callable[[NamedArrays, QuantizedUpdate, Policy], NamedArrays] = keep_nothing
    verify: Callable[[QuantizedUpdate, Policy], None] = accept_all

    def init_state(self, parameters: Int64) -> State:
        """Return version 0: the given parameters, and zeros for the server's memory."""
        server = {name: np.zeros_like(parameters) for name in self.server_sections}
        return State({"params": parameters, **server})


def add_step(parameters: Int64, step: Int64) -> Int64:
    """Return `parameters + step`, saturated at the largest magnitude of a state."""
    return saturate(parameters + step, STATE_LIMIT)

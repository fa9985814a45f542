"""The port between strategies and whatever trains: NumPy, torch or a user's own code."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation
from flchain.learning.parameters import Float32, NamedArrays
from flchain.protocol.policy import MICROS, TrainingSpec


@dataclass(frozen=True)
class LocalPlan:
    """How to train locally: SGD on `gradient_scale * gradient + gradient_offset`.

    The two gradient fields let a strategy correct the local direction (server momentum,
    control variates); `proximal` times the way from the start is added to them. `momentum` is
    the local optimiser's own. Layers named in `frozen` stay as they are.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    gradient_scale: float = 1.0
    gradient_offset: NamedArrays | None = None
    proximal: float = 0.0
    frozen: frozenset[str] = frozenset()

    def count_steps(self, samples: int) -> int:
        """Return how many batches one training on `samples` rows takes."""
        return self.epochs * -(-samples // self.batch_size)


@dataclass(frozen=True)
class TrainingResult:
    """New parameters, rows trained on, and the mean loss of the last epoch."""

    parameters: NamedArrays
    samples: int
    loss: float


class Trainer(Protocol):
    """Trains and evaluates one architecture. Pure: nothing is kept between calls.

    The same arguments give the same result on the same machine.
    """

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Return what local training makes of `parameters`; `seed` orders the batches."""
        ...

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient of the mean loss over all of `data`."""
        ...

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean loss on `data`."""
        ...

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        ...


def build_plan(
    training: TrainingSpec,
    *,
    gradient_scale: float = 1.0,
    gradient_offset: NamedArrays | None = None,
    proximal: float = 0.0,
) -> LocalPlan:
    """Return the policy's local plan, with a strategy's correction of the gradient."""
    return LocalPlan(
        epochs=training.local_epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate_micros / MICROS,
        momentum=training.momentum_micros / MICROS,
        gradient_scale=gradient_scale,
        gradient_offset=gradient_offset,
        proximal=proximal,
    )


def compute_step_weight(plan: LocalPlan, samples: int) -> float:
    """Return how many plain SGD steps one local training is worth: |a|_1 of FedNova.

    Without momentum it is the number of batches; with momentum rho, tau batches are worth
    (tau - rho (1 - rho^tau) / (1 - rho)) / (1 - rho), see section 4 of
    https://arxiv.org/abs/2007.07481.
    """
    steps, rho = plan.count_steps(samples), plan.momentum
    return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)


def build_generator(seed: int) -> np.random.Generator:
    """Return the generator that orders the batches of one local training."""
    return np.random.Generator(np.random.PCG64(seed))

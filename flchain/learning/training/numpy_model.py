"""Two functions on NumPy arrays as a model.

The user's `gradient` maps (parameters, inputs, labels) to the mean loss of a batch and its
gradient by name; `scores` maps (parameters, inputs) to class scores before softmax.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation, evaluate_scores
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult, build_generator
from flchain.learning.training.model import check_arrays
from flchain.protocol.policy import Layer

Scores: TypeAlias = Callable[[NamedArrays, Float32], Float32]
Gradient: TypeAlias = Callable[
    [NamedArrays, Float32, NDArray[np.int64]], tuple[float, Mapping[str, Float32]]
]


class NumpyModel:
    """A model that two pure functions define; trained with SGD as the plan says."""

    def __init__(self, initial: NamedArrays, scores: Scores, gradient: Gradient) -> None:
        """Hold `initial`, whose names and shapes are the layers."""
        self._values = {n: np.array(a, np.float32) for n, a in initial.items()}
        self._scores, self._gradient = scores, gradient

    def get_layers(self) -> tuple[Layer, ...]:
        """Return the layers, in the order of the initial values."""
        return tuple(Layer(name, array.shape) for name, array in self._values.items())

    def get_parameters(self) -> dict[str, Float32]:
        """Return copies of the values held."""
        return {name: array.copy() for name, array in self._values.items()}

    def set_parameters(self, parameters: NamedArrays) -> None:
        """Hold these values. Raises ConfigError if they do not fit."""
        check_arrays(parameters, self.get_layers())
        self._values = {name: np.array(parameters[name], np.float32) for name in self._values}

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Run mini-batch SGD in an order that `seed` decides."""
        rng = build_generator(seed)
        start = {name: np.array(parameters[name], np.float32) for name in self._values}
        current = {name: array.copy() for name, array in start.items()}
        velocity = {name: np.zeros_like(array) for name, array in start.items()}
        losses: list[float] = []
        for _ in range(plan.epochs):
            order = rng.permutation(len(data))
            losses = []
            for begin in range(0, len(order), plan.batch_size):
                rows = order[begin : begin + plan.batch_size]
                loss, gradient = self._gradient(current, data.inputs[rows], data.labels[rows])
                losses.append(loss)
                _move(current, velocity, start, gradient, plan=plan)
        return TrainingResult(current, len(data), float(np.mean(losses)) if losses else 0.0)

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient of the mean loss over all rows."""
        return dict(self._gradient(parameters, data.inputs, data.labels)[1])

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean cross-entropy."""
        return evaluate_scores(self.predict(parameters, data.inputs), data.labels)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        return self._scores(parameters, inputs)


def _move(
    current: dict[str, Float32],
    velocity: dict[str, Float32],
    start: NamedArrays,
    gradient: NamedArrays,
    *,
    plan: LocalPlan,
) -> None:
    """Move `current` and `velocity` by one batch, in place."""
    for name, value in current.items():
        if name in plan.frozen:
            continue
        corrected = np.float32(plan.gradient_scale) * gradient[name]
        if plan.gradient_offset is not None:
            corrected = corrected + plan.gradient_offset[name]
        if plan.proximal:
            corrected = corrected + np.float32(plan.proximal) * (value - start[name])
        velocity[name] = np.float32(plan.momentum) * velocity[name] + corrected
        current[name] = value - np.float32(plan.learning_rate) * velocity[name]

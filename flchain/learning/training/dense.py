"""Softmax regression and multi-layer perceptrons in NumPy, for machines without torch.

The layers are pairs of a weight (outputs, inputs) and a bias (outputs), with ReLU between.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation, compute_log_softmax, evaluate_scores
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult, build_generator
from flchain.protocol.policy import Layer


def is_dense(layers: Sequence[Layer]) -> bool:
    """Return whether `layers` are weight and bias pairs of a chain of dense layers."""
    weights, biases = layers[::2], layers[1::2]
    return (
        len(weights) == len(biases)
        and all(len(weight.shape) == 2 for weight in weights)  # noqa: PLR2004  # a matrix
        and all(
            bias.shape == weight.shape[:1] for weight, bias in zip(weights, biases, strict=True)
        )
        and all(second.shape[1] == first.shape[0] for first, second in pairwise(weights))
    )


class DenseTrainer:
    """Trains a chain of dense layers with SGD; needs NumPy alone."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Train models of `layers`, for which `is_dense` must hold."""
        self._names = [layer.name for layer in layers]

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Run mini-batch SGD in an order that `seed` decides."""
        rng = build_generator(seed)
        current = [np.array(parameters[name], np.float32) for name in self._names]
        velocity = [np.zeros_like(array) for array in current]
        anchor = [array.copy() for array in current] if plan.proximal else []
        losses: list[float] = []
        for _ in range(plan.epochs):
            order = rng.permutation(len(data))
            starts = range(0, len(order), plan.batch_size)
            rows = [order[start : start + plan.batch_size] for start in starts]
            losses = [
                self._step(current, velocity, data, batch, plan, anchor=anchor) for batch in rows
            ]
        named = dict(zip(self._names, current, strict=True))
        return TrainingResult(named, len(data), float(np.mean(losses)))

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the full-batch gradient of the mean cross-entropy."""
        arrays = [parameters[name] for name in self._names]
        _, gradients = _compute_gradients(arrays, data.inputs, data.labels)
        return dict(zip(self._names, gradients, strict=True))

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean cross-entropy."""
        return evaluate_scores(self.predict(parameters, data.inputs), data.labels)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return the scores before softmax, one row per input."""
        return _forward([parameters[name] for name in self._names], inputs)[-1]

    def _step(
        self,
        current: list[Float32],
        velocity: list[Float32],
        data: Dataset,
        rows: NDArray[np.int64],
        plan: LocalPlan,
        *,
        anchor: Sequence[Float32],
    ) -> float:
        """Move `current` and `velocity` by one batch, in place; return its loss."""
        loss, gradients = _compute_gradients(current, data.inputs[rows], data.labels[rows])
        for index, name in enumerate(self._names):
            if name in plan.frozen:
                continue
            gradient = gradients[index] * np.float32(plan.gradient_scale)
            if plan.gradient_offset is not None:
                gradient += plan.gradient_offset[name]
            if anchor:
                gradient += np.float32(plan.proximal) * (current[index] - anchor[index])
            velocity[index] *= np.float32(plan.momentum)
            velocity[index] += gradient
            current[index] -= np.float32(plan.learning_rate) * velocity[index]
        return loss


def _forward(arrays: Sequence[Float32], inputs: Float32) -> list[Float32]:
    """Return the input of each layer and, last, the scores."""
    activations = [inputs.reshape(len(inputs), -1)]
    for weight, bias in zip(arrays[::2], arrays[1::2], strict=True):
        # The last entry is an input to the next layer from here on: apply its ReLU.
        if len(activations) > 1:
            activations[-1] = np.maximum(activations[-1], np.float32(0))
        activations.append(activations[-1] @ weight.T + bias)
    return activations


def _compute_gradients(
    arrays: Sequence[Float32], inputs: Float32, labels: NDArray[np.int64]
) -> tuple[float, list[Float32]]:
    """Return the mean cross-entropy and its gradient by array."""
    activations = _forward(arrays, inputs)
    log_softmax = compute_log_softmax(activations[-1])
    rows = np.arange(len(labels))
    loss = -float(log_softmax[rows, labels].mean())
    error = np.exp(log_softmax)
    error[rows, labels] -= np.float32(1)
    error /= np.float32(len(labels))
    gradients: list[Float32] = []
    for index in range(len(arrays) // 2 - 1, -1, -1):
        gradients = [error.T @ activations[index], error.sum(axis=0), *gradients]
        if index:
            error = (error @ arrays[2 * index]) * (activations[index] > 0)
    return loss, gradients

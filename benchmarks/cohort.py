"""A small perceptron trained by many clients at once: one batched product for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data import Dataset

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """An input layer, one hidden layer with ReLU, and classes."""

    inputs: int
    hidden: int
    classes: int

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.hidden * (self.inputs + 1) + self.classes * (self.hidden + 1)

    def split(self, vectors: Float32) -> tuple[Float32, Float32, Float32, Float32]:
        """Return views of weights and biases of flat models (k, size)."""
        count, first = len(vectors), self.hidden * self.inputs
        second = first + self.hidden
        third = second + self.classes * self.hidden
        return (
            vectors[:, :first].reshape(count, self.hidden, self.inputs),
            vectors[:, first:second].reshape(count, 1, self.hidden),
            vectors[:, second:third].reshape(count, self.classes, self.hidden),
            vectors[:, third:].reshape(count, 1, self.classes),
        )


@dataclass(frozen=True)
class Plan:
    """SGD with momentum, one pass over each client's rows."""

    batch: int
    rate: float
    momentum: float


@dataclass(frozen=True)
class Batch:
    """One batch of each client: inputs (k, b, i), one-hot labels (k, b, c), weights (k, b, 1)."""

    inputs: Float32
    targets: Float32
    weights: Float32


def train_cohort(
    shape: Shape, start: Float32, shares: Sequence[Dataset], plan: Plan, rng: np.random.Generator
) -> Float32:
    """Return each client's update (k, size) from the model `start`."""
    order = sorted(range(len(shares)), key=lambda place: -len(shares[place]))
    models = np.repeat(start[np.newaxis], len(shares), axis=0)
    velocity = np.zeros_like(models)
    rows = [rng.permutation(len(shares[place])) for place in order]
    for begin in range(0, len(rows[0]), plan.batch):
        batches = [line[begin : begin + plan.batch] for line in rows if len(line) > begin]
        # The clients with the most rows come first, so those still at work are a prefix.
        active = slice(len(batches))
        batch = _stack(shape, plan.batch, [shares[i] for i in order], batches)
        velocity[active] *= np.float32(plan.momentum)
        _add_gradients(shape, velocity[active], models[active], batch)
        models[active] -= np.float32(plan.rate) * velocity[active]
    updates = np.empty_like(models)
    updates[order] = models - start
    return updates


def predict(shape: Shape, model: Float32, inputs: Float32) -> Float32:
    """Return the scores of one flat model."""
    first, bias, second, offset = shape.split(model[np.newaxis])
    hidden = np.maximum(inputs.reshape(len(inputs), -1) @ first[0].T + bias[0], 0)
    scores: Float32 = hidden @ second[0].T + offset[0]
    return scores


def initialise(shape: Shape, rng: np.random.Generator) -> Float32:
    """Return a model with uniform weights as in He et al. 2015 and zero biases."""
    model = np.zeros((1, shape.size), np.float32)
    first, _, second, _ = shape.split(model)
    for weights, fan_in in ((first, shape.inputs), (second, shape.hidden)):
        bound = np.sqrt(6 / fan_in)
        weights[:] = rng.uniform(-bound, bound, weights.shape)
    return model[0]


def _stack(
    shape: Shape, size: int, shares: Sequence[Dataset], batches: Sequence[NDArray[np.int64]]
) -> Batch:
    """Return the rows of every client's batch, padded to `size` with weight 0."""
    count = len(batches)
    inputs = np.zeros((count, size, shape.inputs), np.float32)
    targets = np.zeros((count, size, shape.classes), np.float32)
    weights = np.zeros((count, size, 1), np.float32)
    for line, (share, batch) in enumerate(zip(shares, batches, strict=False)):
        taken = len(batch)
        inputs[line, :taken] = share.inputs[batch].reshape(taken, -1)
        targets[line, np.arange(taken), share.labels[batch]] = 1
        weights[line, :taken] = 1 / taken
    return Batch(inputs, targets, weights)


def _add_gradients(shape: Shape, total: Float32, models: Float32, batch: Batch) -> None:
    """Add each model's gradient of the mean cross-entropy of its batch to `total`, in place."""
    first, bias, second, offset = shape.split(models)
    hidden = np.maximum(batch.inputs @ first.transpose(0, 2, 1) + bias, 0)
    scores = hidden @ second.transpose(0, 2, 1) + offset
    scores -= scores.max(axis=2, keepdims=True)
    error = np.exp(scores)
    error /= error.sum(axis=2, keepdims=True)
    error -= batch.targets
    error *= batch.weights
    back = (error @ second) * (hidden > 0)
    sums = shape.split(total)
    sums[0][:] += back.transpose(0, 2, 1) @ batch.inputs
    sums[1][:] += back.sum(axis=1, keepdims=True)
    sums[2][:] += error.transpose(0, 2, 1) @ hidden
    sums[3][:] += error.sum(axis=1, keepdims=True)

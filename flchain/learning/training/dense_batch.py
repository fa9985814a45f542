"""Many clients' dense models, trained at once: arrays with the clients as first axis.

Each client sees the batches that it would see alone, by its own seed; sums may round in another
order, so results agree to float precision and not to the bit. A short last batch is filled with
rows of weight zero, and a client that has no batch left stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult, build_generator
from flchain.protocol.policy import Layer

_GROUP_BYTES = 1 << 23
"""Inputs of one step that are worked on at once: what a processor's cache may hold."""


@dataclass(frozen=True)
class Client:
    """One client's rows, and the seed that orders them."""

    data: Dataset
    seed: int


def train_dense_batch(
    layers: Sequence[Layer], parameters: NamedArrays, clients: Sequence[Client], plan: LocalPlan
) -> list[TrainingResult]:
    """Return what `DenseTrainer.train` gives for each client, up to rounding.

    `layers` are pairs of a weight and a bias. The plan must have no gradient offset.
    """
    # Alike sizes next to each other, so that few stand still while others go on.
    order = sorted(range(len(clients)), key=lambda index: -len(clients[index].data))
    width = max((clients[index].data.inputs[:1].nbytes for index in order), default=1)
    size = max(1, _GROUP_BYTES // (width * plan.batch_size))
    results: dict[int, TrainingResult] = {}
    for start in range(0, len(order), size):
        group = order[start : start + size]
        trained = _Group(layers, parameters, [clients[index] for index in group], plan).train()
        results.update(zip(group, trained, strict=True))
    return [results[index] for index in range(len(clients))]


class _Group:
    """Clients that are trained at once, those with the most rows first."""

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: NamedArrays,
        clients: Sequence[Client],
        plan: LocalPlan,
    ) -> None:
        self._names = [layer.name for layer in layers]
        self._plan, self._clients = plan, clients
        self._start = [np.asarray(parameters[name], np.float32) for name in self._names]
        self._current = [np.repeat(array[np.newaxis], len(clients), 0) for array in self._start]
        self._velocity = [np.zeros_like(array) for array in self._current]
        self._rngs = [build_generator(client.seed) for client in clients]
        self._losses = np.zeros(len(clients))
        self._inputs = [c.data.inputs.reshape(len(c.data), -1) for c in clients]

    def train(self) -> list[TrainingResult]:
        """Run all epochs and return the clients' results in their order."""
        size = self._plan.batch_size
        steps = [-(-len(client.data) // size) for client in self._clients]
        for _ in range(self._plan.epochs):
            pairs = zip(self._rngs, self._clients, strict=True)
            orders = [rng.permutation(len(client.data)) for rng, client in pairs]
            self._losses[:] = 0
            for step in range(max(steps)):
                active = sum(step < count for count in steps)
                rows = [order[step * size : (step + 1) * size] for order in orders[:active]]
                self._step(rows)
        self._losses /= steps
        return [self._read(index) for index in range(len(self._clients))]

    def _read(self, index: int) -> TrainingResult:
        arrays = (array[index] for array in self._current)
        named = dict(zip(self._names, arrays, strict=True))
        return TrainingResult(named, len(self._clients[index].data), float(self._losses[index]))

    def _step(self, rows: Sequence[NDArray[np.int64]]) -> None:
        """Move the first `len(rows)` clients by one batch each."""
        active, plan = len(rows), self._plan
        inputs, labels, counts = self._gather(rows)
        current = [array[:active] for array in self._current]
        losses, gradients = _compute_gradients(current, inputs, labels, counts)
        self._losses[:active] += losses
        for index, name in enumerate(self._names):
            if name in plan.frozen:
                continue
            if plan.proximal:
                gradients[index] += np.float32(plan.proximal) * (
                    current[index] - self._start[index]
                )
            velocity = self._velocity[index][:active]
            velocity *= np.float32(plan.momentum)
            velocity += gradients[index]
            current[index] -= np.float32(plan.learning_rate) * velocity

    def _gather(
        self, rows: Sequence[NDArray[np.int64]]
    ) -> tuple[Float32, NDArray[np.int64], NDArray[np.int64]]:
        """Return inputs, labels and the number of rows that count, by client."""
        counts = np.array([len(batch) for batch in rows])
        most = int(counts.max())
        inputs = np.zeros((len(rows), most, self._inputs[0].shape[1]), np.float32)
        labels = np.zeros((len(rows), most), np.int64)
        for index, batch in enumerate(rows):
            np.take(self._inputs[index], batch, axis=0, out=inputs[index, : len(batch)])
            labels[index, : len(batch)] = self._clients[index].data.labels[batch]
        return inputs, labels, counts


def _compute_gradients(
    arrays: Sequence[Float32], inputs: Float32, labels: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[Float32]]:
    """Return each client's mean cross-entropy and its gradient by array."""
    activations = _forward(arrays, inputs)
    error, losses = _compute_error(activations[-1], labels, counts)
    gradients: list[Float32] = []
    for index in range(len(arrays) // 2 - 1, -1, -1):
        weight = np.matmul(error.transpose(0, 2, 1), activations[index])
        gradients = [weight, error.sum(axis=1), *gradients]
        if index:
            error = np.matmul(error, arrays[2 * index]) * (activations[index] > 0)
    return losses, gradients


def _forward(arrays: Sequence[Float32], inputs: Float32) -> list[Float32]:
    """Return the input of each layer and, last, the scores."""
    activations = [inputs]
    for weight, bias in zip(arrays[::2], arrays[1::2], strict=True):
        if len(activations) > 1:
            np.maximum(activations[-1], np.float32(0), out=activations[-1])
        scores = np.matmul(activations[-1], weight.transpose(0, 2, 1))
        scores += bias[:, np.newaxis]
        activations.append(scores)
    return activations


def _compute_error(
    scores: Float32, labels: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[Float32, NDArray[np.float64]]:
    """Return the loss's gradient by score, and the clients' losses; `scores` is overwritten."""
    mask = np.arange(scores.shape[1]) < counts[:, np.newaxis]
    scores -= scores.max(axis=2, keepdims=True)
    picked = np.take_along_axis(scores, labels[..., np.newaxis], axis=2)[..., 0]
    np.exp(scores, out=scores)
    totals = scores.sum(axis=2, keepdims=True)
    losses = ((np.log(totals[..., 0]) - picked) * mask).sum(axis=1) / counts
    scores /= totals
    hits = np.take_along_axis(scores, labels[..., np.newaxis], axis=2) - np.float32(1)
    np.put_along_axis(scores, labels[..., np.newaxis], hits, axis=2)
    scores *= (mask / counts[:, np.newaxis]).astype(np.float32)[..., np.newaxis]
    return scores, losses

"""Scores that need a forward pass: probe accuracy and mutual information of predictions.

They are floats of one validator's machine on its own probe rows, so nobody re-executes them: each
validator signs its vector in basis points, and what counts is the per-agent median of the signed
vectors (`compute_median_scores`, `select_by_scores`). They need each agent's model in the clear.

Mutual information cannot see a permutation of the labels, and prefers updates that stay close to
the mean; `docs/robustness.md` says what it finds and what it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.learning.aggregators.detectors import select_by_scores
from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32, NamedArrays, unflatten
from flchain.learning.training.base import Trainer
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Layer
from flchain.protocol.types import Bps

Labels = NDArray[np.int64]
_WHOLE_BPS = 10_000


@dataclass(frozen=True)
class ScoreFilter:
    """Which agents to keep by their scores, and on how many rows a validator measures them.

    Kept are those with at least `threshold_bps` of the median score, and never fewer than
    `min_clients`.
    """

    threshold_bps: Bps
    min_clients: int
    probe_size: int

    def select(self, scores: Sequence[int]) -> list[int]:
        """Return the places of the agents to keep."""
        return select_by_scores(scores, self.threshold_bps, self.min_clients)


def choose_probe(rows: Dataset, size: int, rng: np.random.Generator) -> Dataset:
    """Return `size` random rows. Raises ConfigError if there are not so many."""
    if len(rows) < size:
        raise ConfigError(
            f"data {rows.name}: {len(rows)} rows, a probe of {size} is wanted; "
            "lower probe_size or name more rows"
        )
    return rows.select(np.sort(rng.choice(len(rows), size, replace=False)))


def predict_labels(
    trainer: Trainer,
    parameters: Float32,
    updates: Sequence[Float32],
    layers: Sequence[Layer],
    probe: Dataset,
) -> Labels:
    """Return the class (n, rows) that the model moved by each update gives each probe row."""
    models: list[NamedArrays] = [unflatten(parameters + update, layers) for update in updates]
    scores = [trainer.predict(model, probe.inputs) for model in models]
    return np.array([score.argmax(axis=1) for score in scores], np.int64)


def score_accuracy(predictions: Labels, truth: Labels) -> tuple[Bps, ...]:
    """Return each agent's share of right predictions."""
    right = (predictions == truth).sum(axis=1)
    return tuple(Bps(int(count) * _WHOLE_BPS // len(truth)) for count in right)


def score_mutual_information(predictions: Labels, classes: int) -> tuple[Bps, ...]:
    """Return each agent's mean normalised mutual information with every other agent.

    That of two labellings is I(a; b) / ((H(a) + H(b)) / 2), or 1 if both are constant.
    """
    count, rows = predictions.shape
    if count == 1:
        return (Bps(_WHOLE_BPS),)
    marks = np.eye(classes)[predictions].transpose(1, 0, 2).reshape(rows, count * classes)
    joint = (marks.T @ marks / rows).reshape(count, classes, count, classes)
    entropy = _compute_entropy(marks.mean(axis=0).reshape(count, classes), axis=(1,))
    sums = entropy[:, np.newaxis] + entropy
    shared = sums - _compute_entropy(joint, axis=(1, 3))
    normal = np.divide(2 * shared, sums, out=np.ones_like(sums), where=sums > 0)
    np.fill_diagonal(normal, 0)
    means = normal.sum(axis=1) / (count - 1)
    return tuple(Bps(int(np.floor(mean * _WHOLE_BPS))) for mean in np.clip(means, 0, 1))


def _compute_entropy(shares: NDArray[np.float64], axis: tuple[int, ...]) -> NDArray[np.float64]:
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: NDArray[np.float64] = -(shares * logarithms).sum(axis=axis)
    return entropy

"""How good a model is on held-out data: a judgement, never part of what is re-executed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.learning.parameters import Float32
from flchain.protocol.types import Bps

_WHOLE_BPS = 10_000


@dataclass(frozen=True)
class Evaluation:
    """Accuracy in basis points, mean cross-entropy in nats, and rows looked at."""

    accuracy_bps: Bps
    loss: float
    samples: int

    @property
    def accuracy(self) -> float:
        """Accuracy between 0 and 1."""
        return self.accuracy_bps / _WHOLE_BPS


def evaluate_scores(scores: Float32, labels: NDArray[np.int64]) -> Evaluation:
    """Return accuracy and loss of class scores before softmax.

    A row whose scores are not finite counts as wrong; the loss is then infinite.
    """
    if not len(labels):
        return Evaluation(Bps(0), 0.0, 0)
    finite = np.isfinite(scores).all(axis=1)
    correct = int(((scores.argmax(axis=1) == labels) & finite).sum())
    accuracy = Bps(correct * _WHOLE_BPS // len(labels))
    if not finite.all():
        return Evaluation(accuracy, float("inf"), len(labels))
    losses = -compute_log_softmax(scores)[np.arange(len(labels)), labels]
    return Evaluation(accuracy, float(losses.mean(dtype=np.float64)), len(labels))


def is_good_enough(candidate: Bps, parent: Bps, tolerance: Bps) -> bool:
    """Return whether `candidate` is worse than `parent` by at most `tolerance`."""
    return candidate + tolerance >= parent


def compute_log_softmax(scores: Float32) -> Float32:
    """Return log(softmax) by row, without overflow."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: Float32 = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

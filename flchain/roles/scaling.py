"""Local training of simulated agents in other processes.

Everything else stays where it is: the agents act in threads, and each waits for its own training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flchain.learning.data import Dataset
from flchain.learning.evaluation import Evaluation
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training import LocalPlan, Trainer, TrainingResult


class Pool(Protocol):
    """Processes that run functions; arguments and results travel as pickles."""

    @property
    def size(self) -> int:
        """How many functions run at a time."""
        ...

    def put(self, value: Any) -> Any:
        """Send a value ahead; return what stands for it as an argument."""
        ...

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns elsewhere; what it raises is raised here."""
        ...


@dataclass
class RemoteTrainer:
    """One agent's trainer, which trains in a pool and does the rest here.

    `build` returns a trainer like `trainer` and is called where the training happens.
    """

    trainer: Trainer
    pool: Pool
    build: Callable[[], Trainer]
    _sent: tuple[Dataset | None, Any] = field(default=(None, None))

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Train in the pool."""
        found: TrainingResult = self.pool.run(
            train_here, self.build, dict(parameters), self._send(data), plan, seed
        )
        return found

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Compute the gradient in the pool."""
        found: NamedArrays = self.pool.run(
            compute_gradient_here, self.build, dict(parameters), self._send(data)
        )
        return found

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean loss on `data`."""
        return self.trainer.evaluate(parameters, data)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        return self.trainer.predict(parameters, inputs)

    def _send(self, data: Dataset) -> Any:
        """Send an agent's rows once, not in every round."""
        if self._sent[0] is not data:
            self._sent = (data, self.pool.put(data))
        return self._sent[1]


def train_here(
    build: Callable[[], Trainer],
    parameters: NamedArrays,
    data: Dataset,
    plan: LocalPlan,
    seed: int,
) -> TrainingResult:
    """Train in this process."""
    return build().train(parameters, data, plan, seed)


def compute_gradient_here(
    build: Callable[[], Trainer], parameters: NamedArrays, data: Dataset
) -> NamedArrays:
    """Compute a gradient in this process."""
    return build().compute_gradient(parameters, data)

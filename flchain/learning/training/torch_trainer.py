"""PyTorch behind the trainer port: one thread, and the same result for the same seed.

Importing this module imports torch.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation, evaluate_scores
from flchain.learning.models import MODELS
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult, build_generator
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Layer, ModelSpec

_EVALUATION_BATCH = 500


def build_torch_trainer(model: ModelSpec) -> "TorchTrainer":
    """Return a trainer for one of the shipped architectures, or raise ConfigError."""
    if model.architecture not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise ConfigError(
            f"no trainer for model {model.architecture}; choose one of {known}, "
            "or pass your own Trainer"
        )
    return TorchTrainer(MODELS[model.architecture])


class TorchTrainer:
    """Trains any module that maps a batch of inputs to class scores.

    `build` returns a new module; its named parameters are the model's arrays. From the first
    use on, the process runs torch on one thread: several agents share a machine, and the
    order in which threads add up would change the result.
    """

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        """Train modules made by `build`; the values they are born with do not matter."""
        torch.set_num_threads(1)
        self._module = build()

    def get_layers(self) -> tuple[Layer, ...]:
        """Return the model's layers, as a policy writes them."""
        named = self._module.named_parameters()
        return tuple(Layer(name, tuple(value.shape)) for name, value in named)

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Run mini-batch SGD in an order that `seed` decides."""
        self._load(parameters)
        self._module.train()
        rng = build_generator(seed)
        velocity = {name: torch.zeros_like(value) for name, value in self._named()}
        kept = self._named() if plan.proximal else ()
        anchor = {name: value.detach().clone() for name, value in kept}
        correct = partial(_correct, anchor=anchor, plan=plan)
        inputs, labels = _to_tensor(data.inputs), _to_tensor(data.labels)
        losses: list[float] = []
        for _ in range(plan.epochs):
            order = torch.from_numpy(rng.permutation(len(data)))
            batches = _split(order, plan.batch_size)
            losses = [
                self._step(velocity, inputs[rows], labels[rows], plan, correct=correct)
                for rows in batches
            ]
        return TrainingResult(self._dump(), len(data), float(np.mean(losses)))

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient of the mean cross-entropy over all rows."""
        self._load(parameters)
        self._module.train()
        self._module.zero_grad(set_to_none=True)
        for inputs, labels in _iterate(data):
            loss = nn.functional.cross_entropy(self._module(inputs), labels, reduction="sum")
            (loss / len(data)).backward()  # type: ignore[no-untyped-call]  # torch's own
        return {name: _get_gradient(value).numpy().copy() for name, value in self._named()}

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean cross-entropy."""
        return evaluate_scores(self.predict(parameters, data.inputs), data.labels)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        self._load(parameters)
        self._module.eval()
        with torch.inference_mode():
            batches = _split(_to_tensor(inputs), _EVALUATION_BATCH)
            scores: Float32 = torch.cat([self._module(batch) for batch in batches]).numpy()
        return scores

    def _step(
        self,
        velocity: dict[str, Tensor],
        inputs: Tensor,
        labels: Tensor,
        plan: LocalPlan,
        *,
        correct: Callable[[nn.Parameter, str], Tensor],
    ) -> float:
        """Move the module and `velocity` by one batch; return its loss."""
        self._module.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self._module(inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        # What torch.optim.SGD does, without the two seconds that importing it takes.
        with torch.no_grad():
            for name, value in self._named():
                if name in plan.frozen:
                    continue
                velocity[name].mul_(plan.momentum).add_(correct(value, name))
                value.sub_(velocity[name], alpha=plan.learning_rate)
        return float(loss.detach())

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self._module.named_parameters()

    def _load(self, parameters: NamedArrays) -> None:
        with torch.no_grad():
            for name, value in self._named():
                value.copy_(torch.tensor(parameters[name]))

    def _dump(self) -> dict[str, Float32]:
        return {name: value.detach().numpy().copy() for name, value in self._named()}


def _iterate(data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    inputs = _split(_to_tensor(data.inputs), _EVALUATION_BATCH)
    labels = _split(_to_tensor(data.labels), _EVALUATION_BATCH)
    return zip(inputs, labels, strict=True)


def _to_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor over the array's memory; read-only or reversed arrays are copied."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _split(rows: Tensor, size: int) -> list[Tensor]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _correct(
    value: nn.Parameter, name: str, *, anchor: dict[str, Tensor], plan: LocalPlan
) -> Tensor:
    """Return a parameter's gradient with the plan's scale, offset and proximal term."""
    gradient = _get_gradient(value)
    if plan.gradient_offset is not None:
        offset = torch.from_numpy(plan.gradient_offset[name])
        gradient = gradient * plan.gradient_scale + offset
    if plan.proximal:
        gradient = gradient + plan.proximal * (value - anchor[name])
    return gradient


def _get_gradient(value: nn.Parameter) -> Tensor:
    """Return a parameter's gradient; a parameter that the loss ignores has a zero one."""
    if value.grad is None:
        value.grad = torch.zeros_like(value)
    return value.grad

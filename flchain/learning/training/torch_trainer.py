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

    def __init__(self, build: Callable[[], nn.Module], device: str = "cpu") -> None:
        """Train modules made by `build`; the values they are born with do not matter."""
        torch.set_num_threads(1)
        self._device = torch.device(device)
        self._module = build().to(self._device)

    def get_layers(self) -> tuple[Layer, ...]:
        """Return the model's layers, as a policy writes them."""
        return tuple(Layer(name, tuple(value.shape)) for name, value in self._named())

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Run mini-batch SGD in an order that `seed` decides."""
        self._load(parameters)
        self._module.train()
        rng = build_generator(seed)
        move = self._prepare(plan)
        inputs, labels = self._place(data.inputs), self._place(data.labels)
        losses: list[float] = []
        for _ in range(plan.epochs):
            order = torch.from_numpy(rng.permutation(len(data)))
            batches = _split(order, plan.batch_size)
            losses = [self._step(inputs[rows], labels[rows], move) for rows in batches]
        return TrainingResult(self._dump(), len(data), float(np.mean(losses)))

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient of the mean cross-entropy over all rows."""
        self._load(parameters)
        self._module.train()
        self._module.zero_grad(set_to_none=True)
        for inputs, labels in self._iterate(data):
            loss = nn.functional.cross_entropy(self._module(inputs), labels, reduction="sum")
            (loss / len(data)).backward()  # type: ignore[no-untyped-call]  # torch's own
        return {name: _get_gradient(value).cpu().numpy().copy() for name, value in self._named()}

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean cross-entropy."""
        return evaluate_scores(self.predict(parameters, data.inputs), data.labels)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        self._load(parameters)
        self._module.eval()
        with torch.inference_mode():
            batches = _split(self._place(inputs), _EVALUATION_BATCH)
            scores: Float32 = torch.cat([self._module(batch) for batch in batches]).cpu().numpy()
        return scores

    def _prepare(self, plan: LocalPlan) -> Callable[[], None]:
        """Return what moves the module by the gradients that a batch has left."""
        moved = [(name, value) for name, value in self._named() if name not in plan.frozen]
        values: list[Tensor] = [value for _, value in moved]
        velocity = [torch.zeros_like(value) for value in values]
        correct = self._build_correction(plan)

        def move() -> None:
            # What torch.optim.SGD does, by the calls that it makes too, without the two seconds
            # that importing it takes.
            gradients = [correct(value, name) for name, value in moved]
            torch._foreach_mul_(velocity, plan.momentum)
            torch._foreach_add_(velocity, gradients)
            torch._foreach_sub_(values, velocity, alpha=plan.learning_rate)

        # These calls want at least one tensor.
        return move if values else lambda: None

    def _build_correction(self, plan: LocalPlan) -> Callable[[nn.Parameter, str], Tensor]:
        """Return what gives a parameter's gradient, as the plan wants it, from now on."""
        kept = self._named() if plan.proximal else ()
        anchor = {name: value.detach().clone() for name, value in kept}
        offset = {name: self._place(a) for name, a in (plan.gradient_offset or {}).items()}
        return partial(_correct, anchor=anchor, offset=offset, plan=plan)

    def _step(self, inputs: Tensor, labels: Tensor, move: Callable[[], None]) -> float:
        """Move the module by one batch; return its loss."""
        self._module.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self._module(inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        with torch.no_grad():
            move()
        return float(loss.detach())

    def _iterate(self, data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
        inputs = _split(self._place(data.inputs), _EVALUATION_BATCH)
        labels = _split(self._place(data.labels), _EVALUATION_BATCH)
        return zip(inputs, labels, strict=True)

    def _place(self, array: NDArray[Any]) -> Tensor:
        return _to_tensor(array).to(self._device)

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self._module.named_parameters()

    def _load(self, parameters: NamedArrays) -> None:
        with torch.no_grad():
            for name, value in self._named():
                value.copy_(torch.tensor(parameters[name]))

    def _dump(self) -> dict[str, Float32]:
        return {name: value.detach().cpu().numpy().copy() for name, value in self._named()}


def _to_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor over the array's memory; read-only or reversed arrays are copied."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _split(rows: Tensor, size: int) -> list[Tensor]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _correct(
    value: nn.Parameter,
    name: str,
    *,
    anchor: dict[str, Tensor],
    offset: dict[str, Tensor],
    plan: LocalPlan,
) -> Tensor:
    """Return a parameter's gradient with the plan's scale, offset and proximal term."""
    gradient = _get_gradient(value)
    if offset:
        gradient = gradient * plan.gradient_scale + offset[name]
    if plan.proximal:
        gradient = gradient + plan.proximal * (value - anchor[name])
    return gradient


def _get_gradient(value: nn.Parameter) -> Tensor:
    """Return a parameter's gradient; a parameter that the loss ignores has a zero one."""
    if value.grad is None:
        value.grad = torch.zeros_like(value)
    return value.grad

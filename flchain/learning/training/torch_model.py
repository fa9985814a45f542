"""Any PyTorch module as a model, with any optimiser, on any device.

Importing this module imports torch.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult
from flchain.learning.training.model import check_arrays
from flchain.learning.training.torch_trainer import TorchTrainer
from flchain.protocol.errors import ConfigError

BuildOptimizer: TypeAlias = Callable[[Iterable[nn.Parameter], float], Any]
"""Maps parameters and the policy's learning rate to a `torch.optim.Optimizer`."""


class TorchModel(TorchTrainer):
    """A module that maps inputs to class scores; `optimizer` replaces the policy's SGD.

    Names of layers are the module's own in lower case, after "p." where they begin with a digit.
    On a GPU the same seed need not give the same bits.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        *,
        optimizer: BuildOptimizer | None = None,
        device: str = "cpu",
    ) -> None:
        """Raises ConfigError if the module can't be trained this way or there is no device."""
        if device != "cpu" and not _has_device(device):
            raise ConfigError(f"model: torch finds no device {device!r} here; leave it out")
        super().__init__(build, device)
        self._names = _name_parameters(self._module)
        self._build_optimizer = optimizer
        _check_module(self._module)
        self._values = self._dump()

    def get_parameters(self) -> dict[str, Float32]:
        """Return copies of the values held."""
        return {name: array.copy() for name, array in self._values.items()}

    def set_parameters(self, parameters: NamedArrays) -> None:
        """Hold these values. Raises ConfigError if they do not fit."""
        check_arrays(parameters, self.get_layers())
        self._values = {name: np.array(parameters[name], np.float32) for name in self._names}

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Train with batches, dropout and all else random that `seed` decides."""
        with torch.random.fork_rng():
            torch.manual_seed(seed % (1 << 63))
            return super().train(parameters, data, plan, seed)

    def _prepare(self, plan: LocalPlan) -> Callable[[], None]:
        if self._build_optimizer is None:
            return super()._prepare(plan)
        moved = [value for name, value in self._named() if name not in plan.frozen]
        optimizer = self._build_optimizer(moved, plan.learning_rate)
        correct = self._build_correction(plan)

        def move() -> None:
            for name, value in self._named():
                value.grad = correct(value, name)
            optimizer.step()

        return move

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        return zip(self._names, self._module.parameters(), strict=True)


def _has_device(device: str) -> bool:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        return False
    return True


def _name_parameters(module: nn.Module) -> list[str]:
    """Return a name for each parameter that a policy may hold."""
    names = [name.lower() for name, _ in module.named_parameters()]
    names = [name if name[:1].isalpha() else f"p.{name}" for name in names]
    for name in names:
        if re.fullmatch(r"[a-z][a-z0-9_./-]{0,63}", name) is None or names.count(name) > 1:
            raise ConfigError(
                f"model: parameter {name!r} needs a name of its own of at most 64 characters"
            )
    return names


def _check_module(module: nn.Module) -> None:
    if not any(True for _ in module.parameters()):
        raise ConfigError("model: the module has no parameters to train")
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point() and name.rpartition(".")[2].startswith("running_"):
            raise ConfigError(
                f"model: {name} is a statistic of one agent's data, which no parameter carries; "
                "use GroupNorm or LayerNorm, or track_running_stats=False"
            )
    for name, value in module.named_parameters():
        if value.dtype != torch.float32:
            raise ConfigError(f"model: {name} is {value.dtype}, expected float32")
        if not np.isfinite(value.detach().cpu().numpy()).all():
            raise ConfigError(f"model: {name} is born with NaN or infinity")

"""DP-SGD (Abadi et al. 2016, https://arxiv.org/abs/1607.00133) through Opacus.

Every example's gradient is clipped and noise is added to their sum, so what an agent publishes
hides each of its rows. Rows join a batch independently, by secret chance: that is what the
accountant's sampling rate is about. Importing this module imports torch and Opacus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import nn

from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.privacy.accounting import Loss, build_loss
from flchain.learning.privacy.curves import build_sampled_gaussian_curve
from flchain.learning.training.base import LocalPlan, TrainingResult
from flchain.learning.training.torch_trainer import TorchTrainer
from flchain.protocol.errors import ConfigError

_SEED_BITS = 63


@dataclass(frozen=True)
class ExampleNoise:
    """`clip` bounds each example's gradient; `multiplier` is the noise's deviation over it."""

    clip: float
    multiplier: float

    def __post_init__(self) -> None:
        if not (self.clip > 0 and self.multiplier > 0):
            raise ConfigError("noise on examples needs a clip and a multiplier above 0")


class PrivateTrainer(TorchTrainer):
    """A trainer that hides single rows; `draw_secret` gives numbers that nobody can guess.

    The seed of a training call, which others know, decides nothing here, so the same call
    gives another result each time.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        noise: ExampleNoise,
        draw_secret: Callable[[int], int],
    ) -> None:
        """Train modules made by `build`; `draw_secret(bits)` is `secrets.randbits`, say."""
        super().__init__(build)
        self._noise, self._draw_secret = noise, draw_secret

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Run noisy SGD on random batches, as many as the plan's epochs would have.

        Raises ConfigError where a strategy corrects the gradient, which has no bound here.
        """
        del seed  # public: it would give batches and noise away
        if plan.gradient_offset is not None:
            raise ConfigError("noise on examples works with fedavg alone; choose it or drop one")
        self._load(parameters)
        module = GradSampleModule(self._module, loss_reduction="sum")
        try:
            losses = self._run(module, data, plan)
        finally:
            module.to_standard_module()
        return TrainingResult(self._dump(), len(data), float(np.mean(losses)))

    def _run(self, module: Any, data: Dataset, plan: LocalPlan) -> list[float]:
        module.train()
        batch = min(plan.batch_size, len(data))
        optimizer = self._build_optimizer(module, plan, batch)
        rng = np.random.Generator(np.random.Philox(self._draw_secret(128)))
        losses = []
        for _ in range(count_steps(len(data), plan)):
            rows = np.flatnonzero(rng.random(len(data)) < batch / len(data))
            losses.append(_step(module, optimizer, data.inputs[rows], data.labels[rows]))
        return losses

    def _build_optimizer(self, module: Any, plan: LocalPlan, batch: int) -> Any:
        generator = torch.Generator()
        generator.manual_seed(self._draw_secret(_SEED_BITS))
        inner = torch.optim.SGD(module.parameters(), lr=plan.learning_rate, momentum=plan.momentum)
        return DPOptimizer(
            inner,
            noise_multiplier=self._noise.multiplier,
            max_grad_norm=self._noise.clip,
            expected_batch_size=batch,
            generator=generator,
        )


def count_steps(rows: int, plan: LocalPlan) -> int:
    """Return how many noisy steps a local training takes."""
    return plan.epochs * max(1, -(-rows // plan.batch_size))


def compute_example_loss(noise: ExampleNoise, rows: int, plan: LocalPlan) -> Loss:
    """Return what one noisy step costs any row; compose it over steps and rounds."""
    rate = min(plan.batch_size, rows) / rows
    return build_loss(build_sampled_gaussian_curve(noise.multiplier, rate))


def _step(module: Any, optimizer: Any, inputs: Float32, labels: Any) -> float:
    """Make one step; an empty batch still gets its noise."""
    optimizer.zero_grad()
    if not len(labels):
        for value in module.parameters():
            value.grad_sample = torch.zeros((0, *value.shape))
        optimizer.step()
        return 0.0
    # Without a gradient of its own input the hooks of Opacus warn at every batch.
    scores = module(torch.tensor(inputs).requires_grad_())
    loss = nn.functional.cross_entropy(scores, torch.tensor(labels), reduction="sum")
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    optimizer.step()
    return float(loss.detach()) / len(labels)

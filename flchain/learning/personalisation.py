"""Layers of one's own: FedPer, Arivazhagan et al. 2019, https://arxiv.org/abs/1912.00818.

The policy lists `model.local_layers`. Around any strategy, training begins with the agent's own
values of them and hands back the common ones, so that the difference that is published is zero
there; and the common model never moves there, whatever an update holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation
from flchain.learning.parameters import Float32, Int64, NamedArrays
from flchain.learning.training.base import LocalPlan, Trainer, TrainingResult, build_plan
from flchain.protocol.policy import ModelSpec, Policy

_PREFIX = "local/"


@dataclass
class PersonalTrainer:
    """A trainer with layers of its own; `own` holds what the last training made of them."""

    trainer: Trainer
    names: frozenset[str]
    own: dict[str, Float32] = field(default_factory=dict)

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Train all layers; return the common ones, and those of one's own as they came."""
        result = self.trainer.train(self.personalise(parameters), data, plan, seed)
        self.own = {name: result.parameters[name] for name in self.names}
        common = {name: parameters[name] for name in self.names}
        return replace(result, parameters={**result.parameters, **common})

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient, which is zero in the layers of one's own."""
        gradient = self.trainer.compute_gradient(self.personalise(parameters), data)
        return {**gradient, **{name: np.zeros_like(gradient[name]) for name in self.names}}

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return the quality with the layers of one's own."""
        return self.trainer.evaluate(self.personalise(parameters), data)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return class scores by the layers of one's own."""
        return self.trainer.predict(self.personalise(parameters), inputs)

    def personalise(self, parameters: NamedArrays) -> NamedArrays:
        """Return the common model with the layers of one's own in it."""
        return {**parameters, **self.own}


def build_personal_trainer(
    trainer: Trainer, model: ModelSpec, memory: NamedArrays
) -> PersonalTrainer:
    """Return a trainer that goes on from what `memory` holds of the layers of one's own."""
    shapes = {layer.name: layer.shape for layer in model.layers}
    own = {
        name: memory[_PREFIX + name].reshape(shapes[name])
        for name in model.local_layers
        if _PREFIX + name in memory
    }
    return PersonalTrainer(trainer, frozenset(model.local_layers), own)


def keep_local_layers(trainer: PersonalTrainer) -> Mapping[str, Float32]:
    """Return what an agent's memory has to hold of them."""
    return {_PREFIX + name: array.ravel() for name, array in trainer.own.items()}


def mask_local_layers(step: Mapping[str, Int64], model: ModelSpec) -> Mapping[str, Int64]:
    """Return the step with zeros in the layers that are nobody's but their agents'."""
    if not model.local_layers:
        return step
    pieces = [np.full(y.size, y.name not in model.local_layers) for y in model.layers]
    mask = np.concatenate(pieces)
    return {name: s * mask if len(s) == len(mask) else s for name, s in step.items()}


def evaluate_shared(
    trainer: Trainer, parameters: NamedArrays, data: Dataset, policy: Policy, seed: int
) -> Evaluation:
    """Return how good the common model is, with layers of one's own fitted where it lacks them.

    Every other row of `data` then serves to fit them, and the rest to measure.
    """
    local = frozenset(policy.model.local_layers)
    if not local:
        return trainer.evaluate(parameters, data)
    frozen = frozenset(layer.name for layer in policy.model.layers) - local
    plan = replace(build_plan(policy.training), frozen=frozen)
    fitted = trainer.train(parameters, data.select(slice(0, None, 2)), plan, seed).parameters
    return trainer.evaluate(fitted, data.select(slice(1, None, 2)))

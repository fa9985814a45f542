"""Training for many simulated agents at once, where they share a process.

`Batching` acts before the agents do: it trains all who are due in one go. Each agent then asks
its own trainer, as it always does, and is handed what was made for it. Whatever was not prepared,
such as a training with a correction of its own, is done the ordinary way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flchain.learning.cohorts import is_in_cohort
from flchain.learning.data import Dataset
from flchain.learning.evaluation import Evaluation
from flchain.learning.export import get_model_arrays
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.strategies import get_strategy
from flchain.learning.strategies.base import Strategy
from flchain.learning.training import (
    Client,
    LocalPlan,
    Trainer,
    TrainingResult,
    build_plan,
    train_dense_batch,
)
from flchain.protocol.policy import MICROS, Policy
from flchain.protocol.types import Address, Phase, RoundId
from flchain.roles.assembly import fetch_state
from flchain.roles.context import Context
from flchain.roles.observation import Observation
from flchain.roles.production import derive_batch_seed
from flchain.roles.terms import Terms


@dataclass
class Prepared:
    """What was trained from which parameters, by the seed of the training."""

    plan: LocalPlan | None = None
    start: NamedArrays = field(default_factory=dict)
    results: dict[int, TrainingResult] = field(default_factory=dict)


@dataclass
class PreparedTrainer:
    """One agent's trainer, which takes what was prepared for it."""

    trainer: Trainer
    prepared: Prepared

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Return the prepared result of exactly this training, once, or train."""
        found = self.prepared.results.pop(seed, None)
        if found is None or plan != self.prepared.plan or len(data) != found.samples:
            return self.trainer.train(parameters, data, plan, seed)
        start = self.prepared.start
        if any(not np.array_equal(parameters[name], start[name]) for name in start):
            return self.trainer.train(parameters, data, plan, seed)
        return found

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Return the gradient of the mean loss over all of `data`."""
        return self.trainer.compute_gradient(parameters, data)

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean loss on `data`."""
        return self.trainer.evaluate(parameters, data)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return one row of class scores per input."""
        return self.trainer.predict(parameters, inputs)


@dataclass
class Batching:
    """Trains the agents of one process together; a role that only prepares and never acts."""

    context: Context
    terms: Terms
    shares: Sequence[tuple[Address, Dataset]]
    prepared: Prepared
    _done: set[RoundId] = field(default_factory=set)

    def tick(self, seen: Observation) -> bool:
        """Prepare a new round's training; return False, since nobody else notices."""
        number = seen.round.round
        if seen.phase is Phase.SUBMIT and number not in self._done:
            self._done.add(number)
            self._prepare(seen, number)
        return False

    def _prepare(self, seen: Observation, number: RoundId) -> None:
        policy, start = self.terms.policy, self.context.stopwatch()
        plan = build_shared_plan(policy, get_strategy(policy))
        if plan is None:
            return
        digest = seen.past.versions[seen.round.parent_version].state_digest
        state = fetch_state(self.context.archive, digest, self.terms)
        arrays = get_model_arrays(state, policy)
        key = self.context.get_round_key(number)
        due = [(agent, data) for agent, data in self.shares if is_in_cohort(policy, key, agent)]
        clients = [Client(data, derive_batch_seed(policy, number, agent)) for agent, data in due]
        trained = train_dense_batch(policy.model.layers, arrays, clients, plan)
        seeds = (client.seed for client in clients)
        self.prepared.plan, self.prepared.start = plan, arrays
        self.prepared.results = dict(zip(seeds, trained, strict=True))
        self.context.notify("train", number, self.context.stopwatch() - start)


def build_shared_plan(policy: Policy, strategy: Strategy) -> LocalPlan | None:
    """Return the plan that all agents train by; None if each has one of its own."""
    if strategy.name == "fedprox":
        return build_plan(policy.training, proximal=policy.strategy.get("mu_micros") / MICROS)
    if policy.model.local_layers or "control" in strategy.update_sections:
        return None
    return build_plan(policy.training)

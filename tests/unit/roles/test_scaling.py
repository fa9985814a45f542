"""Simulated agents that train in a pool: the same federation, and what travels."""

import pickle
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from flchain.learning.data import load_digits, partition_iid
from flchain.learning.presets import load_preset
from flchain.learning.strategies import DEFAULTS
from flchain.learning.training import build_plan, get_trainer
from flchain.protocol.errors import EncodingError
from flchain.protocol.params import LOCAL
from flchain.roles.daemon import run_federation
from flchain.roles.observation import Watch
from flchain.roles.scaling import RemoteTrainer
from flchain.roles.simulation import (
    Scenario,
    SimulatedClock,
    build_federation,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
    found_federation,
    is_everybody_active,
)
from flchain.roles.upkeep import is_over
from flchain.storage.memory import make_memory_store


@dataclass(frozen=True)
class Ref:
    """Stands for a value that was sent ahead."""

    place: int


@dataclass
class FakePool:
    """Runs everything here, on what is left of it after a journey as a pickle."""

    size: int = 4
    sent: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def put(self, value):
        self.sent.append(pickle.dumps(value))
        return Ref(len(self.sent) - 1)

    def run(self, function, *arguments):
        self.calls.append(function.__name__)
        travelled = (
            self.sent[item.place] if isinstance(item, Ref) else pickle.dumps(item)
            for item in arguments
        )
        found = pickle.loads(pickle.dumps(function))(*map(pickle.loads, travelled))
        return pickle.loads(pickle.dumps(found))


class FailingPool(FakePool):
    """A pool whose processes refuse the rows."""

    def run(self, function, *arguments):
        raise EncodingError("the update holds NaN or infinity")


def make_scenario(strategy="fedavg", pool=None):
    rule = {"name": strategy, "parameters": DEFAULTS[strategy]}
    policy = load_preset("digits", {"strategy": rule, "training.local_epochs": 1})
    data = load_digits(0, 400)
    parts = partition_iid(300, 3, np.random.default_rng(1))
    preset = replace(LOCAL, schedule=replace(LOCAL.schedule, min_validators=1))
    shares = tuple(data.select(part) for part in parts)
    return Scenario(policy, preset, 2, shares, (data.select(slice(300, 400)),), pool=pool)


def play(scenario):
    """Return the digest of the last version."""
    cast, clock = derive_cast(derive_mnemonic(1), 3, 1), SimulatedClock()
    ledger = build_memory_ledger(cast, scenario.preset, clock)
    store = make_memory_store(clock)
    task_id = found_federation(ledger, store, cast, scenario)
    while not is_everybody_active(ledger, task_id, cast):
        clock.advance()
    federation = build_federation(ledger, store, cast, scenario, task_id)
    federation.validators[0].endorse()
    run_federation(
        federation.roles,
        Watch(ledger, task_id),
        until=lambda seen: is_over(seen, scenario.rounds),
        idle=lambda _: clock.advance(),
    )
    return ledger.get_state_digest(task_id, ledger.get_latest_version(task_id))


@pytest.mark.parametrize("strategy", ["fedavg", "scaffold", "mimelite"])
def test_pool__any_strategy__learns_the_same_as_without(strategy):
    pool = FakePool()
    assert play(make_scenario(strategy, pool)) == play(make_scenario(strategy))
    assert pool.calls.count("train_here") == 6
    gradients = 6 if strategy == "mimelite" else 0
    assert pool.calls.count("compute_gradient_here") == gradients


def test_pool__many_rounds__rows_travel_once():
    pool = FakePool()
    play(make_scenario(pool=pool))
    assert len(pool.sent) == 3


def test_pool__what_makes_trainers__carries_no_rows():
    scenario = make_scenario()
    factory = pickle.dumps(scenario.trainer_factory)
    assert len(factory) < scenario.shares[0].inputs.nbytes / 10


def test_pool__training_fails_there__its_error_is_raised_here():
    scenario = make_scenario(pool=FailingPool())
    trainer, policy = scenario.build_agent_trainer(), scenario.policy
    zeros = {layer.name: np.zeros(layer.shape, np.float32) for layer in policy.model.layers}
    with pytest.raises(EncodingError, match="NaN"):
        trainer.train(zeros, scenario.shares[0], build_plan(policy.training), 1)


def test_remote_trainer__evaluation__stays_here():
    scenario = make_scenario()
    own = get_trainer(scenario.policy.model)
    pool = FakePool()
    remote = RemoteTrainer(own, pool, scenario.trainer_factory)
    layers = scenario.policy.model.layers
    zeros = {layer.name: np.zeros(layer.shape, np.float32) for layer in layers}
    rows = scenario.held_out[0]
    assert remote.evaluate(zeros, rows) == own.evaluate(zeros, rows)
    assert np.array_equal(remote.predict(zeros, rows.inputs), own.predict(zeros, rows.inputs))
    assert pool.calls == []

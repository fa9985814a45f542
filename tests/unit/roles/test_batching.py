"""Agents trained together come to what they would come to alone."""

from dataclasses import replace

import numpy as np
import pytest

from flchain.learning.aggregation import compute_initial_state
from flchain.learning.data import load_digits
from flchain.learning.export import get_model_arrays
from flchain.learning.presets import load_preset
from flchain.learning.strategies import DEFAULTS, get_strategy
from flchain.learning.training import Client, DenseTrainer, build_plan, train_dense_batch
from flchain.roles.batching import Prepared, PreparedTrainer, build_shared_plan


def make_policy(architecture="mlp-digits-v1", **overrides):
    return load_preset("digits", {"model.architecture": architecture, **overrides})


@pytest.mark.parametrize("architecture", ["mlp-digits-v1", "softmax-digits-v1"])
@pytest.mark.parametrize("proximal", [0.0, 0.5])
def test_batch__clients_of_any_size__train_as_they_would_alone(architecture, proximal):
    policy = make_policy(architecture)
    layers = policy.model.layers
    arrays = get_model_arrays(compute_initial_state(policy), policy)
    plan = replace(build_plan(policy.training), proximal=proximal)
    sizes = (40, 7, 16, 33, 1)
    clients = [Client(load_digits(50 * i, 50 * i + n), 100 + i) for i, n in enumerate(sizes)]
    found = train_dense_batch(layers, arrays, clients, plan)
    for client, result in zip(clients, found, strict=True):
        alone = DenseTrainer(layers).train(arrays, client.data, plan, client.seed)
        assert result.samples == len(client.data)
        assert result.loss == pytest.approx(alone.loss, abs=1e-4)
        for name, array in alone.parameters.items():
            assert result.parameters[name].dtype == np.float32
            assert np.allclose(result.parameters[name], array, atol=2e-4)
            assert not np.array_equal(result.parameters[name], arrays[name])


def test_batch__frozen_layers__stay():
    policy = make_policy()
    arrays = get_model_arrays(compute_initial_state(policy), policy)
    plan = replace(build_plan(policy.training), frozen=frozenset({"fc1.weight"}))
    clients = [Client(load_digits(0, 20), 1)]
    found = train_dense_batch(policy.model.layers, arrays, clients, plan)[0].parameters
    assert np.array_equal(found["fc1.weight"], arrays["fc1.weight"])


def test_prepared__other_training_than_prepared__is_done_anew():
    policy = make_policy()
    arrays = get_model_arrays(compute_initial_state(policy), policy)
    plan, data, trainer = (
        build_plan(policy.training),
        load_digits(0, 20),
        DenseTrainer(policy.model.layers),
    )
    prepared = Prepared(plan, arrays, {})
    own = PreparedTrainer(trainer, prepared)
    marked = replace(trainer.train(arrays, data, plan, 1), loss=-1.0)
    cases = [
        (arrays, data, plan, 1, True),
        (arrays, data, plan, 2, False),
        (arrays, data, replace(plan, epochs=1), 1, False),
        (arrays, load_digits(0, 19), plan, 1, False),
        ({**arrays, "fc1.bias": arrays["fc1.bias"] + 1}, data, plan, 1, False),
    ]
    for start, rows, wanted, seed, is_taken in cases:
        prepared.results[1] = marked
        assert (own.train(start, rows, wanted, seed).loss == -1.0) is is_taken
    assert own.evaluate(arrays, data) == trainer.evaluate(arrays, data)


@pytest.mark.parametrize(
    ("name", "is_shared"), [("fedavg", True), ("fedprox", True), ("scaffold", False)]
)
def test_shared_plan__correction_of_each_clients_own__is_none(name, is_shared):
    policy = make_policy(strategy={"name": name, "parameters": DEFAULTS[name]})
    plan = build_shared_plan(policy, get_strategy(policy))
    assert (plan is not None) is is_shared
    assert plan is None or (plan.proximal > 0) is (name == "fedprox")

"""Agents, aggregation and strategies together, in memory and without torch."""

import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from flchain.learning.aggregation import (
    Submission,
    aggregate_updates,
    compute_initial_state,
    compute_next_state,
    compute_weight,
)
from flchain.learning.data import load_digits, partition_dirichlet
from flchain.learning.export import encode_safetensors, get_model_arrays
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise_update
from flchain.learning.randomness import derive_generator, derive_seed
from flchain.learning.schemas import (
    compute_state_digest,
    decode_state,
    encode_state,
    encode_update,
    get_state_schema,
)
from flchain.learning.strategies import ClientTask, get_strategy
from flchain.learning.training import get_trainer

FEDAVG = {"training.local_epochs": 2}
MIMELITE = {
    "strategy": {"name": "mimelite", "parameters": {"beta_micros": 500_000}},
    "training.learning_rate": "0.1",
    "training.momentum": "0",
    "training.local_epochs": 2,
}


def make_submission(policy, state, data, round_number, index):
    strategy, trainer = get_strategy(policy), get_trainer(policy.model)
    seed = derive_seed(policy.seed, "batches", round_number, index)
    update = strategy.train(ClientTask(state, data, policy, trainer, seed))
    rng = derive_generator(policy.seed, "rounding", round_number, index)
    agent = f"0x{index:040x}"
    blob = encode_update(
        quantise_update(update, policy, rng),
        policy,
        round_key=bytes([round_number] * 32),
        agent=agent,
    )
    return Submission(agent, compute_weight(update.samples, policy), lambda: blob)


def run_federation(policy, rounds=3, agents=5, order=1):
    """Return the last state after some rounds on scikit-learn digits."""
    data = load_digits(0, 1200)
    split = derive_generator(policy.seed, "partition")
    parts = [data.select(rows) for rows in partition_dirichlet(data.labels, agents, 0.5, split)]
    state = compute_initial_state(policy)
    for number in range(rounds):
        made = [make_submission(policy, state, part, number, i) for i, part in enumerate(parts)]
        aggregate = aggregate_updates(made[::order], policy, bytes([number] * 32))
        assert all(aggregate.weights)
        state = compute_next_state(state, aggregate, policy)
    return state


@pytest.mark.parametrize("overrides", [FEDAVG, MIMELITE], ids=["fedavg", "mimelite"])
def test_federation__same_seed_in_any_order__ends_in_the_same_digest(overrides):
    policy = load_preset("digits", overrides)
    digests = {
        compute_state_digest(run_federation(policy, order=order), policy) for order in (1, 1, -1)
    }
    assert len(digests) == 1
    other = load_preset("digits", overrides | {"seed": "99" * 32})
    assert compute_state_digest(run_federation(other), other) not in digests


@pytest.mark.parametrize(
    ("overrides", "least"), [(FEDAVG, 0.8), (MIMELITE, 0.75)], ids=["fedavg", "mimelite"]
)
def test_federation__skewed_digits__are_learned(overrides, least):
    policy = load_preset("digits", overrides)
    state = run_federation(policy, rounds=6)
    trainer = get_trainer(policy.model)
    test = load_digits(1200)
    assert trainer.evaluate(get_model_arrays(state, policy), test).accuracy > least


def test_mimelite__state__carries_the_servers_momentum():
    policy = load_preset("digits", MIMELITE)
    state = run_federation(policy, rounds=1)
    assert [name for name, _ in get_state_schema(policy).sections] == ["params", "server/momentum"]
    assert state.sections["server/momentum"].any()
    decoded = decode_state(encode_state(state, policy), policy)
    assert compute_state_digest(decoded, policy) == compute_state_digest(state, policy)


def test_mimelite__momentum__changes_what_an_agent_learns():
    policy = load_preset("digits", MIMELITE)
    data = load_digits(0, 100)
    initial, later = compute_initial_state(policy), run_federation(policy, rounds=1)
    still = type(later)(
        {"params": later.sections["params"], "server/momentum": initial.sections["server/momentum"]}
    )
    trainer, strategy = get_trainer(policy.model), get_strategy(policy)
    first, second = (
        strategy.train(ClientTask(state, data, policy, trainer, 1)) for state in (later, still)
    )
    assert np.array_equal(first.sections["control"], second.sections["control"])
    assert not np.array_equal(first.sections["delta"], second.sections["delta"])


def test_safetensors__state__reads_back_as_float32_layers():
    policy = load_preset("digits")
    state = compute_initial_state(policy)
    data = encode_safetensors(state, policy, {"version": 3, "task": "1"})
    assert data == encode_safetensors(state, policy, {"task": "1", "version": 3})
    arrays = safetensors.numpy.load(data)
    expected = get_model_arrays(state, policy)
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == np.float32
        assert np.array_equal(arrays[name], array)
    assert b'{\\"architecture\\":\\"mlp-digits-v1\\",\\"task\\":\\"1\\",\\"version\\":3}' in data


def test_learning__imports_and_trains__without_torch():
    program = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from flchain.learning import aggregation, export, presets, schemas, strategies, training\n"
        "from flchain.learning.data import load_digits\n"
        "assert 'sklearn' not in sys.modules\n"
        "policy = presets.load_preset('digits')\n"
        "state = aggregation.compute_initial_state(policy)\n"
        "trainer = training.get_trainer(policy.model)\n"
        "task = strategies.ClientTask(state, load_digits(0, 50), policy, trainer, 1)\n"
        "print(strategies.get_strategy(policy).train(task).samples)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "50", done.stderr

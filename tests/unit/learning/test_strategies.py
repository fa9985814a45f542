"""Each strategy's rule beside a plain float version of its paper, and end to end."""

from dataclasses import replace

import numpy as np
import pytest

from flchain.learning.aggregation import (
    Submission,
    aggregate_updates,
    compute_initial_state,
    compute_next_state,
    compute_weight,
    verify_update,
)
from flchain.learning.cohorts import is_in_cohort
from flchain.learning.data import load_digits, partition_dirichlet
from flchain.learning.export import get_model_arrays
from flchain.learning.parameters import (
    NamedArrays,
    QuantizedUpdate,
    State,
    flatten,
    to_float,
    unflatten,
)
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise_update
from flchain.learning.schemas import decode_update, encode_update, get_state_schema
from flchain.learning.strategies import DEFAULTS, STRATEGIES, ClientTask, get_strategy
from flchain.learning.training import build_plan, get_trainer
from flchain.learning.training.base import LocalPlan, compute_step_weight
from flchain.protocol.errors import ConfigError, EncodingError

ONE = 2.0**32
KEY = bytes(range(32))
AGENT = "0x" + "01" * 20


def make_policy(name, overrides=None, **parameters):
    strategy = {"name": name, "parameters": DEFAULTS[name] | parameters}
    base = {"training.local_epochs": 1, "training.momentum": "0", "strategy": strategy}
    return load_preset("digits", base | (overrides or {}))


def make_task(policy, *, state=None, data=None, memory=None):
    state = state or compute_initial_state(policy)
    data = data or load_digits(0, 100)
    trainer = get_trainer(policy.model)
    return ClientTask(state, data, policy, trainer, 5, memory or {})


def to_units(values):
    return np.rint(np.asarray(values) * ONE).astype(np.int64)


def apply_steps(policy, steps):
    """Return the states that some steps of `delta` lead to, from zero."""
    strategy = get_strategy(policy)
    sections = ("params", *strategy.server_sections)
    states = [State({name: np.zeros(len(steps[0]), np.int64) for name in sections})]
    for step in steps:
        states.append(strategy.apply(states[-1], {"delta": to_units(step)}, policy))
    return states


def test_strategies__defaults__are_all_valid():
    assert set(DEFAULTS) == set(STRATEGIES)
    for name in STRATEGIES:
        assert get_strategy(make_policy(name)).name == name


def follow_fedopt(name, steps, rules):
    """Return the parameters by the paper's formulas, in float64."""
    beta1, beta2 = rules["beta1_micros"] / 1e6, rules.get("beta2_micros", 0) / 1e6
    eta, tau = rules["rate_micros"] / 1e6, rules["tau_micros"] / 1e6
    w = m = v = np.zeros(len(steps[0]))
    for step in np.array(steps):
        m = beta1 * m + (1 - beta1) * step
        squared = step * step
        v = {
            "fedadam": beta2 * v + (1 - beta2) * squared,
            "fedyogi": v - (1 - beta2) * squared * np.sign(v - squared),
            "fedadagrad": v + squared,
        }[name]
        w = w + eta * m / (np.sqrt(v) + tau)
    return w


@pytest.mark.parametrize("name", ["fedadam", "fedyogi", "fedadagrad"])
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0])
def test_fedopt__random_steps__follows_the_paper(name, scale):
    rng = np.random.default_rng(3)
    steps = (scale * rng.standard_normal((12, 40))).tolist()
    policy = make_policy(name, beta1_micros=900_000)
    last = apply_steps(policy, steps)[-1]
    expected = follow_fedopt(name, steps, DEFAULTS[name] | {"beta1_micros": 900_000})
    assert np.allclose(to_float(last.sections["params"]), expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["fedadam", "fedyogi", "fedadagrad"])
def test_fedopt__steps_at_the_bound__stay_within_the_state(name):
    policy = make_policy(name, rate_micros=10_000_000, tau_micros=1)
    for state in apply_steps(policy, [[256.0, -256.0, 2.0**-32, 0.0]] * 40):
        for section in state.sections.values():
            assert np.abs(section).max() <= 2**62
        assert (state.sections["server/variance"] >= 0).all()
        assert state.sections["params"][3] == 0
        assert (np.diff(state.sections["params"][:2]) <= 0).all()


def test_fedprox__strong_term__keeps_the_update_small():
    plain, held = (make_policy(n) for n in ("fedavg", "fedprox"))
    held = make_policy("fedprox", mu_micros=10_000_000)
    deltas = [get_strategy(p).train(make_task(p)).sections["delta"] for p in (plain, held)]
    assert np.linalg.norm(deltas[1]) < 0.9 * np.linalg.norm(deltas[0])
    none = make_policy("fedprox", mu_micros=0)
    assert np.array_equal(get_strategy(none).train(make_task(none)).sections["delta"], deltas[0])


@pytest.fixture
def trainer():
    return get_trainer(make_policy("fedprox").model)


def test_proximal__two_steps__equal_the_formula(trainer):
    policy = make_policy("fedprox")
    layers = policy.model.layers
    start = get_model_arrays(compute_initial_state(policy), policy)
    data = load_digits(0, 20)
    first = trainer.train(start, data, LocalPlan(1, 20, 0.1, 0.0), 0).parameters
    gradient = flatten(trainer.compute_gradient(first, data), layers)
    way = flatten(first, layers) - flatten(start, layers)
    expected = flatten(first, layers) - 0.1 * (gradient + 0.5 * way)
    found = trainer.train(start, data, LocalPlan(2, 20, 0.1, 0.0, proximal=0.5), 0).parameters
    assert np.allclose(flatten(found, layers), expected, atol=1e-6)


def test_frozen__layers__stay_as_they_are():
    policy = make_policy("fedavg")
    start = get_model_arrays(compute_initial_state(policy), policy)
    for trainer in (get_trainer(policy.model),):
        plan = replace(build_plan(policy.training), frozen=frozenset({"fc1.weight", "fc1.bias"}))
        found = trainer.train(start, load_digits(0, 50), plan, 0).parameters
        assert np.array_equal(found["fc1.weight"], start["fc1.weight"])
        assert not np.array_equal(found["fc2.weight"], start["fc2.weight"])


def follow_scaffold(policy, parts, rounds):
    """Return x and c of SCAFFOLD with full batches, one step a round, in float64."""
    trainer, layers = get_trainer(policy.model), policy.model.layers
    rate = build_plan(policy.training).learning_rate
    x = to_float(compute_initial_state(policy).sections["params"]).astype(np.float64)
    c, own = np.zeros_like(x), [np.zeros_like(x) for _ in parts]
    for _ in range(rounds):
        arrays = unflatten(x.astype(np.float32), layers)
        gradients = [
            flatten(trainer.compute_gradient(arrays, p), layers).astype(np.float64) for p in parts
        ]
        deltas = [-rate * (g - o + c) for g, o in zip(gradients, own, strict=True)]
        news = [o - c - d / rate for o, d in zip(own, deltas, strict=True)]
        x = x + np.mean(deltas, axis=0)
        c = c + np.mean([n - o for n, o in zip(news, own, strict=True)], axis=0)
        own = news
    return x, c, own


def test_scaffold__full_batches__follow_the_paper_and_clients_sum_to_the_server():
    policy = make_policy("scaffold", {"training.batch_size": 100})
    parts = [load_digits(0, 96), load_digits(96, 192), load_digits(192, 288)]
    strategy, state = get_strategy(policy), compute_initial_state(policy)
    memories: list = [{} for _ in parts]
    for number in range(3):
        made = []
        for index, part in enumerate(parts):
            task = make_task(policy, state=state, data=part, memory=memories[index])
            quantised = quantise_update(
                strategy.train(task), policy, np.random.default_rng([number, index])
            )
            memories[index] = strategy.keep(memories[index], quantised, policy)
            made.append(make_submission(policy, quantised, index))
        state = compute_next_state(state, aggregate_updates(made, policy, KEY), policy)
    x, c, own = follow_scaffold(policy, parts, 3)
    unit = 2.0**-policy.update.shift
    assert np.allclose(to_float(state.sections["server/control"]), c, atol=12 * unit)
    assert np.allclose(to_float(state.sections["params"]), x, atol=12 * unit)
    mean = np.mean([memory["control"] for memory in memories], axis=0)
    assert np.allclose(to_float(state.sections["server/control"]), mean, atol=1e-7)
    assert np.linalg.norm(own[0] - c) > 0.1


def make_submission(policy, quantised, index=0):
    agent = f"0x{index:040x}"
    data = encode_update(quantised, policy, round_key=KEY, agent=agent)
    weight = compute_weight(quantised.scalars["samples"], policy)
    return Submission(agent, weight, lambda: data)


def test_fednova__unequal_steps__follows_the_paper():
    policy = make_policy("fednova", {"training.momentum": "0.5"}, reference_steps=10)
    parts = [load_digits(0, 64), load_digits(100, 420)]
    strategy, state = get_strategy(policy), compute_initial_state(policy)
    trained = [strategy.train(make_task(policy, data=part)) for part in parts]
    made = [
        make_submission(policy, quantise_update(t, policy, np.random.default_rng(i)), i)
        for i, t in enumerate(trained)
    ]
    aggregate = aggregate_updates(made, policy, KEY)
    moved = compute_next_state(state, aggregate, policy).sections["params"]
    plan = build_plan(policy.training)
    steps = [round(compute_step_weight(plan, len(part))) for part in parts]
    weights = np.array(aggregate.weights) / aggregate.total_weight
    plain = make_policy("fedavg", {"training.momentum": "0.5"})
    deltas = [
        get_strategy(plain).train(make_task(plain, data=part)).sections["delta"] for part in parts
    ]
    tau = float(np.dot(weights, steps))
    expected = tau * sum(w * d / s for w, d, s in zip(weights, deltas, steps, strict=True))
    assert steps[0] != steps[1]
    found = to_float(moved) - to_float(state.sections["params"])
    assert np.allclose(found, expected, atol=2 * tau / 10 * 2.0**-policy.update.shift)


def test_step_weight__momentum__is_the_sum_of_the_gradients_coefficients():
    plan = LocalPlan(epochs=2, batch_size=10, learning_rate=1.0, momentum=0.9)
    velocity = moved = 0.0
    for _ in range(6):
        velocity = 0.9 * velocity + 1
        moved += velocity
    assert compute_step_weight(plan, 25) == pytest.approx(moved)
    assert compute_step_weight(replace(plan, momentum=0.0), 25) == 6


@pytest.mark.parametrize("steps", [0, 4097, -3])
def test_fednova__steps_beyond_the_policy__do_not_count(steps):
    policy = make_policy("fednova")
    size = policy.model.parameters
    sections = {"delta": np.zeros(size, np.int32), "steps": np.array([steps], np.int32)}
    update = QuantizedUpdate(sections, {"samples": 8})
    data = encode_update(update, policy, round_key=KEY, agent=AGENT)
    with pytest.raises(EncodingError, match="from 1 to 4096 are allowed"):
        decode_update(data, policy, round_key=KEY, agent=AGENT)


def test_fednova__more_steps_than_allowed__is_told_before_training():
    policy = make_policy("fednova", max_steps=3)
    with pytest.raises(ConfigError, match="the task allows 3; train on fewer rows"):
        get_strategy(policy).train(make_task(policy))


def test_fednova__any_factor__saturates_instead_of_overflowing():
    policy = make_policy("fednova", reference_steps=1)
    state = State({"params": np.zeros(2, np.int64)})
    step = {"delta": np.array([2**40, -(2**40)]), "steps": np.array([2**40])}
    moved = get_strategy(policy).apply(state, step, policy).sections["params"]
    assert moved.tolist() == [2**40, -(2**40)]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_federation__any_strategy_and_order__is_learned_and_equal(name):
    overrides = {"training.momentum": "0.9" if name != "mimelite" else "0"}
    policy = make_policy(name, overrides | {"training.local_epochs": 2})
    if name == "mimelite":
        policy = make_policy(name, {"training.local_epochs": 2}, beta_micros=500_000)
    data, strategy = load_digits(0, 600), get_strategy(policy)
    split = np.random.default_rng(1)
    parts = [data.select(rows) for rows in partition_dirichlet(data.labels, 4, 0.5, split)]
    states = {1: compute_initial_state(policy), -1: compute_initial_state(policy)}
    memories: list = [{} for _ in parts]
    for number in range(4):
        made = []
        for index, part in enumerate(parts):
            task = make_task(policy, state=states[1], data=part, memory=memories[index])
            rng = np.random.default_rng([number, index])
            quantised = quantise_update(strategy.train(task), policy, rng)
            memories[index] = strategy.keep(memories[index], quantised, policy)
            made.append(make_submission(policy, quantised, index))
        for order, state in states.items():
            aggregate = aggregate_updates(made[::order], policy, KEY)
            assert all(aggregate.weights)
            states[order] = compute_next_state(state, aggregate, policy)
    for section, _ in get_state_schema(policy).sections:
        assert np.array_equal(states[1].sections[section], states[-1].sections[section])
    evaluation = get_trainer(policy.model).evaluate(
        get_model_arrays(states[1], policy), load_digits(1500)
    )
    assert evaluation.accuracy > 0.5


def test_cohort__one_half__changes_by_round_and_enforced():
    policy = load_preset("digits", {"cohort_bps": 5_000})
    agents = [f"0x{index:040x}" for index in range(400)]
    keys = (bytes([1] * 32), bytes([2] * 32))
    first, second = ([a for a in agents if is_in_cohort(policy, key, a)] for key in keys)
    assert 150 < len(first) < 250
    assert first != second
    assert is_in_cohort(policy, bytes([1] * 32), first[0].upper().replace("X", "x"))
    left_out = next(a for a in agents if a not in first)
    update = QuantizedUpdate({"delta": np.zeros(policy.model.parameters, np.int32)}, {"samples": 8})
    for agent, counts in ((first[0], True), (left_out, False)):
        data = encode_update(update, policy, round_key=bytes([1] * 32), agent=agent)
        submission = Submission(agent, 1, lambda data=data: data)
        aggregate = aggregate_updates([submission], policy, bytes([1] * 32))
        assert aggregate.weights == (int(counts),)
    data = encode_update(update, policy, round_key=bytes([1] * 32), agent=left_out)
    with pytest.raises(EncodingError, match="not in the round's cohort"):
        verify_update(data, policy, round_key=bytes([1] * 32), agent=left_out, weight=1)


def test_worker_momentum__rounds_of_one_client__follow_the_formula():
    policy = make_policy("worker-momentum", beta_micros=750_000)
    strategy, plain = get_strategy(policy), get_strategy(make_policy("fedavg"))
    delta = plain.train(make_task(policy)).sections["delta"]
    memory: NamedArrays = {}
    momentum = delta
    for _ in range(3):
        update = strategy.train(make_task(policy, memory=memory))
        assert np.allclose(update.sections["delta"], momentum, atol=1e-6)
        published = quantise_update(update, policy, np.random.default_rng(1))
        memory = strategy.keep(memory, published, policy)
        unit = np.float32(2.0**-policy.update.shift)
        momentum = 0.75 * published.sections["delta"] * unit + 0.25 * delta


def test_worker_momentum__first_round__is_fedavg():
    policy = make_policy("worker-momentum")
    first = get_strategy(policy).train(make_task(policy)).sections["delta"]
    plain = get_strategy(make_policy("fedavg")).train(make_task(policy)).sections["delta"]
    assert np.array_equal(first, plain)

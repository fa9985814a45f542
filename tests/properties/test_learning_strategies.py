"""The strategies' integer arithmetic against Python's own integers and fractions."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flchain.learning.integers import compute_isqrt, divide_vectors, multiply_fraction
from flchain.learning.parameters import State
from flchain.learning.presets import load_preset
from flchain.learning.strategies import DEFAULTS, get_strategy

MICROS = 10**6
states = st.integers(-(2**62), 2**62)
steps = st.integers(-(2**40), 2**40)
variances = st.integers(0, 2**62)


def array(values):
    return np.array(values, np.int64)


def model_half_up(value):
    return math.floor(value + Fraction(1, 2))


def make_policy(name, **parameters):
    return load_preset(
        "digits",
        {
            "model": {"architecture": "own", "layers": [{"name": "w", "shape": [1]}]},
            "strategy": {"name": name, "parameters": DEFAULTS[name] | parameters},
        },
    )


@given(st.lists(variances, min_size=1))
def test_isqrt__any_value__is_exact(values):
    assert compute_isqrt(array(values)).tolist() == [math.isqrt(value) for value in values]


@given(st.integers(0, 2**31), st.integers(-2, 2))
def test_isqrt__around_squares__is_exact(root, offset):
    value = min(max(root * root + offset, 0), 2**62)
    assert compute_isqrt(array([value])).tolist() == [math.isqrt(value)]


@given(st.lists(states, min_size=1), st.integers(1, 2**30), st.data())
def test_multiply_fraction__any_magnitude__rounds_as_fractions_do(values, denominator, data):
    numerator = data.draw(st.integers(0, denominator))
    expected = [model_half_up(Fraction(value * numerator, denominator)) for value in values]
    assert multiply_fraction(array(values), numerator, denominator).tolist() == expected


@given(st.lists(st.tuples(steps, st.integers(1, 2**32)), min_size=1), st.integers(0, 28))
def test_divide_vectors__any_values__round_as_fractions_do_and_saturate(pairs, bits):
    limit = 2**40
    tops, bottoms = (array(column) for column in zip(*pairs, strict=True))
    found = divide_vectors(tops, bottoms, bits, limit)
    exact = [model_half_up(Fraction(top << bits, bottom)) for top, bottom in pairs]
    assert found.tolist() == [max(-limit, min(limit, value)) for value in exact]


@given(
    st.sampled_from(["fedadam", "fedyogi", "fedadagrad"]),
    st.lists(st.tuples(states, steps, variances, steps), min_size=1, max_size=20),
    st.integers(0, MICROS - 1),
    st.integers(1, 10 * MICROS),
    st.integers(1, MICROS),
)
def test_fedopt__any_state_and_step__equals_the_plain_model(name, rows, beta, rate, tau):
    parameters = {"beta1_micros": beta, "rate_micros": rate, "tau_micros": tau}
    policy = make_policy(name, **parameters)
    params, m, v, delta = (array(column) for column in zip(*rows, strict=True))
    state = State({"params": params, "server/momentum": m, "server/variance": v})
    found = get_strategy(policy).apply(state, {"delta": delta}, policy).sections
    beta2 = DEFAULTS[name].get("beta2_micros", 0)
    for index, row in enumerate(rows):
        expected = model_fedopt(name, row, (beta, beta2), rate, tau)
        assert tuple(int(section[index]) for section in found.values()) == expected


def model_fedopt(name, row, betas, rate, tau):
    """Return parameters, momentum and variance in Python integers."""
    value, m, v, delta = row
    m = model_half_up(Fraction(betas[0] * m + (MICROS - betas[0]) * delta, MICROS))
    short = max(-(2**31), min(2**31, model_half_up(Fraction(delta, 16))))
    squared, fresh = short * short, MICROS - betas[1]
    if name == "fedadam":
        v += model_half_up(Fraction((squared - v) * fresh, MICROS))
    elif name == "fedyogi":
        sign = (v > squared) - (v < squared)
        v = min(max(v - sign * model_half_up(Fraction(squared * fresh, MICROS)), 0), 2**62)
    else:
        v = min(v + squared, 2**62)
    root = math.isqrt(v) + max(1, (tau << 28) // MICROS)
    ratio = max(-(2**40), min(2**40, model_half_up(Fraction(m << 28, root))))
    moved = model_half_up(Fraction(ratio * rate, MICROS))
    return max(-(2**62), min(2**62, value + moved)), m, v


@given(
    st.lists(st.tuples(states, states, steps, steps), min_size=1, max_size=20),
    st.integers(1, MICROS),
)
def test_scaffold__any_state_and_step__equals_the_plain_model(rows, part):
    policy = make_policy("scaffold", participation_micros=part)
    params, control, delta, change = (array(column) for column in zip(*rows, strict=True))
    state = State({"params": params, "server/control": control})
    step = {"delta": delta, "control": change}
    found = get_strategy(policy).apply(state, step, policy).sections
    for index, (value, before, moved, added) in enumerate(rows):
        limit = 2**62
        after = before + model_half_up(Fraction(added * part, MICROS))
        assert found["server/control"][index] == max(-limit, min(limit, after))
        assert found["params"][index] == max(-limit, min(limit, value + moved))


@given(st.lists(st.tuples(states, steps), min_size=1), steps, st.integers(1, 4_096))
def test_fednova__any_state_and_step__equals_the_plain_model(rows, mean, reference):
    policy = make_policy("fednova", reference_steps=reference)
    params, delta = (array(column) for column in zip(*rows, strict=True))
    step = {"delta": delta, "steps": array([mean])}
    found = get_strategy(policy).apply(State({"params": params}), step, policy).sections["params"]
    unit = reference << (32 - policy.update.shift)
    factor = min(max(model_half_up(Fraction(mean << 16, unit)), 0), 2**36)
    for index, (value, moved) in enumerate(rows):
        high, low = moved >> 20, moved & (2**20 - 1)
        scaled = (high * factor << 4) + (low * factor >> 16)
        assert scaled == moved * factor >> 16
        scaled = max(-(2**40), min(2**40, scaled))
        assert found[index] == max(-(2**62), min(2**62, value + scaled))

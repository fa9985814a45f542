"""The aggregation against a model of it in plain Python integers and fractions."""

import math
import random  # Hypothesis hands it over, seeded
from fractions import Fraction
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flchain.learning.aggregation import (
    Aggregate,
    Submission,
    aggregate_updates,
    compute_capped_weights,
    compute_next_state,
    compute_step,
)
from flchain.learning.integers import (
    add_scaled,
    centre,
    clip_norm,
    compute_squared_norm,
    divide_half_up,
)
from flchain.learning.parameters import QuantizedUpdate, State
from flchain.learning.presets import load_preset
from flchain.learning.schemas import compute_state_digest, encode_update
from flchain.protocol.policy import Layer
from flchain.protocol.types import Bps

POLICY = load_preset(
    "digits",
    {
        "model": {"architecture": "own", "layers": [{"name": "w", "shape": [2, 3]}]},
        "max_agents": 8,
        "max_share_bps": 4000,
        "update": {"coordinate_bound": "0.5", "clip": "1", "bucket": 10, "w_max": 8},
        "strategy": {"name": "mimelite", "parameters": {"beta_micros": 700_000}},
    },
)
SIZE = 6
KEY = bytes(range(32))
BOUND = POLICY.update.coordinate_bound

int63 = st.integers(-(2**40), 2**40)
weights_lists = st.lists(st.integers(0, 255), max_size=12)
sections = st.lists(st.integers(-BOUND // 3, BOUND // 3), min_size=SIZE, max_size=SIZE)
rounds = st.lists(st.tuples(sections, sections, st.integers(1, 100)), max_size=8)


def array(values):
    return np.array(values, np.int64)


def build_submissions(drawn):
    built = []
    for index, (delta, control, samples) in enumerate(drawn):
        update = QuantizedUpdate(
            {"delta": np.array(delta, np.int32), "control": np.array(control, np.int32)},
            {"samples": samples},
        )
        agent = f"0x{index:040x}"
        data = encode_update(update, POLICY, round_key=KEY, agent=agent)
        weight = min(8, -(-samples // 10))
        built.append(Submission(agent, weight, partial(bytes, data)))
    return built


def model_half_up(value):
    return math.floor(value + Fraction(1, 2))


def model_mean(total, weight):
    clip = POLICY.update.clip * weight
    squared = sum(value * value for value in total)
    if squared > clip * clip:
        norm = math.isqrt(squared)
        norm += norm * norm < squared
        ratio = Fraction((clip << 30) // norm, 2**30)
        total = [math.trunc(value * ratio) for value in total]
    unit = Fraction(2**32, 2**POLICY.update.shift * weight)
    return [model_half_up(value * unit) for value in total]


@given(st.lists(int63, min_size=1), st.integers(1, 2**40))
def test_divide_half_up__any_integers__rounds_as_fractions_do(values, divisor):
    expected = [model_half_up(Fraction(value, divisor)) for value in values]
    assert divide_half_up(array(values), divisor).tolist() == expected


@given(st.lists(st.integers(-(2**61), 2**61)))
def test_centre__any_integer__is_congruent_and_signed(values):
    for before, after in zip(values, centre(array(values)).tolist(), strict=True):
        assert (before - after) % 2**32 == 0
        assert -(2**31) <= after < 2**31


@given(st.lists(int63, max_size=50), st.integers(1, 400))
def test_squared_norm__any_length__is_exact(values, repeats):
    expected = repeats * sum(value * value for value in values)
    assert compute_squared_norm(np.tile(array(values), repeats)) == expected


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1), st.integers(1, 2**38))
def test_clip_norm__any_limit__is_kept_and_points_the_same_way(values, limit):
    clipped = clip_norm(array(values), limit).tolist()
    assert sum(value * value for value in clipped) <= limit * limit
    for before, after in zip(values, clipped, strict=True):
        assert abs(after) <= abs(before)
        assert before * after >= 0
    if sum(value * value for value in values) <= limit * limit:
        assert clipped == values


@given(st.lists(st.integers(-(2**31), 2**31 - 1)), st.integers(1, 255))
def test_add_scaled__any_update__adds_exactly(values, factor):
    total = array([7] * len(values))
    add_scaled(total, np.array(values, np.int32), factor)
    assert total.tolist() == [7 + factor * value for value in values]


@given(weights_lists, st.integers(1, 10_000))
def test_capped_weights__any_weights__keep_the_share_or_are_equal(weights, share):
    capped = compute_capped_weights(weights, share)
    cap = max(capped, default=0)
    assert capped == tuple(min(weight, cap) for weight in weights)
    assert all(after > 0 for before, after in zip(weights, capped, strict=True) if before)
    if cap > 1:
        assert cap * 10_000 <= share * sum(capped)
        higher = [min(weight, cap + 1) for weight in weights]
        assert cap == max(weights) or (cap + 1) * 10_000 > share * sum(higher)


@given(rounds)
def test_aggregate__any_updates__equals_the_plain_model(drawn):
    submissions = build_submissions(drawn)
    aggregate = aggregate_updates(submissions, POLICY, KEY)
    weights = compute_capped_weights([item.weight for item in submissions], Bps(4000))
    assert aggregate.weights == weights
    step = compute_step(aggregate, POLICY)
    for position, name in enumerate(("delta", "control")):
        columns = zip(*(update[position] for update in drawn), strict=True)
        total = [sum(map(int.__mul__, column, weights)) for column in columns] or [0] * SIZE
        assert aggregate.sections[name].tolist() == total
        mean = model_mean(total, sum(weights)) if weights else total
        assert step[name].tolist() == mean


@given(rounds, st.randoms(use_true_random=False))
def test_aggregate__any_order__gives_the_same_state(drawn, shuffler: random.Random):
    submissions = build_submissions(drawn)
    shuffled = shuffler.sample(submissions, len(submissions))
    start = State({"params": array(range(SIZE)), "server/momentum": array(range(-SIZE, 0))})
    digests = {
        compute_state_digest(
            compute_next_state(start, aggregate_updates(order, POLICY, KEY), POLICY), POLICY
        )
        for order in (submissions, shuffled)
    }
    assert len(digests) == 1


@given(
    st.lists(st.integers(-(2**62), 2**62), min_size=SIZE, max_size=SIZE),
    st.lists(st.integers(-(2**62), 2**62), min_size=SIZE, max_size=SIZE),
    st.lists(st.integers(1, 8), min_size=1, max_size=8),
)
def test_next_state__any_sums_at_all__stay_within_the_state(params, total, weights):
    sums = {"delta": array(total), "control": array(total)}
    start = State({"params": array(params), "server/momentum": array([0] * SIZE)})
    state = compute_next_state(start, Aggregate(sums, tuple(weights)), POLICY)
    mean = model_mean([(value + 2**31) % 2**32 - 2**31 for value in total], sum(weights))
    limit = 2**62
    expected = [
        max(-limit, min(limit, before + step)) for before, step in zip(params, mean, strict=True)
    ]
    assert state.sections["params"].tolist() == expected
    momentum = [model_half_up(Fraction(300_000 * step, 10**6)) for step in mean]
    assert state.sections["server/momentum"].tolist() == momentum


def test_policy__of_these_tests__has_six_parameters():
    assert POLICY.model.layers == (Layer("w", (2, 3)),)

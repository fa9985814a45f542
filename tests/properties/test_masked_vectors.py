"""Laws of the rows that agents mask: a sum of rows is the row of the weighted sum."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.learning.compression import build_frame, choose_places
from flchain.learning.masked_vectors import build_row, count_words, read_sum
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.presets import load_preset
from flchain.learning.schemas import get_update_schema
from flchain.protocol.errors import EncodingError

OWN = {"architecture": "own", "layers": [{"name": "w", "shape": [6, 20]}]}
SIZE = 120
SECURE = {
    "mode": "secure",
    "max_agents": 8,
    "min_agents": 4,
    "min_survivors": 4,
    "masking": {"threshold": 3, "max_corrupt": 1},
}
FEDNOVA = {"name": "fednova", "parameters": {"max_steps": 50, "reference_steps": 5}}
MIMELITE = {"name": "mimelite", "parameters": {"beta_micros": 900_000}}
KEYS = st.binary(min_size=32, max_size=32)


def make_random_k(ratio):
    return {"name": "random-k", "parameters": {"bits": 32, "error_feedback": 1, "ratio": ratio}}


@cache
def make_policy(strategy="fedavg", ratio=0):
    rules = {
        "strategy": {"fednova": FEDNOVA, "mimelite": MIMELITE}.get(strategy, {"name": "fedavg"})
    }
    if ratio:
        rules["compression"] = make_random_k(ratio)
    return load_preset("digits", {"model": OWN, **SECURE, **rules})


POLICIES = st.sampled_from(
    [
        make_policy(),
        make_policy("mimelite"),
        make_policy("fednova"),
        make_policy(ratio=2),
        make_policy(ratio=7),
        make_policy(ratio=10_000),
        make_policy("mimelite", ratio=3),
    ]
)


def make_update(policy, seed, largest=None):
    """Return an update with values up to `largest`, by default the policy's bound."""
    rng, bound = np.random.default_rng(seed), largest or policy.update.coordinate_bound
    sections = {
        name: rng.integers(-bound, bound + 1, size).astype(np.int32)
        for name, size in get_update_schema(policy).sections
    }
    return QuantizedUpdate(sections, {"samples": 1})


def get_sent(policy, key):
    """Return the places of each section that are sent; a slice of all without compression."""
    ratio = dict(policy.compression.parameters).get("ratio")
    return {
        name: choose_places(build_frame(name, size, policy, key), ratio) if ratio else slice(None)
        for name, size in get_update_schema(policy).sections
    }


@given(POLICIES, KEYS, st.integers(0, 2**32), st.data())
def test_row__one_update__comes_back_times_its_weight_where_it_was_sent(policy, key, seed, data):
    weight = data.draw(st.integers(1, policy.update.w_max))
    update = make_update(policy, seed)
    row = build_row(update, policy, key, weight)
    assert row.dtype == np.int32
    assert len(row) == count_words(policy)
    found = read_sum(row, policy, key)
    assert found.keys() == update.sections.keys()
    for name, places in get_sent(policy, key).items():
        expected = np.zeros(len(update.sections[name]), np.int64)
        expected[places] = weight * update.sections[name].astype(np.int64)[places]
        assert found[name].dtype == np.int64
        assert np.array_equal(found[name], expected)


@given(POLICIES, KEYS, st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 8)), max_size=8))
def test_sum__any_updates_and_weights__is_what_each_row_gives_added_up(policy, key, given_):
    total = np.zeros(count_words(policy), np.int32)
    expected = {name: np.zeros(size, np.int64) for name, size in get_update_schema(policy).sections}
    for seed, weight in given_:
        update = make_update(policy, seed)
        row = build_row(update, policy, key, min(weight, policy.update.w_max))
        total += row
        for name, section in read_sum(row, policy, key).items():
            expected[name] += section
    found = read_sum(total, policy, key)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("ratio", [0, 4])
def test_sum__all_agents_at_the_bound_with_the_largest_weight__does_not_wrap(ratio):
    policy, key = make_policy(ratio=ratio), bytes(32)
    bound, most = policy.update.coordinate_bound, policy.update.w_max
    section = np.full(SIZE, bound, np.int32)
    row = build_row(QuantizedUpdate({"delta": section}, {"samples": 1}), policy, key, most)
    total = np.sum([row] * policy.max_agents, axis=0, dtype=np.int32)
    assert read_sum(total, policy, key)["delta"].max() == policy.max_agents * most * bound < 2**31


@given(KEYS, KEYS)
def test_row__random_k__sends_the_rounds_places_and_a_share_of_the_words(one, other):
    policy = make_policy(ratio=7)
    assert count_words(policy) == -(-SIZE // 7)
    section = np.arange(1, SIZE + 1, dtype=np.int32)
    update = QuantizedUpdate({"delta": section}, {"samples": 1})
    places = [set(build_row(update, policy, key, 1).tolist()) for key in (one, other)]
    assert all(len(each) == count_words(policy) for each in places)
    assert (places[0] == places[1]) == (one == other)


@given(POLICIES, st.integers(-3, 3).filter(bool))
def test_sum__another_length__is_refused(policy, change):
    words = count_words(policy)
    with pytest.raises(EncodingError, match=f"the round's rows have {words}"):
        read_sum(np.zeros(max(0, words + change), np.int32), policy, bytes(32))


def test_words__every_strategy__counts_all_its_sections():
    assert count_words(make_policy()) == SIZE
    assert count_words(make_policy("mimelite")) == 2 * SIZE
    assert count_words(make_policy("fednova")) == SIZE + 1
    assert count_words(make_policy("mimelite", ratio=3)) == 2 * 40

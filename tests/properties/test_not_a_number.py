"""NaN and infinity get nowhere: not into an update, a sum, a score or a model."""

from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flchain.learning.aggregation import (
    Submission,
    aggregate_updates,
    compute_initial_state,
    compute_next_state,
)
from flchain.learning.contribution import compute_basis_points, compute_shares
from flchain.learning.parameters import FloatUpdate, QuantizedUpdate, to_float
from flchain.learning.presets import load_preset
from flchain.learning.privacy import privatise_update
from flchain.learning.quantisation import quantise_update
from flchain.learning.schemas import encode_update
from flchain.protocol.errors import EncodingError

SIZE = 6
KEY = bytes(range(32))
OWN = {"architecture": "own", "layers": [{"name": "w", "shape": [SIZE]}]}
NOISE = {
    "mechanism": "skellam",
    "epsilon": "30",
    "clip": "0.5",
    "noise_multiplier": "0.5",
    "delta_inverse": 100_000,
}
POLICY = load_preset("digits", {"model": OWN, "min_agents": 3, "min_survivors": 3})
PRIVATE = load_preset("digits", {"model": OWN, "privacy": NOISE})
ROBUST = load_preset(
    "digits",
    {
        "model": OWN,
        "min_agents": 3,
        "min_survivors": 3,
        "aggregator": {"name": "trimmed-mean", "parameters": {"f": 1}},
    },
)

floats = st.floats(width=32)
broken = st.sampled_from([np.nan, np.inf, -np.inf])
vectors = st.lists(floats, min_size=SIZE, max_size=SIZE)
places = st.integers(0, SIZE - 1)


def make_update(vector):
    return FloatUpdate({"delta": np.array(vector, np.float32)}, 10)


@given(vectors, places, broken)
def test_update__one_broken_number_anywhere__is_not_published(vector, place, number):
    vector[place] = number
    with pytest.raises(EncodingError, match="NaN or infinity"):
        quantise_update(make_update(vector), POLICY, np.random.default_rng(1))
    with pytest.raises(EncodingError, match="NaN or infinity"):
        privatise_update(
            make_update(vector), PRIVATE, np.random.default_rng(1), np.random.default_rng(2)
        )


@given(vectors)
def test_update__any_floats__are_refused_or_within_the_bounds(vector):
    try:
        update = quantise_update(make_update(vector), POLICY, np.random.default_rng(1))
    except EncodingError:
        return
    delta = update.sections["delta"].astype(np.int64)
    assert np.abs(delta).max() <= POLICY.update.coordinate_bound
    assert int((delta * delta).sum()) <= POLICY.update.clip**2


def submit(policy, index, delta):
    """Return a submission of an honest form, whatever its integers are."""
    agent = f"0x{index:040x}"
    zero = QuantizedUpdate({"delta": np.zeros(SIZE, np.int32)}, {"samples": 10})
    data = encode_update(zero, policy, round_key=KEY, agent=agent)
    return Submission(agent, 1, partial(bytes, data[: -4 * SIZE] + delta.tobytes()))


@pytest.mark.parametrize("policy", [POLICY, ROBUST], ids=["mean", "trimmed mean"])
@given(data=st.data())
def test_model__bits_of_any_floats_for_an_update__stays_finite_and_bounded(policy, data):
    sent = np.array(data.draw(vectors), np.float32).view(np.int32)
    honest = [np.full(SIZE, value, np.int32) for value in (5, 6, 7, 8)]
    submissions = [submit(policy, place, row) for place, row in enumerate([sent, *honest])]
    aggregate = aggregate_updates(submissions, policy, KEY)
    start = compute_initial_state(policy)
    after = compute_next_state(start, aggregate, policy).sections["params"]
    assert np.isfinite(to_float(after)).all()
    moved = np.abs(after - start.sections["params"])
    assert moved.max() <= policy.update.coordinate_bound << (32 - policy.update.shift)
    alone = aggregate_updates(submissions[1:], policy, KEY)
    if aggregate.weights[0] == 0:
        expected = compute_next_state(start, alone, policy).sections["params"]
        assert np.array_equal(after, expected)


@example([np.nan, np.inf, -np.inf, 0.5])
@example([np.inf, np.inf])
@given(st.lists(st.floats(), max_size=8))
def test_scores__any_floats__are_whole_basis_points(scores):
    for points in (compute_shares(np.array(scores)), compute_basis_points(np.array(scores))):
        assert all(0 <= point <= 10_000 for point in points)
    assert sum(compute_shares(np.array(scores))) <= 10_000

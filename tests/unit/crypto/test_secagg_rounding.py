"""Rounded vectors keep their norm's bound for certain and their mean nearly."""

import math

import numpy as np
import pytest

from flchain.crypto.secagg import rounding
from flchain.crypto.secagg.rounding import MAX_CLIP, Rounding, round_vector
from flchain.protocol.errors import ConfigError, EncodingError


def make_vector(size, norm, seed=1):
    vector = np.random.default_rng(seed).standard_normal(size)
    return (vector * (norm / np.linalg.norm(vector))).astype(np.float32)


def measure(vector):
    return math.sqrt(sum(int(value) ** 2 for value in vector))


@pytest.mark.parametrize("size", [1, 2, 1000, 40_000])
@pytest.mark.parametrize("norm", [0.5, 1.0, 50.0])
def test_round__any_norm__keeps_the_stated_bound(size, norm):
    rules = Rounding(shift=10, clip=1 << 10)
    rounded = round_vector(make_vector(size, norm), rules, np.random.default_rng(2))
    assert rounded.dtype == np.int32
    assert measure(rounded) ** 2 <= rules.compute_squared_bound(size) + 1e-6
    assert np.abs(rounded).max() <= rules.compute_bound(size)


def test_squared_bound__of_published_form__is_the_smaller_one():
    rules = Rounding(shift=0, clip=100)
    assert rules.compute_squared_bound(10_000) == 100**2 + 2500 + 100 + 50
    assert Rounding(0, 1).compute_squared_bound(1) == 4


def test_round__within_the_clip__moves_each_coordinate_by_less_than_one_unit():
    vector = make_vector(5000, 0.5)
    rounded = round_vector(vector, Rounding(12, 1 << 12), np.random.default_rng(0))
    assert np.abs(rounded - vector.astype(np.float64) * 2**12).max() < 1


def test_round__beyond_the_clip__shortens_to_it_and_keeps_the_direction():
    vector = make_vector(1000, 8.0)
    rounded = round_vector(vector, Rounding(16, 1 << 16), np.random.default_rng(0))
    assert measure(rounded) == pytest.approx(2**16, rel=1e-3)
    assert np.corrcoef(rounded, vector)[0, 1] > 0.999


def test_round__many_times__keeps_the_mean():
    vector = make_vector(400, 0.9)
    rng = np.random.default_rng(4)
    rules = Rounding(6, 1 << 6)
    mean = np.mean([round_vector(vector, rules, rng) for _ in range(600)], axis=0)
    assert np.abs(mean - vector.astype(np.float64) * 64).max() < 0.12


def test_round__same_generator__gives_the_same():
    vector = make_vector(3000, 1.0)
    rules = Rounding(8, 200)
    first, second = (round_vector(vector, rules, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first, second)


def test_round__too_long_at_first__is_done_again(monkeypatch):
    norms = iter([10**9, 10**9, 0])
    monkeypatch.setattr(rounding, "_round_into", lambda *_: next(norms))
    round_vector(np.ones(4, np.float32), Rounding(0, 10), np.random.default_rng(0))
    assert next(norms, "used up") == "used up"


def test_round__zeros_and_nothing__stay():
    for size in (0, 5):
        rounded = round_vector(
            np.zeros(size, np.float32), Rounding(8, 10), np.random.default_rng(0)
        )
        assert not rounded.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_round__not_finite__is_refused(value):
    vector = np.array([1.0, value], np.float32)
    with pytest.raises(EncodingError, match="NaN or infinity"):
        round_vector(vector, Rounding(8, 10), np.random.default_rng(0))


@pytest.mark.parametrize("clip", [0, -1, MAX_CLIP + 1])
def test_round__clip_out_of_range__is_refused(clip):
    with pytest.raises(ConfigError, match="clip"):
        round_vector(np.ones(2, np.float32), Rounding(0, clip), np.random.default_rng(0))

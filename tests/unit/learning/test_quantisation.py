import numpy as np
import pytest

from flchain.learning.parameters import FloatUpdate
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise, quantise_update
from flchain.learning.randomness import derive_generator, derive_seed
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import UpdateSpec

RULES = UpdateSpec(shift=16, coordinate_bound=2**15, clip=2**18, bucket=1, w_max=1)
SEED = "00" * 32


def test_quantise__same_generator_state__gives_the_same_integers():
    vector = np.linspace(-0.3, 0.3, 1000, dtype=np.float32)
    first, second = (quantise(vector, RULES, derive_generator(SEED, "r")) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, quantise(vector, RULES, derive_generator(SEED, "s")))


def test_quantise__value_between_two_units__is_right_on_average():
    vector = np.full(40_000, 10.25 / 2**16, np.float32)
    rounded = quantise(vector, RULES, derive_generator(SEED, "mean"))
    assert set(rounded.tolist()) == {10, 11}
    assert rounded.mean() == pytest.approx(10.25, abs=0.02)


def test_quantise__large_coordinate__stops_at_the_bound():
    rounded = quantise(np.array([3, -3, 0], np.float32), RULES, derive_generator(SEED, "b"))
    assert rounded.tolist() == [2**15, -(2**15), 0]


def test_quantise__long_vector__is_shortened_and_keeps_its_direction():
    rules = UpdateSpec(shift=16, coordinate_bound=2**15, clip=10_000, bucket=1, w_max=1)
    vector = np.tile(np.array([0.25, -0.125], np.float32), 50)
    rounded = quantise(vector, rules, derive_generator(SEED, "l2")).astype(np.int64)
    norm = np.sqrt((rounded * rounded).sum())
    assert 9_900 < norm <= 10_000
    assert rounded[0] == pytest.approx(-2 * rounded[1], abs=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_quantise__not_finite__is_refused(value):
    with pytest.raises(EncodingError, match="NaN or infinity"):
        quantise(np.array([0, value], np.float32), RULES, derive_generator(SEED, "n"))


def test_quantise_update__sections_and_samples__are_kept():
    policy = load_preset("digits")
    update = FloatUpdate({"delta": np.ones(3, np.float32)}, samples=12)
    quantised = quantise_update(update, policy, derive_generator(SEED, "u"))
    assert quantised.sections["delta"].tolist() == [2**17] * 3
    assert quantised.scalars == {"samples": 12}


def test_seed__each_part__matters():
    seeds = {
        derive_seed(SEED, "batches", 1, 2),
        derive_seed(SEED, "batches", 2, 1),
        derive_seed(SEED, "batches", 12),
        derive_seed(SEED, "rounding", 1, 2),
        derive_seed("11" * 32, "batches", 1, 2),
    }
    assert len(seeds) == 5
    assert derive_seed(SEED, "batches", 1, 2) in seeds

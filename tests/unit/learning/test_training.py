import sys

import numpy as np
import pytest

from flchain.learning.aggregation import compute_initial_state
from flchain.learning.data import Dataset
from flchain.learning.export import get_model_arrays
from flchain.learning.presets import load_preset
from flchain.learning.training import DenseTrainer, LocalPlan, get_trainer, is_dense
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Layer

DIGITS = load_preset("digits")
MNIST = load_preset("mnist")
PLAN = LocalPlan(epochs=2, batch_size=16, learning_rate=0.05, momentum=0.9)


def make_blobs(rows=120, shape=(64,), seed=0):
    """Ten classes, each around its own random centre: easy to learn."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, rows)
    centres = np.random.default_rng(99).standard_normal((10, *shape))
    inputs = centres[labels] + 0.3 * rng.standard_normal((rows, *shape))
    return Dataset("blobs", inputs.astype(np.float32), labels, 10)


def start(policy):
    return get_model_arrays(compute_initial_state(policy), policy)


@pytest.fixture
def trainer():
    """The one under test; other folders have the laws below for other kinds."""
    return DenseTrainer(DIGITS.model.layers)


def are_equal(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_train__same_seed__gives_the_same_bits(trainer):
    arrays, data = start(DIGITS), make_blobs()
    first, second = (trainer.train(arrays, data, PLAN, 7).parameters for _ in range(2))
    assert are_equal(first, second)
    assert not are_equal(first, trainer.train(arrays, data, PLAN, 8).parameters)


def test_train__separable_data__is_learned(trainer):
    result = trainer.train(start(DIGITS), make_blobs(300), PLAN, 7)
    evaluation = trainer.evaluate(result.parameters, make_blobs(200, seed=1))
    assert evaluation.accuracy > 0.95
    assert result.samples == 300
    assert result.loss < 1


def test_train__arguments__are_left_unchanged(trainer):
    arrays, data = start(DIGITS), make_blobs()
    trainer.train(arrays, data, PLAN, 7)
    assert are_equal(arrays, start(DIGITS))


def test_gradient__small_step_against_it__lowers_the_loss_by_its_square(trainer):
    arrays, data = start(DIGITS), make_blobs()
    gradient = trainer.compute_gradient(arrays, data)
    squared = sum(float(np.square(g, dtype=np.float64).sum()) for g in gradient.values())
    moved = {name: arrays[name] - np.float32(1e-3) * gradient[name] for name in arrays}
    drop = trainer.evaluate(arrays, data).loss - trainer.evaluate(moved, data).loss
    assert drop == pytest.approx(1e-3 * squared, rel=0.05)


def test_train__gradient_replaced_by_an_offset__moves_exactly_along_it(trainer):
    arrays, data = start(DIGITS), make_blobs(rows=40)
    offset = {name: np.ones_like(array) for name, array in arrays.items()}
    plan = LocalPlan(1, 10, 0.5, 0.0, gradient_scale=0.0, gradient_offset=offset)
    moved = trainer.train(arrays, data, plan, 0).parameters
    for name, array in arrays.items():
        assert np.allclose(moved[name], array - 4 * 0.5, atol=1e-5)


def test_train__read_only_reversed_or_wider_arrays__are_taken(trainer):
    arrays, data = start(DIGITS), make_blobs(rows=40)
    wide = Dataset("own", data.inputs.astype(np.float64), data.labels.astype(np.int8), 10)
    data.inputs.setflags(write=False)
    expected = trainer.train(arrays, data, PLAN, 1).parameters
    assert are_equal(expected, trainer.train(arrays, wide, PLAN, 1).parameters)
    assert trainer.evaluate(arrays, data.select(slice(None, None, -1))).samples == 40


def test_train__momentum__follows_the_heavy_ball(trainer):
    arrays, data = start(DIGITS), make_blobs(rows=30)
    offset = {name: np.ones_like(array) for name, array in arrays.items()}
    plan = LocalPlan(1, 10, 1.0, 0.5, gradient_scale=0.0, gradient_offset=offset)
    moved = trainer.train(arrays, data, plan, 0).parameters
    steps = 1 + 1.5 + 1.75
    assert np.allclose(moved["fc1.bias"], arrays["fc1.bias"] - steps, atol=1e-5)


def test_get_trainer__dense_model__needs_no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert isinstance(get_trainer(DIGITS.model), DenseTrainer)


def test_get_trainer__network_without_torch__says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("flchain.learning.models", "flchain.learning.training.torch_trainer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match="pip install"):
        get_trainer(MNIST.model)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(3, 4), (3,)], True),
        ([(3, 4), (3,), (2, 3), (2,)], True),
        ([(3, 4), (3,), (2, 4), (2,)], False),
        ([(3, 4), (4,)], False),
        ([(3, 4)], False),
        ([(3, 4, 1, 1), (3,)], False),
    ],
)
def test_is_dense__shapes__must_chain(shapes, expected):
    assert is_dense([Layer(f"l{i}", shape) for i, shape in enumerate(shapes)]) is expected

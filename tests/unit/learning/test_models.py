"""Models of the user's own behind one protocol, on NumPy alone, and tasks."""

import numpy as np
import pytest

from flchain.learning.data import Dataset, load_digits
from flchain.learning.evaluation import compute_log_softmax
from flchain.learning.task import LearningTask, check_task
from flchain.learning.training import LocalPlan
from flchain.learning.training.model import load_model, load_weights, save_model, save_weights
from flchain.learning.training.numpy_model import NumpyModel
from flchain.protocol.errors import ConfigError, EncodingError

PLAN = LocalPlan(epochs=3, batch_size=16, learning_rate=0.1, momentum=0.5)
TRAIN, TEST = load_digits(0, 400), load_digits(1_400)


def score(parameters, inputs):
    return inputs @ parameters["w"].T + parameters["b"]


def differentiate(parameters, inputs, labels):
    logs = compute_log_softmax(score(parameters, inputs))
    rows = np.arange(len(labels))
    error = np.exp(logs)
    error[rows, labels] -= 1
    error /= np.float32(len(labels))
    return -float(logs[rows, labels].mean()), {"w": error.T @ inputs, "b": error.sum(axis=0)}


def make_numpy():
    zeros = {"w": np.zeros((10, 64), np.float32), "b": np.zeros(10, np.float32)}
    return NumpyModel(zeros, score, differentiate)


@pytest.fixture(params=[make_numpy], ids=["numpy"])
def make_model(request):
    """The maker of a kind of models; other folders have the laws below for other kinds."""
    return request.param


@pytest.fixture
def model(make_model):
    return make_model()


def start_from(model):
    rng = np.random.default_rng(4)
    return {
        layer.name: (0.1 * rng.standard_normal(layer.shape)).astype(np.float32)
        for layer in model.get_layers()
    }


def test_model__training__learns_repeats_and_holds_nothing(model):
    held, start = model.get_parameters(), start_from(model)
    first, second = (model.train(start, TRAIN, PLAN, 3) for _ in range(2))
    other = model.train(start, TRAIN, PLAN, 4)
    assert model.evaluate(first.parameters, TEST).accuracy > 0.6
    assert first.samples == 400
    for name, array in first.parameters.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, second.parameters[name])
        assert np.array_equal(held[name], model.get_parameters()[name])
        assert np.array_equal(start[name], start_from(model)[name])
    assert any(not np.array_equal(first.parameters[name], other.parameters[name]) for name in held)
    scores = model.predict(first.parameters, TEST.inputs[:7])
    assert (scores.shape, scores.dtype) == ((7, 10), np.float32)


def test_model__parameters__are_set_got_and_checked(model):
    values = start_from(model)
    model.set_parameters(values)
    for name, array in model.get_parameters().items():
        assert np.array_equal(array, values[name])
        array.fill(7)
    first = next(iter(values))
    assert np.array_equal(model.get_parameters()[first], values[first])
    for wrong, error in (
        ({**values, "extra": values[first]}, "layer extra is unknown"),
        ({name: a for name, a in values.items() if name != first}, "is missing"),
        ({**values, first: np.zeros((2, 3, 4), np.float32)}, "expected"),
        ({**values, first: np.full_like(values[first], np.nan)}, "NaN or infinity"),
    ):
        with pytest.raises(ConfigError, match=error):
            model.set_parameters(wrong)


def test_model__files__are_read_back_into_a_new_one(model, make_model):
    model.set_parameters(start_from(model))
    data = save_model(model, "mine", {"version": 3})
    assert data == save_model(model, "mine", {"version": 3})
    other = make_model()
    assert load_model(other, "mine", data) == {"version": 3}
    load_weights(other, save_weights(model))
    for layer, array in model.get_parameters().items():
        assert np.array_equal(other.get_parameters()[layer], array)
    with pytest.raises(EncodingError, match="not of the architecture 'yours'"):
        load_model(other, "yours", data)


@pytest.mark.parametrize("data", [b"", b"\x80\x04pickle", b"\xff" * 40, bytes(8) + b"{}"])
def test_model_file__other_bytes__are_refused(data):
    for load in (load_weights, lambda model, data: load_model(model, "mine", data)):
        with pytest.raises(EncodingError, match="model file"):
            load(make_numpy(), data)


def test_model_file__weights_alone__do_not_say_what_they_are():
    with pytest.raises(EncodingError, match="does not say what model"):
        load_model(make_numpy(), "mine", save_weights(make_numpy()))


def test_numpy__corrected_gradient__is_followed():
    shifted = LocalPlan(
        1, 400, 1.0, 0.0, 0.0, {"w": np.ones((10, 64), np.float32), "b": np.ones(10, np.float32)}
    )
    model = make_numpy()
    moved = model.train(start_from(model), TRAIN, shifted, 0).parameters
    assert np.allclose(moved["b"], start_from(model)["b"] - 1)


def make_task(**values):
    return LearningTask(
        **{"name": "t", "build_model": make_numpy, "train": TRAIN, "test": TEST} | values
    )


def make_short():
    """A model that forgets the last row."""
    zeros = {"w": np.zeros((10, 64), np.float32), "b": np.zeros(10, np.float32)}
    return NumpyModel(zeros, lambda p, x: score(p, x[: max(1, len(x) - 1)]), differentiate)


def test_numpy__no_rows__stays_and_does_not_warn(recwarn):
    model = make_numpy()
    result = model.train(model.get_parameters(), TRAIN.select([]), PLAN, 0)
    assert (result.samples, result.loss) == (0, 0.0)
    assert not recwarn.list


def test_task__policy__has_the_models_layers_and_the_tasks_values():
    task = make_task(policy={"training.local_epochs": 2})
    policy = task.build_policy({"seed": "11" * 32})
    assert policy.model.layers == make_numpy().get_layers()
    assert (policy.model.architecture, policy.training.local_epochs) == ("t", 2)
    assert check_task(task, "m:t") is task


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (3, "is int; it must be a flchain LearningTask"),
        (make_task(build_model=object), "has no get_layers; return a TorchModel"),
        (make_task(train=TRAIN.select([])), "must each be a Dataset with rows"),
        (make_task(test=Dataset("x", np.full((1, 64), np.nan), [0], 10)), "hold NaN or infinity"),
        (make_task(train=Dataset("x", np.zeros((1, 5)), [0], 10)), "does not take inputs of shape"),
        (make_task(train=Dataset("x", np.zeros((1, 64)), [0], 11)), r"expected \(1, 11\)"),
        (make_task(sites=np.array(["a"])), "1 sites for 400 training rows"),
        (make_task(build_model=make_short), r"scores of shape \(1, 10\) for 2 rows"),
        (make_task(policy=None), "its policy is NoneType; write a dict"),
    ],
)
def test_task__wrong_part__is_named(task, error):
    with pytest.raises(ConfigError, match=error):
        check_task(task, "m:t")

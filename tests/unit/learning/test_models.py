"""Models of the user's own behind one protocol: torch, scikit-learn and NumPy."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from flchain.learning.data import Dataset, load_digits
from flchain.learning.evaluation import compute_log_softmax
from flchain.learning.task import LearningTask, check_task
from flchain.learning.training import LocalPlan
from flchain.learning.training.model import load_model, load_weights, save_model, save_weights
from flchain.learning.training.numpy_model import NumpyModel
from flchain.learning.training.sklearn_model import SklearnModel
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


def make_linear():
    estimator = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05)
    return SklearnModel(estimator, 64, 10)


def make_network():
    return SklearnModel(MLPClassifier((16,), learning_rate_init=0.01), 64, 10)


def get_torch_model():
    return pytest.importorskip("flchain.learning.training.torch_model").TorchModel


def make_torch(**options):
    nn = pytest.importorskip("torch").nn
    layers = (nn.Linear(64, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 10))
    return get_torch_model()(lambda: nn.Sequential(*layers), **options)


def make_adam():
    torch = pytest.importorskip("torch")
    return make_torch(optimizer=lambda parameters, _: torch.optim.Adam(parameters, 0.01))


MAKERS = {
    "numpy": make_numpy,
    "linear": make_linear,
    "network": make_network,
    "torch": make_torch,
    "torch-adam": make_adam,
}


@pytest.fixture(params=list(MAKERS))
def model(request):
    return MAKERS[request.param]()


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


def test_model__files__are_read_back_into_a_new_one(model, request):
    name = request.node.callspec.params["model"]
    model.set_parameters(start_from(model))
    data = save_model(model, "mine", {"version": 3})
    assert data == save_model(model, "mine", {"version": 3})
    other = MAKERS[name]()
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


def test_corrected_gradient__numpy_and_torch__follow_it_and_sklearn_says_no():
    plan = LocalPlan(1, 400, 1.0, 0.0, proximal=0.5)
    shifted = LocalPlan(
        1, 400, 1.0, 0.0, 0.0, {"w": np.ones((10, 64), np.float32), "b": np.ones(10, np.float32)}
    )
    model = make_numpy()
    moved = model.train(start_from(model), TRAIN, shifted, 0).parameters
    assert np.allclose(moved["b"], start_from(model)["b"] - 1)
    for estimator in (make_linear(), make_network()):
        with pytest.raises(ConfigError, match="follow no corrected gradient"):
            estimator.train(estimator.get_parameters(), TRAIN, plan, 0)
        with pytest.raises(ConfigError, match="give no gradient"):
            estimator.compute_gradient({}, TRAIN)


def test_torch__adam_with_a_frozen_layer__moves_the_others_only():
    model = make_adam()
    start = start_from(model)
    plan = LocalPlan(1, 50, 0.1, 0.0, frozen=frozenset({"p.0.weight"}))
    found = model.train(start, TRAIN, plan, 0).parameters
    assert np.array_equal(found["p.0.weight"], start["p.0.weight"])
    assert not np.array_equal(found["p.3.weight"], start["p.3.weight"])


def test_torch__module_that_cannot_be_averaged__is_refused():
    nn = pytest.importorskip("torch").nn
    for build, error in (
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), "use GroupNorm or LayerNorm"),
        (nn.ReLU, "no parameters"),
        (lambda: nn.Linear(2, 2).double(), "expected float32"),
        (lambda: nn.ModuleDict({"A": nn.Linear(1, 1), "a": nn.Linear(1, 1)}), "name of its own"),
    ):
        with pytest.raises(ConfigError, match=error):
            get_torch_model()(build)
    with pytest.raises(ConfigError, match="torch finds no device 'nowhere'"):
        get_torch_model()(lambda: nn.Linear(2, 2), device="nowhere")


@pytest.mark.parametrize(
    ("estimator", "error"),
    [
        (LogisticRegression(), "use SGDClassifier"),
        (MLPClassifier(solver="lbfgs"), "needs all rows at once"),
        ("mlp", "str can't continue"),
    ],
)
def test_sklearn__estimator_without_batches__is_refused(estimator, error):
    with pytest.raises(ConfigError, match=error):
        SklearnModel(estimator, 64, 10)


def test_sklearn__two_classes_with_hinge_loss__have_two_scores():
    data = TRAIN.select(np.flatnonzero(TRAIN.labels < 2))
    data = Dataset("two", data.inputs, data.labels, 2)
    model = SklearnModel(SGDClassifier(), 64, 2)
    trained = model.train(model.get_parameters(), data, PLAN, 0).parameters
    assert model.predict(trained, data.inputs).shape == (len(data), 2)
    assert model.evaluate(trained, data).accuracy > 0.95


def make_task(**values):
    return LearningTask(
        **{"name": "t", "build_model": make_numpy, "train": TRAIN, "test": TEST} | values
    )


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
    ],
)
def test_task__wrong_part__is_named(task, error):
    with pytest.raises(ConfigError, match=error):
        check_task(task, "m:t")

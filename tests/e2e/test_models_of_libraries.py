"""Models and trainers of torch and scikit-learn; both take seconds to import."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from flchain.learning.data import Dataset, digits, load_digits
from flchain.learning.presets import load_preset
from flchain.learning.training import (
    DenseTrainer,
    LocalPlan,
    build_plan,
    get_private_trainer,
    get_trainer,
)
from flchain.learning.training.sklearn_model import SklearnModel
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import ARCHITECTURES, Layer, ModelSpec
from tests.unit.learning.test_models import (
    PLAN,
    TRAIN,
    start_from,
    test_model__files__are_read_back_into_a_new_one,
    test_model__parameters__are_set_got_and_checked,
    test_model__training__learns_repeats_and_holds_nothing,
)
from tests.unit.learning.test_strategies import test_proximal__two_steps__equal_the_formula
from tests.unit.learning.test_training import (
    are_equal,
    make_blobs,
    start,
    test_gradient__small_step_against_it__lowers_the_loss_by_its_square,
    test_train__arguments__are_left_unchanged,
    test_train__gradient_replaced_by_an_offset__moves_exactly_along_it,
    test_train__momentum__follows_the_heavy_ball,
    test_train__read_only_reversed_or_wider_arrays__are_taken,
    test_train__same_seed__gives_the_same_bits,
    test_train__separable_data__is_learned,
)

# Laws of every model and trainer, tested here with this module's fixtures.
__all__ = [
    "test_gradient__small_step_against_it__lowers_the_loss_by_its_square",
    "test_model__files__are_read_back_into_a_new_one",
    "test_model__parameters__are_set_got_and_checked",
    "test_model__training__learns_repeats_and_holds_nothing",
    "test_proximal__two_steps__equal_the_formula",
    "test_train__arguments__are_left_unchanged",
    "test_train__gradient_replaced_by_an_offset__moves_exactly_along_it",
    "test_train__momentum__follows_the_heavy_ball",
    "test_train__read_only_reversed_or_wider_arrays__are_taken",
    "test_train__same_seed__gives_the_same_bits",
    "test_train__separable_data__is_learned",
]

DIGITS = load_preset("digits")
MNIST = load_preset("mnist")


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
    "linear": make_linear,
    "network": make_network,
    "torch": make_torch,
    "torch-adam": make_adam,
}


@pytest.fixture(params=list(MAKERS))
def make_model(request):
    return MAKERS[request.param]


@pytest.fixture
def model(make_model):
    return make_model()


def build_torch(policy):
    torch_trainer = pytest.importorskip("flchain.learning.training.torch_trainer")
    return torch_trainer.build_torch_trainer(policy.model)


@pytest.fixture
def trainer():
    return build_torch(DIGITS)


def test_sklearn__corrected_gradient__is_refused():
    plan = LocalPlan(1, 400, 1.0, 0.0, proximal=0.5)
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


def test_trainers__same_model_and_data__agree():
    torch_trainer, dense = build_torch(DIGITS), DenseTrainer(DIGITS.model.layers)
    arrays, data = start(DIGITS), make_blobs()
    plan = LocalPlan(2, 16, 0.05, 0.9)
    for name, gradient in dense.compute_gradient(arrays, data).items():
        assert np.allclose(gradient, torch_trainer.compute_gradient(arrays, data)[name], atol=1e-6)
    first, second = (t.train(arrays, data, plan, 3).parameters for t in (dense, torch_trainer))
    for name, array in first.items():
        assert np.allclose(array, second[name], atol=1e-4)


def test_cnn__mnist_policy__has_its_layers_trains_and_repeats():
    trainer = build_torch(MNIST)
    assert trainer.get_layers() == ARCHITECTURES["cnn-mnist-v1"]
    arrays, data = start(MNIST), make_blobs(rows=70, shape=(1, 28, 28))
    plan = build_plan(MNIST.training)
    first, second = (trainer.train(arrays, data, plan, 5).parameters for _ in range(2))
    assert are_equal(first, second)
    assert all(array.flags.c_contiguous for array in first.values())
    before, after = (trainer.evaluate(p, data).loss for p in (arrays, first))
    assert after < before
    assert trainer.predict(first, data.inputs).shape == (70, 10)


def test_torch__parameter_that_the_loss_ignores__has_no_gradient_and_stays():
    nn = pytest.importorskip("torch").nn
    torch_trainer = pytest.importorskip("flchain.learning.training.torch_trainer")

    def build():
        module = nn.Linear(4, 10)
        module.idle = nn.Parameter(nn.Linear(1, 1).weight.detach().clone())
        return module

    trainer = torch_trainer.TorchTrainer(build)
    arrays = {layer.name: np.ones(layer.shape, np.float32) for layer in trainer.get_layers()}
    data = make_blobs(rows=20, shape=(4,))
    assert not trainer.compute_gradient(arrays, data)["idle"].any()
    assert trainer.train(arrays, data, LocalPlan(2, 16, 0.05, 0.9), 1).parameters["idle"] == 1


def test_get_trainer__unknown_network__lists_the_known_ones():
    pytest.importorskip("torch")
    model = ModelSpec("resnet-v1", 9, (Layer("w", (3, 3)),))
    with pytest.raises(
        ConfigError, match="no trainer for model resnet-v1; choose one of cnn-mnist"
    ):
        get_trainer(model)


def test_digits__file_has_moved__are_those_of_scikit_learns_function(monkeypatch):
    expected = load_digits()
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    monkeypatch.setattr(digits, "_read_table", digits._read_table.__wrapped__)
    found = load_digits()
    assert np.array_equal(found.inputs, expected.inputs)
    assert np.array_equal(found.labels, expected.labels)


def test_private__opacus_missing__says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    monkeypatch.setitem(sys.modules, "opacus.grad_sample", None)
    monkeypatch.delitem(sys.modules, "flchain.learning.training.private_trainer", raising=False)
    with pytest.raises(ConfigError, match=r"flchain\[torch,dp\]"):
        get_private_trainer(DIGITS.model, clip=1, multiplier=1, draw_secret=lambda _: 1)


def test_orchestrator__modules__no_torch():
    code = (
        "import sys, flchain.cli.nodes, flchain.roles.validator\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

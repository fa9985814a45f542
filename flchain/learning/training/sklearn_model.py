"""scikit-learn classifiers that learn batch by batch as models: SGDClassifier and MLPClassifier.

The estimator brings its loss, penalty, optimiser and learning rate; the policy's plan brings
epochs and batch size. An estimator follows no corrected gradient, so strategies that need one
(FedProx, SCAFFOLD, MimeLite) are refused; those of the server (FedAvg, FedOpt) suit it.
Importing this module imports scikit-learn.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from flchain.learning.data.dataset import Dataset
from flchain.learning.evaluation import Evaluation, evaluate_scores
from flchain.learning.parameters import Float32, NamedArrays
from flchain.learning.training.base import LocalPlan, TrainingResult, build_generator
from flchain.learning.training.model import check_arrays
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Layer

_SEED_LIMIT = 1 << 32
_LEAST = np.finfo(np.float32).tiny


class SklearnModel:
    """An estimator over `features` columns and `classes` classes.

    For logistic regression take `SGDClassifier(loss="log_loss")`: LogisticRegression itself needs
    all classes in every agent's rows and all rows at once.
    """

    def __init__(self, estimator: Any, features: int, classes: int) -> None:
        """Raises ConfigError if `estimator` is none of the two or can't learn in batches."""
        if not isinstance(estimator, SGDClassifier | MLPClassifier):
            raise ConfigError(
                f"model: {type(estimator).__name__} can't continue from given weights in batches; "
                'use SGDClassifier (loss="log_loss" is logistic regression) or MLPClassifier'
            )
        if isinstance(estimator, MLPClassifier) and estimator.solver == "lbfgs":
            raise ConfigError('model: solver "lbfgs" needs all rows at once; use "sgd" or "adam"')
        self._estimator, self._features, self._classes = estimator, features, classes
        self._values = _read_arrays(self._build(0))

    def get_layers(self) -> tuple[Layer, ...]:
        """Return coefficients and intercepts, layer by layer."""
        return tuple(Layer(name, array.shape) for name, array in self._values.items())

    def get_parameters(self) -> dict[str, Float32]:
        """Return copies of the values held."""
        return {name: array.copy() for name, array in self._values.items()}

    def set_parameters(self, parameters: NamedArrays) -> None:
        """Hold these values. Raises ConfigError if they do not fit."""
        check_arrays(parameters, self.get_layers())
        self._values = {name: np.array(parameters[name], np.float32) for name in self._values}

    def train(
        self, parameters: NamedArrays, data: Dataset, plan: LocalPlan, seed: int
    ) -> TrainingResult:
        """Go on from `parameters` in an order that `seed` decides."""
        if plan.gradient_offset is not None or plan.proximal or plan.frozen:
            raise ConfigError(
                "model: scikit-learn estimators follow no corrected gradient and freeze no "
                "layer; choose the strategy fedavg, fedadam, fedyogi or fedadagrad"
            )
        rng, estimator = build_generator(seed), self._fill(parameters, seed)
        for _ in range(plan.epochs):
            order = rng.permutation(len(data))
            for begin in range(0, len(order), plan.batch_size):
                rows = order[begin : begin + plan.batch_size]
                estimator.partial_fit(_flatten(data.inputs[rows]), data.labels[rows])
        trained = _read_arrays(estimator)
        return TrainingResult(trained, len(data), self.evaluate(trained, data).loss)

    def compute_gradient(self, parameters: NamedArrays, data: Dataset) -> NamedArrays:
        """Raise ConfigError: estimators give no gradient."""
        del parameters, data
        raise ConfigError("model: scikit-learn estimators give no gradient; choose fedavg")

    def evaluate(self, parameters: NamedArrays, data: Dataset) -> Evaluation:
        """Return accuracy and mean cross-entropy."""
        return evaluate_scores(self.predict(parameters, data.inputs), data.labels)

    def predict(self, parameters: NamedArrays, inputs: Float32) -> Float32:
        """Return logarithms of probabilities, or margins where the loss gives none."""
        estimator = self._fill(parameters, 0)
        rows = _flatten(inputs)
        if hasattr(estimator, "predict_proba"):
            likely: Float32 = np.maximum(estimator.predict_proba(rows), _LEAST).astype(np.float32)
            return np.log(likely)
        margins = np.asarray(estimator.decision_function(rows), np.float32)
        return margins if margins.ndim > 1 else np.stack([-margins, margins], axis=1)

    def _fill(self, parameters: NamedArrays, seed: int) -> Any:
        """Return an estimator that holds `parameters` and remembers nothing else."""
        estimator = self._build(seed)
        for name, array in _list_arrays(estimator).items():
            array[...] = parameters[name]
        # Its moments are those of the batch that gave the arrays their shapes.
        vars(estimator).pop("_optimizer", None)
        return estimator

    def _build(self, seed: int) -> Any:
        """Return a new estimator whose arrays have their shapes."""
        estimator = clone(self._estimator).set_params(random_state=seed % _SEED_LIMIT)
        rows = np.zeros((self._classes, self._features), np.float32)
        labels = np.arange(self._classes)
        return estimator.partial_fit(rows, labels, classes=labels)


def _list_arrays(estimator: Any) -> dict[str, NDArray[Any]]:
    """Return the estimator's own arrays by the names of their layers."""
    if isinstance(estimator, SGDClassifier):
        return {"coef": estimator.coef_, "intercept": estimator.intercept_}
    pairs = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    arrays = {}
    for index, (coefficients, intercepts) in enumerate(pairs):
        arrays[f"layer{index}.coef"] = coefficients
        arrays[f"layer{index}.intercept"] = intercepts
    return arrays


def _read_arrays(estimator: Any) -> dict[str, Float32]:
    return {name: np.array(a, np.float32) for name, a in _list_arrays(estimator).items()}


def _flatten(inputs: Float32) -> Float32:
    return inputs.reshape(len(inputs), -1)

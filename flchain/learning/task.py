"""A user's own problem: a model, rows to learn from and rows to test on.

    from torch import nn
    from flchain.learning.data import load_breast_cancer, standardise
    from flchain.learning.task import LearningTask
    from flchain.learning.training.torch_model import TorchModel

    def build_model():
        return TorchModel(lambda: nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 2)))

    task = LearningTask(
        "tumours", build_model, load_breast_cancer(0, 400), load_breast_cancer(400), standardise
    )

In a file `tumours.py` this is `flchain simulate --task tumours:task`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.learning.presets import load_preset
from flchain.learning.training.model import Model
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy

_TRIED = 2
"""Rows on which a model is tried: with one, scores of the wrong length might fit."""
_METHODS = ("get_layers", "get_parameters", "train", "evaluate", "predict")


@dataclass(frozen=True)
class LearningTask:
    """What is learned. `name` is a policy's name: lower case, letter first.

    `build_model` returns a new model each time it is called. `prepare` is what each agent and
    each validator does with its own rows first, such as standardising them. `policy` replaces
    values of the digits preset by their full key, such as `{"training.local_epochs": 2}`.
    `sites` names the origin of each training row, where there is one.
    """

    name: str
    build_model: Callable[[], Model]
    train: Dataset
    test: Dataset
    prepare: Callable[[Dataset], Dataset] | None = None
    policy: Mapping[str, object] = field(default_factory=dict)
    sites: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        if self.sites is not None:
            object.__setattr__(self, "sites", np.asarray(self.sites))

    def prepare_rows(self, rows: Dataset) -> Dataset:
        """Return one member's rows as the model gets them."""
        return self.prepare(rows) if self.prepare else rows

    def build_policy(self, overrides: Mapping[str, object]) -> Policy:
        """Return the policy, with `overrides` over the task's own values."""
        layers = [
            {"name": layer.name, "shape": list(layer.shape)}
            for layer in self.build_model().get_layers()
        ]
        model = {"architecture": self.name, "layers": layers}
        return load_preset(
            "digits", {"model": model, "data.dataset": self.name, **self.policy, **overrides}
        )


def check_task(task: object, source: str) -> LearningTask:
    """Return what `source` named, if it can be learned. Raises ConfigError saying what is wrong."""
    if not isinstance(task, LearningTask):
        raise ConfigError(
            f"task {source!r} is {type(task).__name__}; it must be a flchain LearningTask, or a "
            "function without arguments that returns one"
        )
    if not isinstance(task.policy, Mapping):
        raise ConfigError(
            f"task {source!r}: its policy is {type(task.policy).__name__}; write a dict of full "
            'keys, such as {"training.local_epochs": 2}'
        )
    model = task.build_model()
    missing = [name for name in _METHODS if not callable(getattr(model, name, None))]
    if missing:
        raise ConfigError(
            f"task {source!r}: its model, a {type(model).__name__}, has no {missing[0]}; return a "
            "TorchModel, SklearnModel or NumpyModel from build_model"
        )
    for rows in (task.train, task.test):
        if not len(rows):
            raise ConfigError(f"task {source!r}: train and test must each be a Dataset with rows")
        check_rows(task.prepare_rows(rows), model, source)
    if task.sites is not None and len(task.sites) != len(task.train):
        raise ConfigError(
            f"task {source!r}: {len(task.sites)} sites for {len(task.train)} training rows"
        )
    return task


def check_rows(rows: Dataset, model: Model, source: str) -> None:
    """Raise ConfigError unless `model` takes these rows and has a score for each class."""
    if not np.isfinite(rows.inputs).all():
        raise ConfigError(f"task {source!r}: data {rows.name} hold NaN or infinity; clean them")
    try:
        scores = model.predict(model.get_parameters(), rows.inputs[:_TRIED])
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        raise ConfigError(
            f"task {source!r}: the model does not take inputs of shape "
            f"{rows.inputs.shape[1:]}: {str(error).splitlines()[0]}"
        ) from error
    tried = min(_TRIED, len(rows))
    if scores.shape != (tried, scores.shape[-1]) or scores.shape[1] < rows.classes:
        raise ConfigError(
            f"task {source!r}: the model gives scores of shape {scores.shape} for {tried} rows, "
            f"expected ({tried}, {rows.classes}): one for each class"
        )

"""Local training: the only place where floats are summed. Importing it imports no torch."""

from collections.abc import Callable

from flchain.learning.training.base import (
    LocalPlan,
    Trainer,
    TrainingResult,
    build_plan,
)
from flchain.learning.training.dense import DenseTrainer, is_dense
from flchain.learning.training.dense_batch import Client, train_dense_batch
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import ModelSpec

__all__ = [
    "Client",
    "DenseTrainer",
    "LocalPlan",
    "Trainer",
    "TrainingResult",
    "build_plan",
    "get_private_trainer",
    "get_trainer",
    "is_dense",
    "train_dense_batch",
]


def get_trainer(model: ModelSpec) -> Trainer:
    """Return a new trainer for the policy's model: NumPy if it is dense, else torch.

    A trainer is not to be shared between threads.
    Raises ConfigError if torch is needed and missing, or nobody knows the architecture.
    """
    if is_dense(model.layers):
        return DenseTrainer(model.layers)
    try:
        from flchain.learning.training.torch_trainer import (  # noqa: PLC0415  # torch is optional
            build_torch_trainer,
        )
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ConfigError(
            f"model {model.architecture} needs torch: pip install 'flchain[torch]'"
        ) from error
    return build_torch_trainer(model)


def get_private_trainer(
    model: ModelSpec, *, clip: float, multiplier: float, draw_secret: Callable[[int], int]
) -> Trainer:
    """Return a trainer that hides single rows; `draw_secret(bits)` must be unguessable.

    Raises ConfigError if torch or Opacus is missing, or the architecture is not shipped.
    """
    try:
        from flchain.learning.training.private_trainer import (  # noqa: PLC0415  # optional
            ExampleNoise,
            PrivateTrainer,
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("torch", "opacus"):
            raise
        raise ConfigError(
            "noise on every example needs torch and Opacus: pip install 'flchain[torch,dp]'"
        ) from error
    from flchain.learning.models import MODELS  # noqa: PLC0415  # imports torch

    if model.architecture not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise ConfigError(f"no private trainer for {model.architecture}; choose one of {known}")
    return PrivateTrainer(MODELS[model.architecture], ExampleNoise(clip, multiplier), draw_secret)

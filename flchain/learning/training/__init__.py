"""Local training: the only place where floats are summed. Importing it imports no torch."""

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

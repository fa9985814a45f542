"""Labelled rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.protocol.errors import ConfigError


@dataclass(frozen=True)
class Dataset:
    """Float32 inputs (rows first) and one int64 label per row, below `classes`.

    Arrays of other number types are converted.
    """

    name: str
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", np.asarray(self.inputs, np.float32))
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        if len(self.inputs) != len(self.labels):
            raise ConfigError(
                f"data set {self.name}: {len(self.inputs)} inputs, {len(self.labels)} labels"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < self.classes:
            raise ConfigError(f"data set {self.name}: a label is not below {self.classes}")

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> "Dataset":
        """Return the given rows, in their order."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        return Dataset(self.name, self.inputs[rows], self.labels[rows], self.classes)

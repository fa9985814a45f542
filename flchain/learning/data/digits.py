"""The 1,797 handwritten 8x8 digits that come with scikit-learn."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset


def load_digits(start: int = 0, stop: int | None = None) -> Dataset:
    """Return rows `start` to `stop`: 64 values in [0, 1] each, in the package's order."""
    table = _read_table()[start:stop]
    inputs = table[:, :-1].astype(np.float32) / np.float32(16)
    return Dataset("digits", inputs, table[:, -1].astype(np.int64), classes=10)


@cache
def _read_table() -> NDArray[np.float64]:
    """Return one row for each digit, its label last."""
    # Importing scikit-learn takes two seconds, its file a few milliseconds.
    spec = find_spec("sklearn")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    path = folder / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn import datasets  # noqa: PLC0415  # the file may move, this function will not

    return np.column_stack(datasets.load_digits(return_X_y=True))

"""The 1,797 handwritten 8x8 digits that come with scikit-learn."""

import numpy as np

from flchain.learning.data.dataset import Dataset


def load_digits(start: int = 0, stop: int | None = None) -> Dataset:
    """Return rows `start` to `stop`: 64 values in [0, 1] each, in the package's order."""
    from sklearn import datasets  # noqa: PLC0415  # takes a second, and only this needs it

    pixels, labels = datasets.load_digits(return_X_y=True)
    rows = slice(start, stop)
    inputs = pixels[rows].astype(np.float32) / np.float32(16)
    return Dataset("digits", inputs, labels[rows].astype(np.int64), classes=10)

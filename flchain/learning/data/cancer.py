"""The 569 breast tumours that come with scikit-learn, malignant (0) or benign (1)."""

import numpy as np

from flchain.learning.data.dataset import Dataset


def load_breast_cancer(start: int = 0, stop: int | None = None) -> Dataset:
    """Return rows `start` to `stop`: 30 measures each as they are; see `standardise`."""
    from sklearn import datasets  # noqa: PLC0415  # takes a second, and only this needs it

    inputs, labels = datasets.load_breast_cancer(return_X_y=True)
    rows = slice(start, stop)
    return Dataset("breast-cancer", inputs[rows], labels[rows].astype(np.int64), classes=2)


def standardise(data: Dataset) -> Dataset:
    """Return the rows with mean 0 and deviation 1 in each column, by these rows alone."""
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  # as above

    inputs = StandardScaler().fit_transform(data.inputs.astype(np.float64))
    return Dataset(data.name, inputs, data.labels, data.classes)

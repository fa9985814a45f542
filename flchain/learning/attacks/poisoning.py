"""Attacks on the data: what is trained on is wrong, the training is honest.

The backdoor is that of Gu et al. 2017, https://arxiv.org/abs/1708.06733: a bright patch in the
lower right corner stands for class 0.
"""

import math

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32
from flchain.protocol.errors import ConfigError

PATCH = 3
"""Side of the trigger in pixels."""
TARGET = 0
"""Class that the trigger stands for."""


def flip_labels(data: Dataset) -> Dataset:
    """Return the rows with class y called classes - 1 - y."""
    return Dataset(data.name, data.inputs, data.classes - 1 - data.labels, data.classes)


def stamp_trigger(inputs: Float32) -> Float32:
    """Return a copy of square images, flat ones included, with the patch at their brightest."""
    size = math.prod(inputs.shape[1:])
    side = math.isqrt(size)
    if side * side != size or side < PATCH:
        raise ConfigError(
            f"the backdoor is a patch of {PATCH} x {PATCH} pixels on square images, and rows have "
            f"the shape {inputs.shape[1:]}: choose another attack"
        )
    images = inputs.reshape(len(inputs), side, side).copy()
    images[:, side - PATCH :, side - PATCH :] = 1
    return images.reshape(inputs.shape)


def plant_backdoor(data: Dataset) -> Dataset:
    """Return the rows with every second one stamped and labelled as the target."""
    inputs, labels = data.inputs.copy(), data.labels.copy()
    stamped = slice(0, len(data), 2)
    inputs[stamped] = stamp_trigger(inputs[stamped])
    labels[stamped] = TARGET
    return Dataset(data.name, inputs, labels, data.classes)


def select_victims(data: Dataset) -> Dataset:
    """Return stamped rows that are not of the target class, labelled as the target.

    A model's accuracy on them is the backdoor's success.
    """
    rows = np.flatnonzero(data.labels != TARGET)
    chosen = data.select(rows)
    labels = np.full(len(rows), TARGET, np.int64)
    return Dataset(data.name, stamp_trigger(chosen.inputs), labels, data.classes)

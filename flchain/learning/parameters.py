"""Named float arrays, flat vectors and the fixed-point model state.

The state holds one int64 vector per section: `params`, all layers flattened in the policy's
order, and whatever `server/...` sections the strategy keeps. One unit is 2^-32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Layer

STATE_BITS = 32
"""The model state is in units of 2^-32."""
STATE_LIMIT = 1 << 62
"""Largest magnitude in a state; a rule that would exceed it saturates."""

Float32: TypeAlias = NDArray[np.float32]
Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
NamedArrays: TypeAlias = Mapping[str, Float32]


@dataclass(frozen=True)
class State:
    """A model version: int64 sections by name, `params` first."""

    sections: Mapping[str, Int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", MappingProxyType(dict(self.sections)))


@dataclass(frozen=True)
class FloatUpdate:
    """What an agent learned, before clipping and rounding; `samples` is its data size."""

    sections: Mapping[str, Float32]
    samples: int


@dataclass(frozen=True)
class QuantizedUpdate:
    """An update that may be published: int32 sections and named integers."""

    sections: Mapping[str, Int32]
    scalars: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", MappingProxyType(dict(self.sections)))
        object.__setattr__(self, "scalars", MappingProxyType(dict(self.scalars)))


def flatten(arrays: NamedArrays, layers: Sequence[Layer]) -> Float32:
    """Concatenate the layers, in order and row by row, into one vector.

    Raises EncodingError if a layer is missing, unknown or has another shape.
    """
    if set(arrays) != {layer.name for layer in layers}:
        expected = ", ".join(layer.name for layer in layers)
        raise EncodingError(f"model arrays are {', '.join(sorted(arrays))}; expected {expected}")
    for layer in layers:
        if arrays[layer.name].shape != layer.shape:
            shape = arrays[layer.name].shape
            raise EncodingError(f"{layer.name} has shape {shape}, expected {layer.shape}")
    parts = [np.asarray(arrays[layer.name], np.float32).ravel() for layer in layers]
    return np.concatenate(parts)


def unflatten(vector: Float32, layers: Sequence[Layer]) -> dict[str, Float32]:
    """Cut `vector` into views with the layers' shapes; EncodingError on a wrong length."""
    total = sum(layer.size for layer in layers)
    if vector.shape != (total,):
        raise EncodingError(f"vector has shape {vector.shape}, the layers hold {total} values")
    arrays, start = {}, 0
    for layer in layers:
        arrays[layer.name] = vector[start : start + layer.size].reshape(layer.shape)
        start += layer.size
    return arrays


def to_float(section: Int64) -> Float32:
    """Return a state section as float32, each value correctly rounded once."""
    return (section * 2.0**-STATE_BITS).astype(np.float32)

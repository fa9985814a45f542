"""What a compressor is: a frozen record of pure functions from integers to bytes and back.

The encoder may use floats and is never re-executed. The decoder works on integers alone, so
that every machine reads the same int32 section out of the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flchain.learning.parameters import Int64
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Layer, RuleSpec

Float64: TypeAlias = NDArray[np.float64]

VALUE_LIMIT = (1 << 31) - 1
"""Largest magnitude that an encoder is given and that a decoder gives back."""
NO_BASIS: Float64 = np.zeros(0)


@dataclass(frozen=True)
class Parameter:
    """One integer parameter of a compressor and the range it may have."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Frame:
    """What encoder and decoder both know of a section before they see its bytes.

    `layers` are the model's, or stand for what a section holds instead of one value for each
    of its parameters. `round_key` is where whatever all agents of a round share comes from.
    """

    name: str
    layers: tuple[Layer, ...]
    round_key: bytes = b""

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(layer.size for layer in self.layers)


Encode: TypeAlias = Callable[
    [Int64, Frame, RuleSpec, Float64, np.random.Generator], tuple[bytes, Float64]
]
Decode: TypeAlias = Callable[[bytes, Frame, RuleSpec], Int64]


@dataclass(frozen=True)
class Compressor:
    """One way to make a section smaller, before a lossless coder sees the result.

    `encode` maps values of at most 2^31 - 1 in magnitude and what the agent kept from its last
    round (`basis`, empty at first) to bytes and the next basis. `decode` is its inverse up to
    the loss. `compute_size` gives the exact number of those bytes from the policy alone, which
    is what keeps a decompression bomb out.
    """

    name: str
    parameters: tuple[Parameter, ...]
    compute_size: Callable[[Frame, RuleSpec], int]
    encode: Encode
    decode: Decode
    is_lossless: bool = False


def check_length(data: bytes, expected: int, name: str) -> None:
    """Raise EncodingError unless `data` has exactly the expected length."""
    if len(data) != expected:
        raise EncodingError(f"{name}: {len(data)} bytes, expected {expected}")


def limit_values(vector: Int64) -> Int64:
    """Return `vector` with magnitudes cut at the largest that a compressor takes."""
    return np.clip(vector, -VALUE_LIMIT, VALUE_LIMIT)

"""All integers as they are, arranged so that a lossless coder finds what repeats.

Small magnitudes leave the upper bytes empty: the sign goes to the lowest bit ("zigzag") and
each of the four bytes of every value goes to a plane of its own.
"""

import numpy as np
from numpy.typing import NDArray

from flchain.learning.compression.base import (
    NO_BASIS,
    Compressor,
    Float64,
    Frame,
    check_length,
)
from flchain.learning.parameters import Int64
from flchain.protocol.policy import RuleSpec

_WIDTH = 4


def pack_planes(values: NDArray[np.uint32]) -> bytes:
    """Return the lowest bytes of all values, then the second ones, and so on."""
    return np.ascontiguousarray(values, "<u4").view(np.uint8).reshape(-1, _WIDTH).T.tobytes()


def unpack_planes(data: bytes) -> Int64:
    """Undo `pack_planes`; the length of `data` is a multiple of four."""
    planes = np.frombuffer(data, np.uint8).reshape(_WIDTH, -1)
    return np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64)


def _compute_size(frame: Frame, rule: RuleSpec) -> int:
    del rule
    return _WIDTH * frame.size


def _encode(
    vector: Int64, frame: Frame, rule: RuleSpec, basis: Float64, rng: np.random.Generator
) -> tuple[bytes, Float64]:
    del frame, rule, basis, rng
    return pack_planes(((vector << 1) ^ (vector >> 63)).astype(np.uint32)), NO_BASIS


def _decode(data: bytes, frame: Frame, rule: RuleSpec) -> Int64:
    check_length(data, _compute_size(frame, rule), "integers")
    coded = unpack_planes(data)
    return (coded >> 1) ^ -(coded & 1)


INTEGERS = Compressor("integers", (), _compute_size, _encode, _decode, is_lossless=True)

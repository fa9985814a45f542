"""Linear maps that all agents of a round share: compression under masks.

An agent sends `project(x)`, int32 values that are masked modulo 2^32 and added up. Whoever has
the sum gets `expand(sum)`, which is what expanding each agent's vector and adding up would have
given. Both maps follow from public data: the round key and, for a shared basis, a reference
that everybody has, such as the model's distance from its first version.

Shared basis: PowerSGD's Q, the same for all, so that only P = M Q is sent. Half of its columns
come from one power iteration on the reference, where updates point again and again, the others
are random, so that nothing stays out of reach for good. All of it in integers, because two
agents with bases that differ in one bit could not be added up.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flchain.learning.compression.base import Frame
from flchain.learning.compression.sparse import choose_places
from flchain.learning.integers import saturate
from flchain.learning.parameters import Int32, Int64
from flchain.protocol.policy import Layer

_DOMAIN = b"flchain-shared-basis-v1\x00"
_WORK_BITS = 20
_BASIS_BITS = 14
_INPUT_BITS = 15


@dataclass(frozen=True)
class LinearMap:
    """A pair of maps: `size` values to `width` values, and sums of those back."""

    size: int
    width: int
    project: Callable[[Int64], Int32]
    expand: Callable[[Int64], Int64]


def build_random_k(frame: Frame, ratio: int, bound: int) -> LinearMap:
    """Return the map to the values at one place in `ratio`, each cut at `bound`."""
    places = choose_places(frame, ratio)

    def project(vector: Int64) -> Int32:
        return saturate(vector[places], bound).astype(np.int32)

    def expand(total: Int64) -> Int64:
        vector = np.zeros(frame.size, np.int64)
        vector[places] = total
        return vector

    return LinearMap(frame.size, len(places), project, expand)


def build_shared_basis(frame: Frame, reference: Int64, rank: int, bound: int) -> LinearMap:
    """Return the map to P = M Q of each matrix; other layers are sent whole.

    `reference` is a vector of the section's size, in any unit. Matrices that would not get
    smaller are sent whole too.
    """
    bases = []
    for index, (layer, part) in enumerate(_iterate(frame.layers, reference)):
        rows, columns = layer.shape[0], layer.size // layer.shape[0]
        is_reduced = len(layer.shape) > 1 and rank < min(rows, columns)
        seed = _DOMAIN + frame.round_key + frame.name.encode() + bytes([index])
        bases.append(compute_basis(part.reshape(rows, columns), rank, seed) if is_reduced else None)

    def project(vector: Int64) -> Int32:
        parts = [
            part if basis is None else _round(part.reshape(-1, len(basis)) @ basis).ravel()
            for (_, part), basis in zip(_iterate(frame.layers, vector), bases, strict=True)
        ]
        return saturate(np.concatenate(parts), bound).astype(np.int32)

    def expand(total: Int64) -> Int64:
        parts, start = [], 0
        for layer, basis in zip(frame.layers, bases, strict=True):
            width = layer.size if basis is None else layer.shape[0] * basis.shape[1]
            part = total[start : start + width]
            start += width
            parts.append(part if basis is None else _multiply(part, basis))
        return np.concatenate(parts)

    return LinearMap(frame.size, len(project(np.zeros(frame.size, np.int64))), project, expand)


def compute_basis(reference: Int64, rank: int, seed: bytes) -> Int64:
    """Return `rank` columns of norm 2^14, orthogonal to within rounding, bit for bit.

    The second half is random; so is the first one if the reference is zero.
    """
    columns = reference.shape[1]
    signs = _draw_signs(seed, 2 * columns * rank).reshape(2, columns, rank)
    small = _shrink(reference)
    powered = small.T @ _shrink(small @ signs[0])
    half = rank // 2 if powered.any() else rank
    return _orthogonalise(np.hstack([_shrink(powered)[:, : rank - half], signs[1][:, :half]]))


def _orthogonalise(columns: Int64) -> Int64:
    """Gram-Schmidt, each column against the earlier ones twice; dependent columns become zero."""
    done: list[Int64] = []
    for column in columns.T:
        kept = _scale(column, _WORK_BITS)
        for other in done * 2:
            # Below 2^40, by Cauchy and Schwarz; twice removes what rounding left.
            share = int(kept @ other)
            kept = kept - ((other * (share >> _WORK_BITS)) >> _WORK_BITS)
        is_dependent = math.isqrt(int(kept @ kept)) < 1 << (_WORK_BITS - 8)
        done.append(np.zeros_like(kept) if is_dependent else _scale(kept, _WORK_BITS))
    return np.stack([_scale(column, _BASIS_BITS) for column in done], axis=1)


def _scale(column: Int64, bits: int) -> Int64:
    """Return the column with a norm of about 2^bits; zero stays zero."""
    norm = math.isqrt(int(column @ column))
    return (column << bits) // norm if norm else column


def _shrink(values: Int64) -> Int64:
    """Return the values shifted right until all are below 2^15."""
    largest = max(int(values.max()), -int(values.min()))
    return values >> max(0, largest.bit_length() - _INPUT_BITS)


def _draw_signs(seed: bytes, count: int) -> Int64:
    stream = np.frombuffer(hashlib.shake_256(seed).digest(-(-count // 8)), np.uint8)
    return 2 * np.unpackbits(stream, count=count).astype(np.int64) - 1


def _multiply(part: Int64, basis: Int64) -> Int64:
    return _round(part.reshape(-1, basis.shape[1]) @ basis.T).ravel()


def _round(values: Int64) -> Int64:
    """Return values / 2^14, rounded half up."""
    return (values + (1 << (_BASIS_BITS - 1))) >> _BASIS_BITS


def _iterate(layers: Sequence[Layer], vector: Int64) -> list[tuple[Layer, Int64]]:
    ends = np.cumsum([layer.size for layer in layers])[:-1]
    return list(zip(layers, np.split(vector, ends), strict=True))

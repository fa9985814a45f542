"""A group of prime order as a record of functions, so that proofs know no curve.

A proof made with one backend verifies with any other of the same group: the record carries the
arithmetic, the proof only bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Point(NamedTuple):
    """Affine coordinates on a short Weierstrass curve y^2 = x^3 + b with b != 0."""

    x: int
    y: int


INFINITY = Point(0, 0)
"""The neutral element. Not on any curve with b != 0, so it stands for nothing else."""


class DecodePoint(Protocol):
    """Reads a point from untrusted bytes."""

    def __call__(self, data: bytes, *, allows_infinity: bool = False) -> Point:
        """Return the point. Raises EncodingError unless `data` is its one encoding."""


class EncodePoint(Protocol):
    """Writes a point's one encoding."""

    def __call__(self, point: Point) -> bytes:
        """Return the encoding. Raises EncodingError if the point is not on the curve."""


class Add(Protocol):
    """The group law."""

    def __call__(self, left: Point, right: Point) -> Point:
        """Return left + right."""


class Multiply(Protocol):
    """Scalar multiplication."""

    def __call__(self, point: Point, scalar: int) -> Point:
        """Return scalar * point; the scalar is taken modulo the order."""


class SumProducts(Protocol):
    """Multi-scalar multiplication."""

    def __call__(self, points: Sequence[Point], scalars: Sequence[int]) -> Point:
        """Return the sum of scalar * point over pairs of equally long sequences."""


class Negate(Protocol):
    """The inverse."""

    def __call__(self, point: Point) -> Point:
        """Return -point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of prime `order` in one implementation.

    `name` is hashed into every proof, `backend` into none. Arithmetic trusts that its points are
    on the curve: `decode_point` and `encode_point` are where that is checked.
    """

    name: str
    backend: str
    order: int
    generator: Point
    point_size: int
    add: Add
    negate: Negate
    multiply: Multiply
    sum_products: SumProducts
    encode_point: EncodePoint
    decode_point: DecodePoint

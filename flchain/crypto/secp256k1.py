"""secp256k1 as a `Group`: what proofs and shares that anybody can check are made over.

Points have 64 bytes, x and y big-endian, as BN254's have: reading one takes no square root, which
counts where thousands of commitments are read. Prime order, cofactor 1.
"""

from collections.abc import Sequence
from functools import cache

from flchain.crypto import curves
from flchain.crypto.backend import Backend
from flchain.crypto.groups import INFINITY, Group, Point
from flchain.protocol.errors import EncodingError

POINT_SIZE = 64
ORDER = curves.get_secp256k1().order
FIELD_MODULUS = curves.get_secp256k1().field
GENERATOR = Point(*curves.get_secp256k1().generator)

_HALF = POINT_SIZE // 2
_B = curves.get_secp256k1().b


@cache
def get_group(backend: Backend = Backend.FAST) -> Group:
    """Return secp256k1 over the arithmetic of `backend`."""
    arithmetic = _Arithmetic(curves.get_secp256k1(backend))
    return Group(
        name="secp256k1",
        backend=backend,
        order=ORDER,
        generator=GENERATOR,
        point_size=POINT_SIZE,
        add=arithmetic.add,
        negate=arithmetic.negate,
        multiply=arithmetic.multiply,
        sum_products=arithmetic.sum_products,
        encode_point=encode_point,
        decode_point=decode_point,
    )


def is_on_curve(point: Point) -> bool:
    """Return whether both coordinates are canonical and the equation holds; false for infinity."""
    # Thousands are read at a time: products and one remainder take a third of the powers' time.
    x, y = point
    is_canonical = 0 <= x < FIELD_MODULUS and 0 <= y < FIELD_MODULUS
    return is_canonical and (y * y - x * x * x - _B) % FIELD_MODULUS == 0


def encode_point(point: Point) -> bytes:
    """Return x and y, 64 bytes. Raises EncodingError for infinity and points off the curve."""
    if not is_on_curve(point):
        raise EncodingError("secp256k1: the point is not on the curve")
    return point.x.to_bytes(_HALF, "big") + point.y.to_bytes(_HALF, "big")


def decode_point(data: bytes, *, allows_infinity: bool = False) -> Point:
    """Return the point of 64 bytes; infinity has no encoding, whatever the caller allows.

    Raises EncodingError on another length and on coordinates that are no point of the curve.
    """
    del allows_infinity
    if len(data) != POINT_SIZE:
        raise EncodingError(f"secp256k1: a point has {POINT_SIZE} bytes, not {len(data)}")
    point = Point(int.from_bytes(data[:_HALF], "big"), int.from_bytes(data[_HALF:], "big"))
    if not is_on_curve(point):
        raise EncodingError("secp256k1: the bytes are no point of the curve")
    return point


class _Arithmetic:
    """A curve's operations with infinity as a point like any other."""

    def __init__(self, curve: curves.Curve) -> None:
        self._curve = curve

    def add(self, left: Point, right: Point) -> Point:
        if INFINITY in {left, right}:
            return right if left == INFINITY else left
        return _lower(self._curve.add(curves.Point(*left), curves.Point(*right)))

    def negate(self, point: Point) -> Point:
        return Point(point.x, -point.y % self._curve.field)

    def multiply(self, point: Point, scalar: int) -> Point:
        reduced = scalar % ORDER
        if point == INFINITY or reduced == 0:
            return INFINITY
        if reduced == 1:
            return point
        if point == GENERATOR:
            return _lower(self._curve.multiply_generator(reduced))
        return _lower(self._curve.multiply(curves.Point(*point), reduced))

    def sum_products(self, points: Sequence[Point], scalars: Sequence[int]) -> Point:
        total = INFINITY
        for point, scalar in zip(points, scalars, strict=True):
            total = self.add(total, self.multiply(point, scalar))
        return total


def _lower(point: curves.Point | None) -> Point:
    return INFINITY if point is None else Point(*point)

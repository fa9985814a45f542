"""Prime-order curves y^2 = x^3 + ax + b with SEC1 point encoding, and secp256k1 in two backends.

A curve is a record of its constants and of three operations, so that the same protocol code runs
over compiled, reference and test arithmetic. No backend multiplies another point than the
generator in constant time: a long-lived secret belongs on its owner's machine alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from coincurve import PublicKey
from py_ecc.secp256k1 import secp256k1 as py_ecc

from flchain.crypto.backend import Backend
from flchain.protocol.errors import EncodingError

COORDINATE_SIZE = 32
POINT_SIZE = 33
"""A compressed point: 0x02 or 0x03 for the parity of y, then x."""
_EVEN = 2
_UNCOMPRESSED = b"\x04"
_PY_ECC_INFINITY = (0, 0)


class Point(NamedTuple):
    """A point of a curve in affine coordinates; infinity is None wherever it may occur."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of prime order with cofactor 1 over a field of 256 bits, p = 3 modulo 4.

    The operations take points on the curve and scalars in [0, order), and return None for
    infinity. `lift_x` takes any integer from 0 and a parity, and returns the point with this x and
    this parity of y, or None if there is none.
    """

    name: str
    field: int
    a: int
    b: int
    order: int
    generator: Point
    multiply_generator: Callable[[int], Point | None]
    multiply: Callable[[Point, int], Point | None]
    add: Callable[[Point, Point], Point | None]
    lift_x: Callable[[int, int], Point | None]


def negate(curve: Curve, point: Point) -> Point:
    """Return -`point`."""
    return Point(point.x, curve.field - point.y)


def is_on_curve(curve: Curve, point: Point) -> bool:
    """Return whether the coordinates are canonical and satisfy the curve's equation."""
    is_canonical = 0 <= point.x < curve.field and 0 <= point.y < curve.field
    return is_canonical and pow(point.y, 2, curve.field) == compute_square(curve, point.x)


def compute_square(curve: Curve, x: int) -> int:
    """Return x^3 + ax + b in the field: the square of y if there is a point at x."""
    return (pow(x, 3, curve.field) + curve.a * x + curve.b) % curve.field


def find_root(square: int, field: int) -> int | None:
    """Return a square root modulo a prime that is 3 modulo 4, or None."""
    root = pow(square, (field + 1) // 4, field)
    return root if root * root % field == square % field else None


def encode_point(point: Point) -> bytes:
    """Return the 33 bytes of a compressed point (SEC1 section 2.3.3)."""
    return bytes([_EVEN + point.y % 2]) + point.x.to_bytes(COORDINATE_SIZE, "big")


def decode_point(curve: Curve, data: bytes) -> Point:
    """Return the point of 33 compressed bytes (SEC1 section 2.3.4).

    Raises EncodingError on another length or prefix, on x outside the field, and where the curve
    has no point at x. Infinity has no such encoding.
    """
    if len(data) != POINT_SIZE or data[0] not in {_EVEN, _EVEN + 1}:
        raise EncodingError(f"point: {POINT_SIZE} bytes that begin with 02 or 03 are needed")
    point = curve.lift_x(int.from_bytes(data[1:], "big"), data[0] - _EVEN)
    if point is None:
        raise EncodingError(f"point: no point of {curve.name} has this x-coordinate")
    return point


@cache
def get_secp256k1(backend: Backend = Backend.FAST) -> Curve:
    """Return secp256k1 (SEC2 section 2.4.1) over the arithmetic of `backend`."""
    operations = {
        Backend.FAST: (
            _multiply_generator_fast,
            _multiply_fast,
            _add_fast,
            _lift_x_fast,
        ),
        Backend.REFERENCE: (
            _multiply_generator_py_ecc,
            _multiply_py_ecc,
            _add_py_ecc,
            _lift_x_py_ecc,
        ),
    }[backend]
    return Curve("secp256k1", py_ecc.P, py_ecc.A, py_ecc.B, py_ecc.N, Point(*py_ecc.G), *operations)


def _multiply_generator_fast(scalar: int) -> Point | None:
    if scalar == 0:
        return None
    return _from_key(PublicKey.from_valid_secret(scalar.to_bytes(COORDINATE_SIZE, "big")))


def _multiply_fast(point: Point, scalar: int) -> Point | None:
    if scalar == 0:
        return None
    return _from_key(_to_key(point).multiply(scalar.to_bytes(COORDINATE_SIZE, "big")))


def _add_fast(left: Point, right: Point) -> Point | None:
    # libsecp256k1 has no infinity: it reports the sum of opposite points as a failure.
    if left.x == right.x and left.y != right.y:
        return None
    return _from_key(PublicKey.combine_keys([_to_key(left), _to_key(right)]))


def _lift_x_fast(x: int, parity: int) -> Point | None:
    if x >= py_ecc.P:
        return None
    try:
        return _from_key(PublicKey(encode_point(Point(x, parity))))
    except ValueError:
        return None


def _to_key(point: Point) -> PublicKey:
    coordinates = (value.to_bytes(COORDINATE_SIZE, "big") for value in point)
    return PublicKey(_UNCOMPRESSED + b"".join(coordinates))


def _from_key(key: PublicKey) -> Point:
    data = key.format(compressed=False)
    return Point(int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big"))


def _multiply_generator_py_ecc(scalar: int) -> Point | None:
    return _multiply_py_ecc(Point(*py_ecc.G), scalar)


def _multiply_py_ecc(point: Point, scalar: int) -> Point | None:
    return _from_py_ecc(py_ecc.multiply(point, scalar))


def _add_py_ecc(left: Point, right: Point) -> Point | None:
    return _from_py_ecc(py_ecc.add(left, right))


def _from_py_ecc(point: tuple[int, int]) -> Point | None:
    return None if point == _PY_ECC_INFINITY else Point(*point)


def _lift_x_py_ecc(x: int, parity: int) -> Point | None:
    root = find_root(x**3 + py_ecc.B, py_ecc.P) if x < py_ecc.P else None
    if root is None:
        return None
    return Point(x, root if root % 2 == parity else py_ecc.P - root)

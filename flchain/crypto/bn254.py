"""The group G1 of BN254 (alt_bn128, EIP-196): constants, encodings, hashing to points.

y^2 = x^3 + 3 over a prime field; prime order, cofactor 1, so that every point of the curve is in
the group. About 100 bits of security. Arithmetic is in `flchain.crypto.bn254_backends`.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

from flchain.crypto.groups import INFINITY, Point
from flchain.protocol.errors import EncodingError

try:
    from gmpy2 import mpz
except ImportError:
    mpz = int

make_integer: Callable[[int], Any] = mpz
"""The fastest integers that are installed."""

FIELD_MODULUS = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
ORDER = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
GENERATOR = Point(1, 2)
POINT_SIZE = 64

_B = 3
_ROOT_EXPONENT = (FIELD_MODULUS + 1) // 4
_FIELD_BITS = FIELD_MODULUS.bit_length()
_GENERATOR_DOMAIN = b"flchain/gen/v1/"


def is_on_curve(point: Point) -> bool:
    """Return whether both coordinates are canonical and the equation holds; false for infinity."""
    x, y = point
    is_canonical = 0 <= x < FIELD_MODULUS and 0 <= y < FIELD_MODULUS
    return is_canonical and (y * y - x * x * x - _B) % FIELD_MODULUS == 0


def encode_point(point: Point) -> bytes:
    """Return 64 bytes, x and y big-endian as EIP-196; infinity is all zeros.

    Raises EncodingError if the point is not on the curve.
    """
    if point != INFINITY and not is_on_curve(point):
        raise EncodingError("bn254: the point is not on the curve")
    return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")


def decode_point(data: bytes, *, allows_infinity: bool = False) -> Point:
    """Return the point that 64 bytes encode as EIP-196 has it.

    Raises EncodingError on coordinates of the field's modulus or more, on points off the curve,
    and on infinity unless the caller's equation permits it.
    """
    if len(data) != POINT_SIZE:
        raise EncodingError(f"bn254: a point has {POINT_SIZE} bytes, not {len(data)}")
    point = Point(int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big"))
    if point == INFINITY:
        if allows_infinity:
            return INFINITY
        raise EncodingError("bn254: infinity is not allowed here")
    if not is_on_curve(point):
        raise EncodingError("bn254: the bytes are no point of the curve")
    return point


@cache
def derive_generator(name: str) -> Point:
    """Return the generator of that name, whose logarithm to any other nobody knows."""
    return hash_to_point(_GENERATOR_DOMAIN + name.encode())


def hash_to_point(message: bytes) -> Point:
    """Return a point whose logarithm nobody knows, by try-and-increment over SHA-256.

    Hashes the message, which begins with the caller's domain, and a counter of 4 bytes,
    big-endian: the low 254 bits are x, the highest is y's parity. Time depends on the message, so
    it must not be secret.
    """
    counter = 0
    while True:
        digest = sha256(message + counter.to_bytes(4, "big")).digest()
        number = int.from_bytes(digest, "big")
        point = _lift_x(number % (1 << _FIELD_BITS), number >> 255)
        if point is not None:
            return point
        counter += 1


def _lift_x(x: int, parity: int) -> Point | None:
    """Return the point with this x and y's parity if there is one."""
    y = int(pow(make_integer(x**3 + _B), _ROOT_EXPONENT, FIELD_MODULUS))
    point = Point(x, y if y % 2 == parity else FIELD_MODULUS - y)
    return point if is_on_curve(point) else None


VALUE_BASE = derive_generator("value")
"""What a Pedersen commitment multiplies by the value."""
BLINDING_BASE = derive_generator("blinding")
"""What a Pedersen commitment multiplies by the blinding."""

"""Scalars of a prime order as 32 bytes, big-endian, one encoding each."""

from flchain.protocol.errors import EncodingError

SCALAR_SIZE = 32


def is_scalar(value: int, order: int) -> bool:
    """Return whether the value is reduced: at least 0 and below the order."""
    return 0 <= value < order


def encode_scalar(value: int, order: int) -> bytes:
    """Return 32 bytes. Raises EncodingError unless 0 <= value < order."""
    if not is_scalar(value, order):
        raise EncodingError("scalar: it must be at least 0 and below the group's order")
    return value.to_bytes(SCALAR_SIZE, "big")


def decode_scalar(data: bytes, order: int) -> int:
    """Return the scalar. Raises EncodingError on other lengths and on the order or more."""
    if len(data) != SCALAR_SIZE:
        raise EncodingError(f"scalar: {len(data)} bytes, it must have {SCALAR_SIZE}")
    value = int.from_bytes(data, "big")
    if not is_scalar(value, order):
        raise EncodingError("scalar: it must be below the group's order")
    return value

"""Unsigned varints: base 128, low group first, always the shortest form.

Source: https://github.com/multiformats/unsigned-varint; at most 9 bytes, 63 bits.
"""

from flchain.protocol.errors import EncodingError

MAX_VARINT = 9
_MORE = 0x80
_BITS = 0x7F


def encode_varint(value: int) -> bytes:
    """Return the shortest varint of `value`, from 0 to 2**63 - 1."""
    if value < 0 or value >> 63:
        raise EncodingError(f"{value} does not fit a varint")
    out = bytearray()
    while value > _BITS:
        out.append(value & _BITS | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def is_varint_end(byte: int) -> bool:
    """Return whether a varint ends with `byte`."""
    return byte < _MORE


def decode_varint(data: bytes, at: int, error: type[EncodingError]) -> tuple[int, int]:
    """Return the varint at `data[at:]` and the offset after it; else `error`."""
    value = 0
    for index in range(MAX_VARINT):
        if at + index >= len(data):
            raise error("a varint is truncated")
        byte = data[at + index]
        value |= (byte & _BITS) << (7 * index)
        if is_varint_end(byte):
            if byte == 0 and index:
                raise error("a varint is longer than needed")
            return value, at + index + 1
    raise error("a varint is longer than 9 bytes")

r"""Bytes of states, updates and aggregates.

    "flchain\x01" | u32 little-endian header length | header | zeros up to a multiple of 64
    | sections in the header's order, little-endian integers without gaps

The header is canonical JSON and names the kind, dtype, scale, sections, scalars and, for an
update, the round and the agent it was made for. One vector has exactly one encoding. Decoding
copies nothing: the arrays are read-only views of the bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Digest

MAGIC = b"flchain\x01"
MAX_HEADER_SIZE = 65_536
_ALIGNMENT = 64
_PREFIX = len(MAGIC) + 4
_MAX_SCALAR = 2**53 - 1


@dataclass(frozen=True)
class PayloadSchema:
    """What a payload must contain. One unit of its integers is 2^-scale_bits."""

    kind: str
    dtype: str
    scale_bits: int
    sections: tuple[tuple[str, int], ...]
    scalars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Payload:
    """A decoded vector: arrays and integers by name."""

    sections: Mapping[str, NDArray[Any]]
    scalars: Mapping[str, int]


def compute_shape_digest(schema: PayloadSchema) -> Digest:
    """Return the sha2-256 of the schema's canonical form, for manifests."""
    return Digest(hashlib.sha256(encode_canonical(_build_shape(schema))).digest())


def encode_payload(
    payload: Payload, schema: PayloadSchema, *, round_key: bytes = b"", agent: str = ""
) -> bytes:
    """Return the bytes of `payload`. Raises EncodingError if it does not fit `schema`."""
    for names, known in (
        (payload.sections, dict(schema.sections)),
        (payload.scalars, schema.scalars),
    ):
        if set(names) != set(known):
            raise EncodingError(f"{schema.kind}: has {sorted(names)}, expected {sorted(known)}")
    header = encode_canonical(_build_header(schema, payload.scalars, round_key, agent))
    start = _compute_start(len(header))
    prefix = MAGIC + len(header).to_bytes(4, "little") + header
    arrays = [
        _encode_section(payload.sections[name], name, size, schema)
        for name, size in schema.sections
    ]
    return b"".join([prefix.ljust(start, b"\x00"), *arrays])


def decode_payload(
    data: bytes, schema: PayloadSchema, *, round_key: bytes = b"", agent: str = ""
) -> Payload:
    """Read untrusted bytes. Raises EncodingError, naming what differs from what is expected."""
    header, start = _decode_header(data, schema.kind)
    scalars = _decode_scalars(header, schema)
    expected = _build_header(schema, scalars, round_key, agent)
    for key in sorted(set(expected) | set(header)):
        if header.get(key) != expected.get(key):
            raise _build_difference(schema.kind, key, header.get(key), expected.get(key))
    return Payload(_decode_sections(data, start, schema), scalars)


def _build_shape(schema: PayloadSchema) -> dict[str, CanonicalValue]:
    return {
        "kind": schema.kind,
        "dtype": schema.dtype,
        "scale_bits": schema.scale_bits,
        "sections": [[name, size] for name, size in schema.sections],
    }


def _build_header(
    schema: PayloadSchema, scalars: Mapping[str, int], round_key: bytes, agent: str
) -> dict[str, CanonicalValue]:
    return {
        **_build_shape(schema),
        "scalars": dict(scalars),
        "round_key": round_key.hex(),
        "agent": agent.lower(),
    }


def _compute_start(header_size: int) -> int:
    """Return where the sections begin."""
    return -(-(_PREFIX + header_size) // _ALIGNMENT) * _ALIGNMENT


def _encode_section(section: NDArray[Any], name: str, size: int, schema: PayloadSchema) -> bytes:
    if section.dtype != np.dtype(schema.dtype) or section.shape != (size,):
        raise EncodingError(
            f"{schema.kind}: section {name!r} is {section.dtype} of shape {section.shape}, "
            f"expected {schema.dtype} of shape ({size},)"
        )
    return np.ascontiguousarray(section, _get_wire_dtype(schema)).tobytes()


def _get_wire_dtype(schema: PayloadSchema) -> np.dtype[Any]:
    return np.dtype(schema.dtype).newbyteorder("<")


def _decode_header(data: bytes, kind: str) -> tuple[dict[str, CanonicalValue], int]:
    """Return the header and where the sections begin."""
    if not data.startswith(MAGIC) or len(data) < _PREFIX:
        raise EncodingError(f"{kind}: the bytes do not begin as a flchain vector")
    size = int.from_bytes(data[len(MAGIC) : _PREFIX], "little")
    start = _compute_start(size)
    if size > MAX_HEADER_SIZE or start > len(data):
        raise EncodingError(f"{kind}: the header is said to take {size} bytes, which do not fit")
    header = decode_canonical(data[_PREFIX : _PREFIX + size], max_size=MAX_HEADER_SIZE)
    if any(data[_PREFIX + size : start]):
        raise EncodingError(f"{kind}: the padding after the header is not zero")
    if not isinstance(header, dict):
        raise EncodingError(f"{kind}: the header is not an object")
    return header, start


def _decode_scalars(header: Mapping[str, CanonicalValue], schema: PayloadSchema) -> dict[str, int]:
    scalars = header.get("scalars")
    if not isinstance(scalars, dict) or set(scalars) != set(schema.scalars):
        raise _build_difference(schema.kind, "scalars", scalars, sorted(schema.scalars))
    decoded = {}
    for name, value in scalars.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SCALAR:
            raise EncodingError(f"{schema.kind}: scalar {name!r} is not a non-negative integer")
        decoded[name] = value
    return decoded


def _decode_sections(data: bytes, start: int, schema: PayloadSchema) -> dict[str, NDArray[Any]]:
    dtype = _get_wire_dtype(schema)
    length = start + dtype.itemsize * sum(size for _, size in schema.sections)
    if len(data) != length:
        raise EncodingError(f"{schema.kind}: {len(data)} bytes, expected {length}")
    sections = {}
    for name, size in schema.sections:
        sections[name] = np.frombuffer(data, dtype, size, start)
        start += size * dtype.itemsize
    return sections


def _build_difference(kind: str, key: str, actual: object, expected: object) -> EncodingError:
    return EncodingError(f"{kind}: {key} is {str(actual)[:200]}, expected {str(expected)[:200]}")

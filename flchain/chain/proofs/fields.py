"""The values of JSON-RPC objects: hex strings from an untrusted node, as bytes and integers."""

from collections.abc import Mapping
from typing import Any

from flchain.protocol.errors import EncodingError

Raw = Mapping[str, Any]
"""One JSON object."""


def decode_object(value: Any, what: str) -> Raw:
    """Return a JSON object. Raises EncodingError if the node sent anything else."""
    if not isinstance(value, Mapping):
        raise EncodingError(f"the node sends no {what}")
    return value


def decode_list(value: Any, what: str) -> list[Any]:
    """Return a JSON array. Raises EncodingError if the node sent anything else."""
    if not isinstance(value, list):
        raise EncodingError(f"the node sends no {what}")
    return value


def decode_data(raw: Raw, name: str, size: int | None = None) -> bytes:
    """Return a field of bytes, `size` of them if given."""
    value = raw.get(name)
    try:
        data = bytes.fromhex(value[2:]) if isinstance(value, str) and value[:2] == "0x" else None
    except ValueError:
        data = None
    if data is None or (size is not None and len(data) != size):
        raise EncodingError(f"the node sends {name} = {str(value)[:70]!r}, which is no hex data")
    return data


def decode_quantity(raw: Raw, name: str) -> int:
    """Return an integer field."""
    value = raw.get(name)
    try:
        return int(value, 16) if isinstance(value, str) and value[:2] == "0x" else _refuse(name)
    except ValueError:
        return _refuse(name)


def encode_integer(value: int) -> bytes:
    """Return the shortest big-endian bytes, as RLP wants integers; none for zero."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _refuse(name: str) -> int:
    raise EncodingError(f"the node sends a {name} that is no hex quantity")

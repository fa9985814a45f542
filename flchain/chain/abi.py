"""The contracts' binary interface: types, selectors, and strict encoding."""

from collections.abc import Sequence
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import BytesDecoder
from eth_abi.encoding import BytesEncoder
from eth_abi.exceptions import DecodingError, EncodingError, ValueOutOfBounds
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as default_registry
from eth_utils.crypto import keccak

from flchain.protocol import errors

_BITS_PER_BYTE = 8


class _ExactBytesEncoder(BytesEncoder):
    """Refuses what eth_abi would pad: a digest that is too short is a mistake."""

    def validate_value(self, value: Any) -> None:
        super().validate_value(value)  # type: ignore[no-untyped-call]  # eth_abi's is untyped
        bits: Any = self.value_bit_size
        size = bits // _BITS_PER_BYTE
        if len(value) != size:
            text = f"has {len(value)} bytes, not {size}"
            self.invalidate_value(value, exc=ValueOutOfBounds, msg=text)


def _build_codec() -> ABICodec:
    registry = default_registry.copy()  # type: ignore[no-untyped-call]  # eth_abi's is untyped
    registry.unregister("bytes<M>")
    kind = BaseEquals("bytes", with_sub=True)  # type: ignore[no-untyped-call]  # eth_abi's is untyped
    registry.register(kind, _ExactBytesEncoder, BytesDecoder, label="bytes<M>")
    return ABICodec(registry)


_CODEC = _build_codec()


def get_abi_type(entry: dict[str, Any]) -> str:
    """Return an ABI entry's type with the members of structs written out."""
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(get_abi_type(member) for member in entry["components"])
    return f"({members}){kind.removeprefix('tuple')}"


def compute_selector(entry: dict[str, Any]) -> bytes:
    """Return the keccak-256, 32 bytes, of an ABI entry's signature."""
    types = ",".join(get_abi_type(value) for value in entry["inputs"])
    return keccak(text=f"{entry['name']}({types})")


def encode_values(types: Sequence[str], values: Sequence[Any], what: str) -> bytes:
    """Return the standard encoding. Raises EncodingError if a value does not fit its type.

    `what` names the call or contract in the message.
    """
    try:
        return _CODEC.encode(types, values)
    except (EncodingError, ValueError, TypeError, OverflowError) as error:
        text = f"{what}: the caller must correct an argument: {error}"
        raise errors.EncodingError(text) from error


def decode_values(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return ABI values; addresses are lower-case. Raises EncodingError unless they decode."""
    try:
        return tuple(_CODEC.decode(types, data))
    except (DecodingError, ValueError, OverflowError) as error:
        text = f"the node's answer is not {', '.join(types) or 'empty'}: use another node"
        raise errors.EncodingError(text) from error

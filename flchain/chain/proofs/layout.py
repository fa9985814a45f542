"""Where Solidity puts things: slots of mappings, arrays and structs, and how they are packed.

Solidity documentation, "Layout of State Variables in Storage": values fill a slot from its
lowest byte and never straddle two; `mapping[key]` is at keccak256(key . slot) and an array's
first item at keccak256(slot).
"""

from collections.abc import Sequence

from eth_utils.crypto import keccak

_WORD = 32
_ADDRESS_SIZE = 20
_LONGEST_INLINE = 31


def locate(slot: int, *keys: int | str | bytes) -> int:
    """Return the slot of `mapping[key][key]…`; addresses are keys as hex text."""
    for key in keys:
        slot = int.from_bytes(keccak(_encode_key(key) + slot.to_bytes(_WORD, "big")), "big")
    return slot


def locate_items(slot: int) -> int:
    """Return the slot of the first item of the dynamic array whose length is at `slot`."""
    return int.from_bytes(keccak(slot.to_bytes(_WORD, "big")), "big")


def pack(types: Sequence[str], values: Sequence[object]) -> list[int]:
    """Return the words of a struct with members of these ABI types, in order."""
    words, offset = [0], 0
    for kind, value in zip(types, values, strict=True):
        size = _get_size(kind)
        if offset + size > _WORD:
            words.append(0)
            offset = 0
        words[-1] |= _to_integer(value) << (8 * offset)
        offset += size
    return words


def encode_text(text: str) -> int:
    """Return the word of a string of at most 31 bytes: the text, and twice its length."""
    data = text.encode()
    if len(data) > _LONGEST_INLINE:
        raise ValueError(text)
    return int.from_bytes(data.ljust(_WORD, b"\0"), "big") | 2 * len(data)


def _encode_key(key: int | str | bytes) -> bytes:
    if isinstance(key, bytes):
        return key.rjust(_WORD, b"\0")
    return _to_integer(key).to_bytes(_WORD, "big")


def _get_size(kind: str) -> int:
    if kind == "address":
        return _ADDRESS_SIZE
    if kind == "bool":
        return 1
    digits = kind.removeprefix("bytes").removeprefix("uint")
    return int(digits) if kind.startswith("bytes") else int(digits) // 8


def _to_integer(value: object) -> int:
    if isinstance(value, str):
        return int(value, 16)
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    if isinstance(value, int):
        return int(value)
    raise TypeError(type(value).__name__)

"""Bytes of what an agent keeps between rounds, for its journal."""

from collections.abc import Mapping

import numpy as np

from flchain.learning.compression.sections import Memory
from flchain.learning.payloads import Payload, PayloadSchema, decode_payload, encode_payload
from flchain.protocol.errors import EncodingError

_LIMIT = 1 << 40


def encode_memories(memories: Mapping[str, Memory]) -> bytes:
    """Return one encoding of all sections' memories; floats keep every bit."""
    sections = {}
    for name, memory in memories.items():
        sections[f"residual/{name}"] = memory.residual
        sections[f"basis/{name}"] = memory.basis.view(np.int64)
    names = tuple((name, len(values)) for name, values in sections.items())
    lengths = b"".join(length.to_bytes(4, "little") for _, length in names)
    return lengths + encode_payload(Payload(sections, {}), _build_schema(names))


def decode_memories(data: bytes, names: tuple[str, ...]) -> dict[str, Memory]:
    """Undo `encode_memories` for the given sections. Raises EncodingError."""
    keys = [f"{part}/{name}" for name in names for part in ("residual", "basis")]
    head = 4 * len(keys)
    lengths = [int.from_bytes(data[at : at + 4], "little") for at in range(0, head, 4)]
    schema = _build_schema(tuple(zip(keys, lengths, strict=True)))
    sections = decode_payload(data[head:], schema).sections
    return {
        name: _check(Memory(sections[f"residual/{name}"], sections[f"basis/{name}"].view("<f8")))
        for name in names
    }


def _build_schema(sections: tuple[tuple[str, int], ...]) -> PayloadSchema:
    return PayloadSchema("memory", "int64", 0, sections)


def _check(memory: Memory) -> Memory:
    residual = memory.residual
    largest = max(int(residual.max()), -int(residual.min())) if len(residual) else 0
    if largest > _LIMIT or not np.isfinite(memory.basis).all():
        raise EncodingError("memory: a value is out of range")
    return memory

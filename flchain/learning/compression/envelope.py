r"""Bytes of a compressed update.

    "flchain\x02" | sha2-256 of the context | u64 samples | u32 length of each section's data
    | u8 place in CHOICES, under "adaptive" alone | the sections' data

The context is the canonical JSON of everything that an uncompressed update has in its header,
and the compression rule: an update of another round, agent, shape or rule is refused. Its hash
stands for it because a header in full would be a thirtieth of a small update.
"""

import hashlib
import struct
from collections.abc import Mapping

from flchain.learning.payloads import PayloadSchema
from flchain.protocol.canonical import encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import RuleSpec

MAGIC = b"flchain\x02"
_DIGEST = 32
_MAX_SAMPLES = 2**53 - 1


def encode_envelope(context: bytes, samples: int, tag: bytes, bodies: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an update; `context` is what `compute_context` gives."""
    lengths = struct.pack(f"<Q{len(bodies)}I", samples, *map(len, bodies.values()))
    return b"".join([MAGIC, context, lengths, tag, *bodies.values()])


def decode_envelope(
    data: bytes, context: bytes, names: tuple[str, ...], tag_size: int
) -> tuple[int, bytes, dict[str, bytes]]:
    """Return samples, tag and the sections' data. Raises EncodingError."""
    form = f"<Q{len(names)}I"
    start = len(MAGIC) + _DIGEST + struct.calcsize(form)
    if not data.startswith(MAGIC) or len(data) < start + tag_size:
        raise EncodingError("update: the bytes do not begin as a compressed flchain update")
    if data[len(MAGIC) : len(MAGIC) + _DIGEST] != context:
        raise EncodingError("update: made for another round, agent, model or compression rule")
    samples, *lengths = struct.unpack_from(form, data, len(MAGIC) + _DIGEST)
    if samples > _MAX_SAMPLES:
        raise EncodingError(f"update: samples is {samples}, at most 2^53 - 1 are allowed")
    tag, start = data[start : start + tag_size], start + tag_size
    if len(data) != start + sum(lengths):
        raise EncodingError(f"update: {len(data)} bytes, expected {start + sum(lengths)}")
    bodies = {}
    for name, length in zip(names, lengths, strict=True):
        bodies[name] = data[start : start + length]
        start += length
    return samples, tag, bodies


def compute_context(
    schema: PayloadSchema, rule: RuleSpec, *, round_key: bytes, agent: str
) -> bytes:
    """Return the sha2-256 of what both sides know before they see an update."""
    document = encode_canonical(
        {
            "kind": schema.kind,
            "scale_bits": schema.scale_bits,
            "sections": [[name, size] for name, size in schema.sections],
            "compression": [rule.name, dict(rule.parameters)],
            "round_key": round_key.hex(),
            "agent": agent.lower(),
        }
    )
    return hashlib.sha256(document).digest()

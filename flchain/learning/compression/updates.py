"""Whole updates: from bounded integers to the bytes that an agent publishes, and back."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flchain.learning.compression.base import Frame
from flchain.learning.compression.envelope import (
    compute_context,
    decode_envelope,
    encode_envelope,
)
from flchain.learning.compression.registry import ADAPTIVE, CHOICES, Scheme, get_scheme
from flchain.learning.compression.sections import EMPTY, Memory, decode_section, encode_section
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.payloads import PayloadSchema
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import NO_COMPRESSION, Layer, Policy, RuleSpec


@dataclass(frozen=True)
class CompressedUpdate:
    """What an agent publishes, and what it keeps until the next round, by section."""

    payload: bytes
    memories: Mapping[str, Memory]


def is_compressed(policy: Policy) -> bool:
    """Return whether the task's updates are compressed."""
    return policy.compression != NO_COMPRESSION


def compress_update(
    update: QuantizedUpdate,
    policy: Policy,
    schema: PayloadSchema,
    *,
    round_key: bytes,
    agent: str,
    memories: Mapping[str, Memory],
    rng: np.random.Generator,
    choice: RuleSpec = CHOICES[0],
) -> CompressedUpdate:
    """Return the published form of `update`; `schema` is that of the uncompressed one.

    `choice` is one of `CHOICES` and counts only where the policy lets agents choose.
    """
    rule = policy.compression
    tag = _build_tag(choice) if rule.name == ADAPTIVE else b""
    scheme = get_scheme(choice if tag else rule)
    bodies, kept = {}, {}
    for name, size in schema.sections:
        frame = build_frame(name, size, policy, round_key)
        memory = memories.get(name, EMPTY)
        bodies[name], kept[name] = encode_section(
            update.sections[name], scheme, frame, policy.update, memory=memory, rng=rng
        )
    context = compute_context(schema, rule, round_key=round_key, agent=agent)
    payload = encode_envelope(context, update.scalars["samples"], tag, bodies)
    return CompressedUpdate(payload, kept)


def decompress_update(
    data: bytes, policy: Policy, schema: PayloadSchema, *, round_key: bytes, agent: str
) -> QuantizedUpdate:
    """Read an untrusted compressed update. Raises EncodingError naming what is wrong."""
    rule = policy.compression
    context = compute_context(schema, rule, round_key=round_key, agent=agent)
    sizes = dict(schema.sections)
    is_chosen = rule.name == ADAPTIVE
    samples, tag, bodies = decode_envelope(data, context, tuple(sizes), int(is_chosen))
    scheme = _read_tag(tag) if is_chosen else get_scheme(rule)
    sections = {
        name: decode_section(
            body, scheme, build_frame(name, sizes[name], policy, round_key), policy.update
        )
        for name, body in bodies.items()
    }
    return QuantizedUpdate(sections, {"samples": samples})


def build_frame(name: str, size: int, policy: Policy, round_key: bytes) -> Frame:
    """Return what the compression of one section depends on besides its values."""
    # A section of counts is not one value for each of the model's parameters.
    is_model = size == policy.model.parameters
    layers = policy.model.layers if is_model else (Layer(name, (size,)),)
    return Frame(name, layers, round_key)


def _build_tag(choice: RuleSpec) -> bytes:
    if choice not in CHOICES:
        raise ConfigError(f"compression {choice.name} is none of those that agents may choose")
    return bytes([CHOICES.index(choice)])


def _read_tag(tag: bytes) -> Scheme:
    if tag[0] >= len(CHOICES):
        raise EncodingError(f"update: compression {tag[0]} is none of those that agents may choose")
    return get_scheme(CHOICES[tag[0]])

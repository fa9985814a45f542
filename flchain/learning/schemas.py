"""States, updates and aggregates as a policy wants them: their schemas and their bytes."""

import hashlib

from flchain.learning.compression import decompress_update, is_compressed
from flchain.learning.integers import compute_squared_norm
from flchain.learning.parameters import STATE_BITS, STATE_LIMIT, Int32, QuantizedUpdate, State
from flchain.learning.payloads import Payload, PayloadSchema, decode_payload, encode_payload
from flchain.learning.strategies import get_strategy
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Policy
from flchain.protocol.types import Digest


def get_state_schema(policy: Policy) -> PayloadSchema:
    """Return what a model state of this task contains."""
    names = ("params", *get_strategy(policy).server_sections)
    sections = tuple((name, policy.model.parameters) for name in names)
    return PayloadSchema("state", "int64", STATE_BITS, sections)


def get_update_schema(policy: Policy) -> PayloadSchema:
    """Return what an agent's update contains; `samples` counts its training rows."""
    sections = _size_update(policy)
    return PayloadSchema("update", "int32", policy.update.shift, sections, ("samples",))


def get_aggregate_schema(policy: Policy) -> PayloadSchema:
    """Return what a round's weighted sum contains."""
    sections = _size_update(policy)
    return PayloadSchema("aggregate", "int64", policy.update.shift, sections, ("total_weight",))


def encode_state(state: State, policy: Policy) -> bytes:
    """Return the one encoding of `state`. Raises EncodingError if it does not fit."""
    return encode_payload(Payload(state.sections, {}), get_state_schema(policy))


def decode_state(data: bytes, policy: Policy) -> State:
    """Read an untrusted state. Raises EncodingError naming what is wrong."""
    payload = decode_payload(data, get_state_schema(policy))
    for name, section in payload.sections.items():
        if max(int(section.max()), -int(section.min())) > STATE_LIMIT:
            raise EncodingError(f"state: a value of section {name!r} is beyond 2^62")
    return State(payload.sections)


def compute_state_digest(state: State, policy: Policy) -> Digest:
    """Return the sha2-256 of the state's bytes."""
    return Digest(hashlib.sha256(encode_state(state, policy)).digest())


def encode_update(
    update: QuantizedUpdate, policy: Policy, *, round_key: bytes, agent: str
) -> bytes:
    """Return the bytes that `agent` publishes in the round of `round_key`."""
    payload = Payload(update.sections, update.scalars)
    return encode_payload(payload, get_update_schema(policy), round_key=round_key, agent=agent)


def decode_update(data: bytes, policy: Policy, *, round_key: bytes, agent: str) -> QuantizedUpdate:
    """Read an untrusted update of one agent and round.

    Raises EncodingError on a wrong form, another round's or agent's update, a coordinate
    beyond the policy's bound or a section longer than the policy's clip.
    """
    update = _decode_sections(data, policy, round_key, agent)
    for name, section in update.sections.items():
        _check_magnitude(name, section, policy)
    if update.scalars["samples"] < 1:
        raise EncodingError("update: samples is 0; an update needs at least one")
    get_strategy(policy).verify(update, policy)
    return update


def _decode_sections(data: bytes, policy: Policy, round_key: bytes, agent: str) -> QuantizedUpdate:
    schema = get_update_schema(policy)
    if is_compressed(policy):
        return decompress_update(data, policy, schema, round_key=round_key, agent=agent)
    payload = decode_payload(data, schema, round_key=round_key, agent=agent)
    return QuantizedUpdate(payload.sections, payload.scalars)


def _check_magnitude(name: str, section: Int32, policy: Policy) -> None:
    bound, clip = policy.update.coordinate_bound, policy.update.clip
    # Python integers: the magnitude of the least int32 is no int32.
    largest = max(int(section.max()), -int(section.min()))
    if largest > bound:
        raise EncodingError(f"update: a coordinate of {name!r} is {largest}, the bound is {bound}")
    if compute_squared_norm(section) > clip * clip:
        raise EncodingError(f"update: the L2 norm of {name!r} is beyond the clip of {clip}")


def _size_update(policy: Policy) -> tuple[tuple[str, int], ...]:
    """Return name and length of each section of an update."""
    strategy, full = get_strategy(policy), policy.model.parameters
    names = strategy.update_sections
    return tuple((name, 1 if name in strategy.counts else full) for name in names)

"""Proven transactions and logs as the protocol's calls and events."""

from functools import cache

from flchain.chain.abi import decode_values
from flchain.chain.contracts import build_record, get_call_function
from flchain.chain.events import get_event_specs
from flchain.chain.proofs.receipts import Log
from flchain.protocol import calls, reserved
from flchain.protocol.calls import Call
from flchain.protocol.errors import EncodingError
from flchain.protocol.events import Event

SELECTOR_SIZE = 4


def decode_call(contract: str, data: bytes) -> Call:
    """Return the call that a transaction to `contract` makes.

    Raises EncodingError on an unknown function or arguments that don't decode.
    """
    kind = _get_calls(contract).get(data[:SELECTOR_SIZE])
    if kind is None:
        raise EncodingError(f"{contract} has no function {data[:SELECTOR_SIZE].hex()!r}")
    values = decode_values(get_call_function(kind).inputs, data[SELECTOR_SIZE:])
    return build_record(kind, values)


def decode_event(contract: str, log: Log) -> Event | None:
    """Return the event that `contract` logged; None for one that flchain does not read.

    Raises EncodingError if the log does not decode.
    """
    spec = get_event_specs().get(f"0x{log.topics[0].hex()}") if log.topics else None
    if spec is None or spec.kind.contract != contract:
        return None
    pairs = list(zip(spec.types, spec.is_indexed, strict=True))
    topics = decode_values([kind for kind, is_topic in pairs if is_topic], b"".join(log.topics[1:]))
    plain = decode_values([kind for kind, is_topic in pairs if not is_topic], log.data)
    parts = {True: iter(topics), False: iter(plain)}
    return build_record(spec.kind, [next(parts[is_topic]) for is_topic in spec.is_indexed])


@cache
def _get_calls(contract: str) -> dict[bytes, type[Call]]:
    kinds = [*vars(calls).values(), *vars(reserved).values()]
    return {
        get_call_function(kind).selector: kind
        for kind in kinds
        if isinstance(kind, type)
        and issubclass(kind, Call)
        and getattr(kind, "contract", None) == contract
        and hasattr(kind, "function")
    }

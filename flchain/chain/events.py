"""Reading the contracts' events: decoding, ranges that a node accepts, reorganisations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from flchain.chain.abi import compute_selector, decode_values, get_abi_type
from flchain.chain.base import Addresses, LoggedEvent
from flchain.chain.contracts import (
    build_record,
    get_abi_entries,
    get_contract_names,
    to_address,
)
from flchain.chain.rpc import Rpc, RpcError
from flchain.protocol import events
from flchain.protocol.errors import AdapterError, EncodingError
from flchain.protocol.events import Event
from flchain.protocol.types import Address, TaskId

_LARGEST_RANGE = 1 << 20
_TOO_MUCH = (-32005, -32602, -32603, -32000, -32614)
_TOPIC_DIGITS = 64


@dataclass(frozen=True, slots=True)
class EventSpec:
    """How one event is laid out: ABI types in order, and which are topics."""

    kind: type[Event]
    topic: str
    types: tuple[str, ...]
    is_indexed: tuple[bool, ...]
    has_task: bool


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs of one deployment are wanted."""

    addresses: Addresses
    task_id: TaskId | None = None
    kinds: tuple[type[Event], ...] = ()

    def get_parameters(self, from_block: int, to_block: int) -> dict[str, Any] | None:
        """Return what `eth_getLogs` takes; None if no event can match."""
        specs = [spec for spec in get_event_specs().values() if self._wants(spec)]
        if not specs:
            return None
        contracts = {spec.kind.contract for spec in specs}
        named = get_contract_names(self.addresses)
        topics: list[Any] = [[spec.topic for spec in specs]]
        if self.task_id is not None:
            topics.append(f"0x{self.task_id:0{_TOPIC_DIGITS}x}")
        return {
            "fromBlock": hex(from_block),
            "toBlock": hex(to_block),
            "address": [where for where, name in named.items() if name in contracts],
            "topics": topics,
        }

    def _wants(self, spec: EventSpec) -> bool:
        has_kind = not self.kinds or spec.kind in self.kinds
        return has_kind and (self.task_id is None or spec.has_task)


def decode_logs(logs: Sequence[Mapping[str, Any]], addresses: Addresses) -> list[LoggedEvent]:
    """Return the events among logs; those of other contracts and kinds are left out.

    Raises EncodingError if one of ours does not decode.
    """
    named = get_contract_names(addresses)
    return [event for log in logs if (event := _decode_log(log, named)) is not None]


def get_logged_events(
    rpc: Rpc, wanted: LogFilter, from_block: int, to_block: int
) -> list[LoggedEvent]:
    """Return the events of a range of blocks, both included, in chain order.

    A range that the node finds too large is halved until it answers.
    """
    found = [
        event
        for start, end in _get_ranges(from_block, to_block, _LARGEST_RANGE)
        for event in _get_range(rpc, wanted, start, end)
    ]
    return sorted(found, key=lambda event: (event.block_number, event.log_index))


@cache
def get_event_specs() -> dict[str, EventSpec]:
    """Return the layout of every event by its topic, in hex."""
    specs = [
        _get_spec(getattr(events, entry["name"]), entry)
        for contract, entries in get_abi_entries("event").items()
        for entry in entries
        if getattr(getattr(events, entry["name"], None), "contract", None) == contract
    ]
    return {spec.topic: spec for spec in specs}


def _get_spec(kind: type[Event], entry: dict[str, Any]) -> EventSpec:
    return EventSpec(
        kind=kind,
        topic=f"0x{compute_selector(entry).hex()}",
        types=tuple(get_abi_type(value) for value in entry["inputs"]),
        is_indexed=tuple(bool(value["indexed"]) for value in entry["inputs"]),
        has_task=entry["inputs"][0]["name"] == "taskId",
    )


def _decode_log(log: Mapping[str, Any], named: Mapping[Address, str]) -> LoggedEvent | None:
    try:
        contract = to_address(log["address"])
        spec = get_event_specs().get(log["topics"][0]) if log["topics"] else None
        if spec is None or named.get(contract) != spec.kind.contract:
            return None
        return LoggedEvent(
            event=_decode_event(spec, log["topics"][1:], log["data"]),
            contract=contract,
            block_number=int(log["blockNumber"], 16),
            block_hash=bytes.fromhex(log["blockHash"].removeprefix("0x")),
            tx_hash=bytes.fromhex(log["transactionHash"].removeprefix("0x")),
            log_index=int(log["logIndex"], 16),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncodingError("the node's log does not decode: use another node") from error


def _decode_event(spec: EventSpec, topics: Sequence[str], data: str) -> Event:
    split: dict[bool, list[str]] = {True: [], False: []}
    for kind, is_indexed in zip(spec.types, spec.is_indexed, strict=True):
        split[is_indexed].append(kind)
    words = bytes.fromhex("".join(topic.removeprefix("0x") for topic in topics))
    values = {
        True: iter(decode_values(split[True], words)),
        False: iter(decode_values(split[False], bytes.fromhex(data.removeprefix("0x")))),
    }
    return build_record(spec.kind, [next(values[indexed]) for indexed in spec.is_indexed])


def _get_ranges(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, end + 1, size):
        yield first, min(first + size - 1, end)


def _get_range(rpc: Rpc, wanted: LogFilter, start: int, end: int) -> list[LoggedEvent]:
    parameters = wanted.get_parameters(start, end)
    if parameters is None:
        return []
    try:
        logs = rpc.call("eth_getLogs", parameters)
    except RpcError as error:
        if start == end or error.code not in _TOO_MUCH:
            raise
        middle = (start + end) // 2
        return [
            *_get_range(rpc, wanted, start, middle),
            *_get_range(rpc, wanted, middle + 1, end),
        ]
    if not isinstance(logs, list):
        raise AdapterError("the node's answer is no list of logs: use another node")
    return decode_logs(logs, wanted.addresses)

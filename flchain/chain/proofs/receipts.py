"""Receipts: decoded from JSON-RPC and encoded anew (EIP-658, EIP-2718)."""

from dataclasses import dataclass

import rlp

from flchain.chain.contracts import to_address
from flchain.chain.proofs.fields import (
    Raw,
    decode_data,
    decode_list,
    decode_object,
    decode_quantity,
    encode_integer,
)
from flchain.chain.proofs.headers import compute_bloom
from flchain.protocol.types import Address

_BLOOM_SIZE = 256


@dataclass(frozen=True, slots=True)
class Log:
    """One log; `topics` are 32 bytes each."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did. `bloom` is the field's value, which the logs may not give."""

    kind: int
    is_success: bool
    cumulative_gas: int
    bloom: bytes
    logs: tuple[Log, ...]


def decode_receipt(raw: Raw) -> Receipt:
    """Return a receipt. Raises EncodingError on a malformed field."""
    logs = decode_list(raw.get("logs"), "logs")
    return Receipt(
        kind=decode_quantity(raw, "type") if raw.get("type") is not None else 0,
        is_success=decode_quantity(raw, "status") == 1,
        cumulative_gas=decode_quantity(raw, "cumulativeGasUsed"),
        bloom=decode_data(raw, "logsBloom", _BLOOM_SIZE),
        logs=tuple(decode_log(decode_object(log, "log")) for log in logs),
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """Return what the receipts' trie holds."""
    logs = [[bytes.fromhex(log.address[2:]), log.topics, log.data] for log in receipt.logs]
    gas = encode_integer(receipt.cumulative_gas)
    status = encode_integer(int(receipt.is_success))
    body: bytes = rlp.encode([status, gas, receipt.bloom, logs])
    return bytes([receipt.kind]) + body if receipt.kind else body


def compute_logs_bloom(receipt: Receipt) -> bytes:
    """Return the bloom that the receipt's logs give."""
    bits = 0
    for log in receipt.logs:
        for item in (bytes.fromhex(log.address[2:]), *log.topics):
            bits |= compute_bloom(item)
    return bits.to_bytes(_BLOOM_SIZE, "big")


def decode_log(raw: Raw) -> Log:
    """Return a log. Raises EncodingError on a malformed field."""
    topics = decode_list(raw.get("topics"), "topics")
    return Log(
        address=to_address("0x" + decode_data(raw, "address", 20).hex()),
        topics=tuple(decode_data({"topic": topic}, "topic", 32) for topic in topics),
        data=decode_data(raw, "data"),
    )

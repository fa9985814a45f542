"""Block headers: decoded from JSON-RPC, hashed anew, and linked to each other.

The fields and their order are those of the Yellow Paper section 4.4.3, then those that forks
appended: EIP-1559, EIP-4895, EIP-4844, EIP-4788 and EIP-7685.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak

from flchain.chain.proofs.fields import Raw, decode_data, decode_quantity, encode_integer
from flchain.protocol.errors import ProofError
from flchain.protocol.types import Timestamp

_FIELDS = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", 0),
    ("mixHash", 32),
    ("nonce", 8),
)
"""Name and size; None marks an integer, 0 bytes of any length."""
_APPENDED = (
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_BLOOM_BITS = 2048
_BLOOM_HASHES = 3


@dataclass(frozen=True, slots=True)
class Header:
    """What the audit reads of a block; `hash` was computed here, over every field."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: Timestamp
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: int


def decode_header(raw: Raw) -> Header:
    """Return a block's header with its own hash.

    Raises EncodingError on a malformed field and ProofError if the fields don't hash to the
    hash that the node gives the block.
    """
    computed = keccak(rlp.encode([_encode_field(raw, *field) for field in _get_fields(raw)]))
    number = decode_quantity(raw, "number")
    if computed != (claimed := decode_data(raw, "hash", 32)):
        raise ProofError(
            f"block {number}: its header hashes to {computed.hex()}, "
            f"the node says {claimed.hex()}: a field of the header was altered"
        )
    return Header(
        number=number,
        hash=computed,
        parent_hash=decode_data(raw, "parentHash"),
        timestamp=Timestamp(decode_quantity(raw, "timestamp")),
        state_root=decode_data(raw, "stateRoot"),
        transactions_root=decode_data(raw, "transactionsRoot"),
        receipts_root=decode_data(raw, "receiptsRoot"),
        bloom=int.from_bytes(decode_data(raw, "logsBloom"), "big"),
    )


def verify_link(parent: Header, child: Header) -> None:
    """Raise ProofError unless `child` names `parent` as the block before it."""
    if child.number != parent.number + 1 or child.parent_hash != parent.hash:
        raise ProofError(
            f"block {parent.number}: it hashes to {parent.hash.hex()}, but block {child.number} "
            f"names {child.parent_hash.hex()} as the one before it: they are of different chains"
        )


def may_hold_logs(header: Header, blooms: Iterable[int]) -> bool:
    """Return whether an address with one of these blooms may have logged; False is certain."""
    return any(header.bloom & bits == bits for bits in blooms)


def compute_bloom(item: bytes) -> int:
    """Return the 3 bits that a log's address or topic sets (Yellow Paper section 4.4.1)."""
    digest = keccak(item)
    bits = 0
    for index in range(0, 2 * _BLOOM_HASHES, 2):
        bits |= 1 << int.from_bytes(digest[index : index + 2], "big") % _BLOOM_BITS
    return bits


def _get_fields(raw: Raw) -> list[tuple[str, int | None]]:
    return [*_FIELDS, *(field for field in _APPENDED if raw.get(field[0]) is not None)]


def _encode_field(raw: Raw, name: str, size: int | None) -> bytes:
    if size is None:
        return encode_integer(decode_quantity(raw, name))
    return decode_data(raw, name, size or None)

"""Transactions: decoded from JSON-RPC, encoded anew, with the sender recovered.

Types 0 (EIP-155 and before), 1 (EIP-2930), 2 (EIP-1559), 3 (EIP-4844) and 4 (EIP-7702).
"""

from dataclasses import dataclass
from typing import Any, Final

import rlp
from eth_utils.crypto import keccak

from flchain.chain.contracts import to_address
from flchain.chain.proofs.fields import (
    Raw,
    decode_data,
    decode_list,
    decode_object,
    decode_quantity,
    encode_integer,
)
from flchain.crypto.signing import recover_address
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Address

_QUANTITIES: Final = frozenset(
    {
        "chainId",
        "nonce",
        "gasPrice",
        "maxPriorityFeePerGas",
        "maxFeePerGas",
        "maxFeePerBlobGas",
        "gas",
        "value",
        "yParity",
    }
)
_CALL: Final = ("gas", "to", "value", "input")
_FEES: Final = ("maxPriorityFeePerGas", "maxFeePerGas")
_UNSIGNED: Final[dict[int, tuple[str, ...]]] = {
    0: ("nonce", "gasPrice", *_CALL),
    1: ("chainId", "nonce", "gasPrice", *_CALL, "accessList"),
    2: ("chainId", "nonce", *_FEES, *_CALL, "accessList"),
    3: (
        *("chainId", "nonce", *_FEES, *_CALL, "accessList"),
        *("maxFeePerBlobGas", "blobVersionedHashes"),
    ),
    4: ("chainId", "nonce", *_FEES, *_CALL, "accessList", "authorizationList"),
}
_LEGACY_V = 27
_REPLAY_PROTECTED_V = 35
_SIGNATURE_SIZE = 32

Item = Any
"""What RLP encodes: bytes, or lists of items."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction; hash and sender were computed here. `to` is None where it creates."""

    hash: bytes
    encoded: bytes
    sender: Address
    nonce: int
    to: Address | None
    data: bytes
    value: int
    chain_id: int | None
    """None in transactions from before EIP-155, which are valid on every chain."""


def decode_transaction(raw: Raw) -> Transaction:
    """Return a transaction with its own hash and the sender that its signature gives.

    Raises EncodingError on malformed fields and unknown types, and ProofError if the hash or
    the sender is not what the node says.
    """
    kind = decode_quantity(raw, "type") if raw.get("type") is not None else 0
    if kind not in _UNSIGNED:
        raise EncodingError(f"transaction type {kind} is not known to this version of flchain")
    fields = [_encode_field(raw, name) for name in _UNSIGNED[kind]]
    encoded = _encode(kind, fields, _encode_signature(raw, kind))
    transaction = Transaction(
        hash=keccak(encoded),
        encoded=encoded,
        sender=_recover_sender(raw, kind, fields),
        nonce=decode_quantity(raw, "nonce"),
        to=_decode_recipient(raw),
        data=decode_data(raw, "input"),
        value=decode_quantity(raw, "value"),
        chain_id=decode_quantity(raw, "chainId") if kind else _decode_parity(raw, kind)[1],
    )
    _verify_claims(raw, transaction)
    return transaction


def _verify_claims(raw: Raw, transaction: Transaction) -> None:
    if transaction.hash != (claimed := decode_data(raw, "hash", 32)):
        raise ProofError(
            f"transaction {claimed.hex()} hashes to {transaction.hash.hex()}: "
            "a field of it was altered"
        )
    sender = to_address("0x" + decode_data(raw, "from", 20).hex())
    if sender != transaction.sender:
        raise ProofError(
            f"transaction {claimed.hex()} is signed by {transaction.sender}, "
            f"the node says that {sender} sent it"
        )


def _encode(kind: int, fields: list[Item], signature: list[bytes]) -> bytes:
    body: bytes = rlp.encode([*fields, *signature])
    return bytes([kind]) + body if kind else body


def _encode_signature(raw: Raw, kind: int) -> list[bytes]:
    first = "yParity" if kind and raw.get("yParity") is not None else "v"
    return [encode_integer(decode_quantity(raw, name)) for name in (first, "r", "s")]


def _recover_sender(raw: Raw, kind: int, fields: list[Item]) -> Address:
    parity, chain_id = _decode_parity(raw, kind)
    if kind == 0 and chain_id is not None:
        fields = [*fields, encode_integer(chain_id), b"", b""]
    digest = keccak(_encode(kind, fields, []))
    scalars = [decode_quantity(raw, name) for name in ("r", "s")]
    if max(scalars) >> (8 * _SIGNATURE_SIZE):
        raise EncodingError("a transaction's signature is out of range")
    halves = b"".join(scalar.to_bytes(_SIGNATURE_SIZE, "big") for scalar in scalars)
    sender = recover_address(digest, halves + bytes([_LEGACY_V + parity]))
    if sender is None:
        raise ProofError(f"transaction {raw.get('hash')}: nobody's signature is on it")
    return sender


def _decode_parity(raw: Raw, kind: int) -> tuple[int, int | None]:
    """Return the parity of the signature's point and the chain id that EIP-155 puts into v."""
    v = decode_quantity(raw, "yParity" if kind and raw.get("yParity") is not None else "v")
    if kind or v < _LEGACY_V:
        parity, chain_id = v, None
    elif v < _REPLAY_PROTECTED_V:
        parity, chain_id = v - _LEGACY_V, None
    else:
        parity, chain_id = (v - _REPLAY_PROTECTED_V) % 2, (v - _REPLAY_PROTECTED_V) // 2
    if parity not in {0, 1}:
        raise EncodingError("a transaction's signature has no valid parity")
    return parity, chain_id


def _decode_recipient(raw: Raw) -> Address | None:
    if raw.get("to") is None:
        return None
    return to_address("0x" + decode_data(raw, "to", 20).hex())


def _encode_field(raw: Raw, name: str) -> Item:
    if name in _QUANTITIES:
        return encode_integer(decode_quantity(raw, name))
    if name == "to":
        return b"" if raw.get("to") is None else decode_data(raw, "to", 20)
    if name == "input":
        return decode_data(raw, "input")
    values = decode_list(raw.get(name), name)
    if name == "blobVersionedHashes":
        return [decode_data({name: value}, name, 32) for value in values]
    encode = _encode_access if name == "accessList" else _encode_authorization
    return [encode(decode_object(value, name)) for value in values]


def _encode_access(raw: Raw) -> Item:
    keys = decode_list(raw.get("storageKeys"), "storageKeys")
    return [decode_data(raw, "address", 20), [decode_data({"key": k}, "key", 32) for k in keys]]


def _encode_authorization(raw: Raw) -> Item:
    """EIP-7702: chain id, address, nonce, parity, r, s."""
    address = decode_data(raw, "address", 20)
    before = encode_integer(decode_quantity(raw, "chainId"))
    after = [encode_integer(decode_quantity(raw, n)) for n in ("nonce", "yParity", "r", "s")]
    return [before, address, *after]

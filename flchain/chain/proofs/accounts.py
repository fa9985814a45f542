"""Accounts and storage of one block, proven against its state root (EIP-1186)."""

import gzip
import json
from collections.abc import Sequence
from typing import Any

from eth_utils.crypto import keccak

from flchain.chain.proofs.fields import (
    Raw,
    decode_data,
    decode_list,
    decode_object,
    decode_quantity,
)
from flchain.chain.proofs.headers import Header
from flchain.chain.proofs.tries import (
    Account,
    compute_storage_root,
    verify_account,
    verify_slot,
)
from flchain.chain.rpc import Rpc, RpcError
from flchain.protocol.errors import ProofError
from flchain.protocol.types import Address

SLOT_BATCH = 256


def fetch_account(rpc: Rpc, header: Header, address: Address) -> Account:
    """Return what a block's state holds of an account.

    Raises ProofError if the node's proof does not lead from the block's state root to it, and
    RpcError if the node gives no proofs of this block.
    """
    raw = _fetch_proof(rpc, header, address, ())
    return verify_account(
        header.state_root, bytes.fromhex(address[2:]), _get_nodes(raw, "accountProof")
    )


def fetch_slots(
    rpc: Rpc, header: Header, address: Address, slots: Sequence[int], storage_root: bytes
) -> dict[int, int]:
    """Return the proven values of storage slots. Raises as `fetch_account` does."""
    values = {}
    for start in range(0, len(slots), SLOT_BATCH):
        part = slots[start : start + SLOT_BATCH]
        raw = _fetch_proof(rpc, header, address, part)
        proofs = [
            decode_object(proof, "storage proof")
            for proof in decode_list(raw.get("storageProof"), "storage proofs")
        ]
        by_slot = {decode_quantity(proof, "key"): proof for proof in proofs}
        for slot in part:
            if slot not in by_slot:
                raise ProofError(f"{address}: the node leaves out the proof of slot {slot:#x}")
            values[slot] = verify_slot(storage_root, slot, _get_nodes(by_slot[slot], "proof"))
    return values


def fetch_whole_storage(rpc: Rpc, address: Address, storage_root: bytes) -> dict[int, int] | None:
    """Return all of a contract's storage if the node lists it and it gives the storage root.

    Only Anvil does, by dumping its newest state; None says that there is no proven list.
    """
    try:
        dump = json.loads(gzip.decompress(bytes.fromhex(rpc.call("anvil_dumpState")[2:])))
        listed = dump["accounts"][address.lower()]["storage"]
        slots = {int(slot, 16): int(value, 16) for slot, value in listed.items()}
    except (RpcError, OSError, ValueError, TypeError, KeyError, AttributeError, EOFError):
        return None
    is_whole = compute_storage_root(slots, keeps_zeros=True) == storage_root
    return slots if is_whole else None


def fetch_code(rpc: Rpc, header: Header, address: Address, account: Account) -> bytes:
    """Return a contract's code. Raises ProofError unless it hashes to the account's code hash."""
    code = decode_data({"code": rpc.call("eth_getCode", address, hex(header.number))}, "code")
    if keccak(code) != account.code_hash:
        raise ProofError(f"the node's code of {address} is not the one that its state commits to")
    return code


def read_slots(rpc: Rpc, header: Header, address: Address, slots: Sequence[int]) -> dict[int, int]:
    """Return storage slots as the node says they are, without proof."""
    tag = hex(header.number)
    requests = [("eth_getStorageAt", (address, f"0x{slot:064x}", tag)) for slot in slots]
    values: dict[int, int] = {}
    for start in range(0, len(requests), SLOT_BATCH):
        answers = rpc.call_all(requests[start : start + SLOT_BATCH])
        for slot, answer in zip(slots[start:], answers, strict=False):
            if isinstance(answer, Exception):
                raise answer
            values[slot] = decode_quantity({"value": answer}, "value")
    return values


def _fetch_proof(rpc: Rpc, header: Header, address: Address, slots: Sequence[int]) -> Raw:
    keys = [f"0x{slot:064x}" for slot in slots]
    return decode_object(rpc.call("eth_getProof", address, keys, hex(header.number)), "proof")


def _get_nodes(raw: Raw, name: str) -> list[bytes]:
    nodes: list[Any] = decode_list(raw.get(name), name)
    return [decode_data({name: node}, name) for node in nodes]

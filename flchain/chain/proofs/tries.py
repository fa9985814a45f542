"""Merkle-Patricia tries (Yellow Paper appendix D): roots rebuilt, and proofs of accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak
from rlp.exceptions import RLPException
from trie import HexaryTrie
from trie.constants import BLANK_NODE_HASH
from trie.exceptions import BadTrieProof, InvalidNode, ValidationError

from flchain.chain.proofs.fields import encode_integer
from flchain.protocol.errors import ProofError

_ACCOUNT_FIELDS = 4
EMPTY_ROOT = bytes(BLANK_NODE_HASH)
"""Root of a trie that holds nothing."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the state root commits to about one account."""

    storage_root: bytes
    code_hash: bytes


def compute_ordered_root(items: Sequence[bytes]) -> bytes:
    """Return the root over a block's transactions or receipts, in order."""
    return _compute_root({rlp.encode(index): item for index, item in enumerate(items)})


def compute_storage_root(slots: Mapping[int, int], *, keeps_zeros: bool = False) -> bytes:
    """Return the root over a contract's storage.

    A slot that holds zero is none (Yellow Paper section 4.1), except to Anvil, which
    `keeps_zeros` of every slot that a call has read or written.
    """
    return _compute_root(
        {
            _get_slot_key(slot): rlp.encode(encode_integer(value))
            for slot, value in slots.items()
            if value or keeps_zeros
        }
    )


def verify_account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> Account:
    """Return what a state root commits to about an account.

    Raises ProofError if the nodes of `proof` don't lead there, or the account is empty.
    """
    leaf = _follow(state_root, keccak(address), proof)
    fields = _decode_node(leaf) if leaf else ()
    if not isinstance(fields, list) or len(fields) != _ACCOUNT_FIELDS:
        raise ProofError(f"0x{address.hex()} is no account in the state of this block")
    return Account(storage_root=bytes(fields[2]), code_hash=bytes(fields[3]))


def verify_slot(storage_root: bytes, slot: int, proof: Sequence[bytes]) -> int:
    """Return the value that a storage root commits to; zero if it commits to there being none.

    Raises ProofError if the nodes of `proof` don't lead there.
    """
    leaf = _follow(storage_root, _get_slot_key(slot), proof)
    value = _decode_node(leaf) if leaf else b""
    if not isinstance(value, bytes):
        raise ProofError(f"slot {slot:#x}: the proof ends in a list, not in a value")
    return int.from_bytes(value, "big")


def _get_slot_key(slot: int) -> bytes:
    return keccak(slot.to_bytes(32, "big"))


def _compute_root(items: Mapping[bytes, bytes]) -> bytes:
    trie = HexaryTrie({}, prune=True)
    for key, value in items.items():
        trie[key] = value
    return bytes(trie.root_hash)


def _follow(root: bytes, key: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the leaf under `key`, or no bytes where the trie has none."""
    if root == EMPTY_ROOT:
        return b""
    try:
        return bytes(HexaryTrie.get_from_proof(root, key, [rlp.decode(node) for node in proof]))
    except BadTrieProof as error:
        raise ProofError(f"the proof does not lead to the root {root.hex()}") from error
    except (RLPException, ValidationError, InvalidNode, ValueError, TypeError) as error:
        raise ProofError(f"the proof is malformed: {error}") from error


def _decode_node(leaf: bytes) -> list[bytes] | bytes:
    try:
        decoded: list[bytes] | bytes = rlp.decode(leaf)
    except RLPException as error:
        raise ProofError(f"the proof ends in a malformed leaf: {error}") from error
    return decoded

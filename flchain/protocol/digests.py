"""Every hash that a signature, a vote or a claim binds; equal to `contracts/libraries/Digests.sol`.

All are keccak-256 over the standard ABI encoding.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError as AbiEncodingError
from eth_utils.crypto import keccak

from flchain.protocol.errors import EncodingError
from flchain.protocol.records import Content, SignedRecord
from flchain.protocol.types import Address, Bitmap, Digest, Phase, RoundId, TaskId, Version, Wei

LANES = 32
"""Submissions per word of a survivor bitmap."""
WORD = 224
"""Submissions per word of an attestation."""
_COMMITMENT_MASK = 2**240 - 1


# Asked for again and again with the same arguments; ABI encoding is most of the time.
@lru_cache(maxsize=1024)
def round_key(chain_id: int, round_manager: Address, task_id: TaskId, number: RoundId) -> Digest:
    """Return the domain value of a round: in every signature, vote and blob of it."""
    return _hash(
        ("uint256", "address", "uint64", "uint32"), (chain_id, round_manager, task_id, number)
    )


def empty_chain(key: Digest) -> int:
    """Return the commitment, 240 bits, of a round without submissions."""
    return int.from_bytes(key, "big") & _COMMITMENT_MASK


def chain_submission(commitment: int, agent: Address, digest: Digest, weight: int) -> int:
    """Return the rolling commitment, 240 bits, after one more submission."""
    hashed = _hash(("uint240", "address", "bytes32", "uint8"), (commitment, agent, digest, weight))
    return int.from_bytes(hashed, "big") & _COMMITMENT_MASK


def survivor_root(key: Digest, commitment: int, survivors: Iterable[int], count: int) -> Digest:
    """Return the digest of the survivor set.

    `survivors` are indices below `count`, the number of submissions that `commitment` covers.
    """
    words = pack_bits(survivors, count, LANES)
    return _hash(("bytes32", "uint240", "uint256[]"), (key, commitment, words))


def chain_record(commitment: int, account: Address, digest: Digest, number: int) -> int:
    """Return the rolling commitment, 240 bits, after a record, a batch or a voided record.

    A record has its agent, digest and place, a batch its relayer, root and number, and a voided
    record its agent, a zero digest and its place.
    """
    types = ("uint240", "address", "bytes32", "uint256")
    hashed = _hash(types, (commitment, account, digest, number))
    return int.from_bytes(hashed, "big") & _COMMITMENT_MASK


def start_chain(root: Digest) -> int:
    """Return the commitment, 240 bits, from which a phase goes on after a set root."""
    return empty_chain(root)


def set_root(key: Digest, phase: Phase, commitment: int, members: Bitmap) -> Digest:
    """Return the digest of the set of places that a phase of secure mode decided."""
    types = ("bytes32", "uint8", "uint240", "uint256[]")
    return _hash(types, (key, phase, commitment, members))


def compute_anchor(root: Digest, block_hash: Digest) -> Digest:
    """Return what records of a phase name: the set root before it, and the block that closed it."""
    return _hash(("bytes32", "bytes32"), (root, block_hash))


def record_leaf(anchor: Digest, place: int, record: SignedRecord) -> Digest:
    """Return the leaf of one relayed record in its batch's tree."""
    types = ("bytes32", "uint256", "bytes32", "bytes32", "bytes32")
    return _hash(types, (anchor, place, record.digest, record.r, record.vs))


def content_id(
    key: Digest, root: Digest, content: Content, policy_digest: Digest, parent_version: Version
) -> Digest:
    """Return the digest of everything a vote is about; `root` is the survivor root."""
    types = ("bytes32",) * 5 + ("uint96", "bytes32", "uint32")
    values = (
        key,
        root,
        content.aggregate_root,
        content.state_digest,
        content.reward_root,
        content.reward_total,
        policy_digest,
        parent_version,
    )
    return _hash(types, values)


def proposal_id(content: Digest, attempt: int, proposer: Address) -> Digest:
    """Return the id of one attempt's proposal; `content` is its content id."""
    return _hash(("bytes32", "uint8", "address"), (content, attempt, proposer))


def proposer_seed(key: Digest, attempt: int) -> int:
    """Return the number that rotates the line of proposers in one attempt."""
    return int.from_bytes(_hash(("bytes32", "uint8"), (key, attempt)), "big")


@lru_cache(maxsize=8192)
def reward_leaf(
    chain_id: int, distributor: Address, key: Digest, *, index: int, account: Address, amount: Wei
) -> Digest:
    """Return the doubly hashed leaf of one reward; `key` is the round key."""
    types = ("uint256", "address", "bytes32", "uint256", "address", "uint96")
    return Digest(keccak(_hash(types, (chain_id, distributor, key, index, account, amount))))


def compute_quorum(seats: int) -> int:
    """Return the seats that decide, q = floor(2c / 3) + 1 of all c `seats`."""
    return 2 * seats // 3 + 1


def compute_majority(validators: int) -> int:
    """Return the attesters that decide, h = floor(v / 2) + 1 of all v `validators`."""
    return validators // 2 + 1


def encode_bitmap(indices: Iterable[int], count: int) -> Bitmap:
    """Return the attestation of a set of indices below `count`, the round's submissions.

    It has at least one word: a round without submissions is attested as (0,).
    """
    return Bitmap(pack_bits(indices, max(count, 1), WORD))


def decode_bitmap(bitmap: Sequence[int]) -> frozenset[int]:
    """Return the submissions that an attestation names."""
    return unpack_bits(bitmap, WORD)


def pack_bits(indices: Iterable[int], count: int, width: int) -> tuple[int, ...]:
    """Return a set of indices below `count` as words of `width` bits, lowest first."""
    words = [0] * -(-count // width)
    for index in indices:
        words[index // width] |= 1 << index % width
    return tuple(words)


def unpack_bits(words: Sequence[int], width: int) -> frozenset[int]:
    """Return the indices that are set in words of `width` bits."""
    return frozenset(
        number * width + bit
        for number, word in enumerate(words)
        for bit in range(word.bit_length())
        if word >> bit & 1
    )


def encode_abi(types: Sequence[str], values: Sequence[object]) -> bytes:
    """Return the standard ABI encoding. Raises EncodingError on a value of another type."""
    try:
        return encode(types, values)
    except AbiEncodingError as error:
        raise EncodingError(f"the values do not fit ({', '.join(types)}): {error}") from error


def _hash(types: Sequence[str], values: Sequence[object]) -> Digest:
    return Digest(keccak(encode_abi(types, values)))

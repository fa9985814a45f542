"""Merkle trees over keccak-256 with sorted pairs, as OpenZeppelin's MerkleProof verifies them.

The tree is that of OpenZeppelin's StandardMerkleTree: leaf hashes in ascending order at the
end of a complete binary tree kept in an array. Its leaves are hashed twice, so that no
inner node (64 bytes) can be taken for a leaf; `flchain.protocol.digests.reward_leaf` does that.
Proofs carry no positions: a pair is hashed in ascending order.
"""

from collections.abc import Sequence

from eth_utils.crypto import keccak

from flchain.protocol.errors import EncodingError
from flchain.protocol.types import ZERO_DIGEST, Digest


def compute_root(leaves: Sequence[Digest]) -> Digest:
    """Return the root over hashed leaves in any order; zero if there are none."""
    return _build_tree(leaves)[0] if leaves else ZERO_DIGEST


def compute_proof(leaves: Sequence[Digest], leaf: Digest) -> tuple[Digest, ...]:
    """Return the siblings from `leaf` up to the root.

    Raises EncodingError if `leaf` is none of the `leaves`.
    """
    if leaf not in leaves:
        raise EncodingError(f"merkle: {leaf.hex()} is none of the {len(leaves)} leaves")
    return _climb(_build_tree(leaves), len(leaves) - 1 - sorted(leaves).index(leaf))


def compute_listed_root(leaves: Sequence[Digest]) -> Digest:
    """Return the root over hashed leaves that keep their order; zero if there are none."""
    return _fill_tree(leaves)[0] if leaves else ZERO_DIGEST


def compute_listed_proof(leaves: Sequence[Digest], index: int) -> tuple[Digest, ...]:
    """Return the siblings from the leaf at `index` up to the root of the listed leaves."""
    return _climb(_fill_tree(leaves), index)


def verify_proof(root: Digest, leaf: Digest, proof: Sequence[Digest]) -> bool:
    """Return whether `proof` leads from `leaf` to `root`."""
    node = leaf
    for sibling in proof:
        node = _hash_pair(node, sibling)
    return node == root


def _build_tree(leaves: Sequence[Digest]) -> list[Digest]:
    return _fill_tree(sorted(leaves, reverse=True))


def _climb(tree: Sequence[Digest], index: int) -> tuple[Digest, ...]:
    """Return the siblings on the way from the leaf at `index` to the root."""
    position, proof = len(tree) // 2 + index, []
    while position:
        proof.append(tree[position + 1 if position % 2 else position - 1])
        position = (position - 1) // 2
    return tuple(proof)


def _fill_tree(leaves: Sequence[Digest]) -> list[Digest]:
    """Return the tree as an array: node i has the children 2i + 1 and 2i + 2."""
    tree = [ZERO_DIGEST] * (len(leaves) - 1) + list(leaves)
    for index in reversed(range(len(leaves) - 1)):
        tree[index] = _hash_pair(tree[2 * index + 1], tree[2 * index + 2])
    return tree


def _hash_pair(left: Digest, right: Digest) -> Digest:
    return Digest(keccak(min(left, right) + max(left, right)))

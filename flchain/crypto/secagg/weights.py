"""Sample counts that nobody sees, and whose sum nobody can falsify.

Each agent commits to its bucketed weight w with blinding r (Pedersen on BN254) and proves 1 <= w <=
w_max. Weight and blinding travel at the end of the masked vector: one word for w, sixteen for the
limbs of r of 16 bits each. The product of the survivors' commitments must then open to the sums
that come out. The weight that an agent multiplies its update by is not bound to the one it commits
to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import (
    BN254_KEY,
    LIMBS,
    MAX_SUMMANDS,
    Opening,
    add_commitments,
    commit,
    join_blinding,
    split_blinding,
    verify_opening,
)
from flchain.crypto.groups import Group, Point
from flchain.crypto.secagg.errors import CapacityExceeded, MalformedMessage, WeightSumMismatch
from flchain.crypto.secagg.keys import derive_randomness, derive_scalar
from flchain.crypto.secagg.masking import check_integers, from_words
from flchain.crypto.secagg.masks import WORD, Words, check_words
from flchain.crypto.secagg.messages import Kind, decode_message, encode_message
from flchain.crypto.sigma.ranges import (
    CommittedRange,
    RangeProof,
    decode_range_proof,
    encode_range_proof,
    prove_range,
    verify_range,
)
from flchain.crypto.sigma.statements import Context
from flchain.protocol.errors import EncodingError

TAIL = 1 + LIMBS
"""Words at the end of a vector: the weight, then the limbs of its blinding, lowest first."""


@dataclass(frozen=True, slots=True)
class WeightCommitment:
    """A commitment to a weight and the proof of its range."""

    point: Point
    proof: RangeProof


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """What a round's sum holds: weighted updates, the weights' sum, the limbs' sums."""

    update: NDArray[np.int32]
    weight: int
    limbs: tuple[int, ...]


def commit_weight(
    weight: int, max_weight: int, context: Context, seed: bytes
) -> tuple[WeightCommitment, Opening]:
    """Return a commitment to `context.agent`'s weight, and its opening, which stays secret.

    `seed` is 32 bytes, the round's own or fresh. Raises ProofError unless 1 <= weight <=
    max_weight.
    """
    group = get_backend()
    opening = build_opening(weight, context, seed)
    point = commit(group, BN254_KEY, opening)
    randomness = derive_randomness(seed, context, "weight proof")
    claim = _build_claim(point, max_weight)
    return WeightCommitment(point, prove_range(group, claim, opening, context, randomness)), opening


def build_opening(weight: int, context: Context, seed: bytes) -> Opening:
    """Return what opens the commitment that `commit_weight` makes of the same seed."""
    order = get_backend().order
    return Opening(weight, derive_scalar(seed, context, "weight blinding", order))


def verify_weight(
    commitment: WeightCommitment, max_weight: int, context: Context, group: Group | None = None
) -> None:
    """Check the range. Raises ProofError if it is not proven for this round and agent."""
    claim = _build_claim(commitment.point, max_weight)
    verify_range(group or get_backend(), claim, commitment.proof, context)


def append_weight(update: NDArray[np.int32], opening: Opening) -> Words:
    """Return the vector to mask: the update, weighted already, then weight and blinding."""
    check_integers(update)
    words = np.empty(len(update) + TAIL, WORD)
    words[:-TAIL] = update.view(np.uint32)
    words[-TAIL:] = (opening.value, *split_blinding(opening.blinding))
    return words


def split_sum(total: Words) -> WeightedSum:
    """Return the parts of an unmasked sum. Raises EncodingError if it is too short to have them."""
    check_words(total)
    if len(total) < TAIL:
        raise EncodingError(f"sum: {len(total)} words, a weighted one has {TAIL} or more")
    weight, *limbs = (int(word) for word in total[-TAIL:])
    return WeightedSum(from_words(total[:-TAIL]), weight, tuple(limbs))


def verify_weight_sum(
    commitments: Sequence[Point], weight: int, limbs: Sequence[int], group: Group | None = None
) -> None:
    """Check that the survivors' commitments open to the sums that came out.

    Raises WeightSumMismatch if they do not: one of them masked another weight or blinding than it
    committed to, and nobody can tell which. Raises CapacityExceeded for more than 65,537 of them.
    """
    if len(commitments) > MAX_SUMMANDS:
        raise CapacityExceeded(f"weights: the limbs of {len(commitments)} blindings may overflow")
    group = group or get_backend()
    total = add_commitments(group, commitments)
    blinding = join_blinding(limbs, group.order)
    if not verify_opening(group, BN254_KEY, total, Opening(weight, blinding)):
        raise WeightSumMismatch(
            f"the commitments of {len(commitments)} survivors do not open to a weight of {weight}; "
            "abort, and run the next round in smaller groups"
        )


def encode_weight(commitment: WeightCommitment, context: Context) -> bytes:
    """Return `context.agent`'s message: the point, then the proof."""
    group = get_backend()
    body = group.encode_point(commitment.point) + encode_range_proof(group, commitment.proof)
    return encode_message(Kind.WEIGHT, context.round_key, context.agent, body)


def decode_weight(data: bytes, max_weight: int, context: Context) -> WeightCommitment:
    """Return `context.agent`'s commitment in untrusted bytes; `verify_weight` checks its proof.

    Raises MalformedMessage, ForeignRound or ForeignSender.
    """
    group = get_backend()
    body = decode_message(Kind.WEIGHT, context.round_key, context.agent, data)
    try:
        point = group.decode_point(body[: group.point_size])
        proof = decode_range_proof(group, _build_claim(point, max_weight), body[group.point_size :])
    except EncodingError as error:
        raise MalformedMessage(f"{context.agent}'s weight is malformed: {error}") from None
    return WeightCommitment(point, proof)


def _build_claim(point: Point, max_weight: int) -> CommittedRange:
    return CommittedRange(BN254_KEY, point, 1, max_weight)

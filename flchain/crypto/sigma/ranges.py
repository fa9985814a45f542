"""A proof that a Pedersen commitment hides a number between two bounds, and not which.

With n = maximum - minimum the prover commits to bits b_i and proves value = minimum + sum of
k_i * b_i for public k_i that add up to exactly n: 1, 2, 4, ... and last what is missing to n. Bits
can make every number up to n and none above it, so bounds that are no power of two cost nothing
extra (Lipmaa, Asokan, Niemi, "Secure Vickrey auctions without threshold trust", FC 2002). One
challenge serves all bits and the link to the commitment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from flchain.crypto.commitments import CommitmentKey, Opening, commit, verify_opening
from flchain.crypto.groups import INFINITY, Group, Point
from flchain.crypto.scalars import SCALAR_SIZE, decode_scalar, encode_scalar, is_scalar
from flchain.crypto.sigma.branches import (
    Branches,
    announce,
    decode_branches,
    draft_branches,
    encode_branches,
    get_size,
    get_terms,
    is_well_formed,
    respond,
)
from flchain.crypto.sigma.equations import Terms, verify_equations
from flchain.crypto.sigma.statements import (
    Context,
    NonceSource,
    absorb_points,
    absorb_scalars,
    build_nonces,
    open_transcript,
)
from flchain.crypto.transcript import Transcript
from flchain.protocol.errors import EncodingError, ProofError

MAX_BITS = 32
"""Wider ranges are refused; a proof has at most 8,800 bytes on BN254."""


@dataclass(frozen=True, slots=True)
class CommittedRange:
    """The commitment hides a value with minimum <= value <= maximum."""

    key: CommitmentKey
    commitment: Point
    minimum: int
    maximum: int

    protocol: ClassVar[str] = "flchain/sigma/range/v1"


@dataclass(frozen=True, slots=True)
class RangeProof:
    """Commitments to the bits, each one's branches, and the link's announcement and response."""

    bits: tuple[Point, ...]
    branches: tuple[Branches, ...]
    announcement: Point
    response: int


def compute_coefficients(size: int) -> tuple[int, ...]:
    """Return numbers with the sum `size` whose subsets have every sum from 0 to it."""
    if size == 0:
        return ()
    powers = tuple(1 << place for place in range(size.bit_length() - 1))
    return (*powers, size - sum(powers))


def prove_range(
    group: Group, claim: CommittedRange, opening: Opening, context: Context, randomness: bytes
) -> RangeProof:
    """Return a proof; `randomness` is 32 fresh bytes.

    Raises ProofError if the opening is not the commitment's, or its value out of range.
    """
    coefficients = _get_coefficients(claim)
    _check_opening(group, claim, opening)
    transcript = _absorb_claim(group, claim, context)
    source = build_nonces(transcript, group, (opening.value, opening.blinding), randomness)
    openings = _open_bits(source, coefficients, opening.value - claim.minimum)
    bits = tuple(commit(group, claim.key, each) for each in openings)
    drafts = [draft_branches(each, source, f"bit/{i}") for i, each in enumerate(openings)]
    announced = [announce(group, claim.key, draft) for draft in drafts]
    nonce = source.derive("link/nonce")
    link = group.multiply(claim.key.blinding_base, nonce)
    challenge, _ = _challenge(group, transcript, bits, announced, link)
    branches = (
        respond(group, draft, pair, challenge)
        for draft, pair in zip(drafts, announced, strict=True)
    )
    spent = sum(k * each.blinding for k, each in zip(coefficients, openings, strict=True))
    response = (nonce + challenge * (opening.blinding - spent)) % group.order
    return RangeProof(bits, tuple(branches), link, response)


def verify_range(group: Group, claim: CommittedRange, proof: RangeProof, context: Context) -> None:
    """Check a proof. Raises ProofError if it is not one of this claim in this context."""
    coefficients = _get_coefficients(claim)
    _check_form(group, claim, proof, len(coefficients))
    transcript = _absorb_claim(group, claim, context)
    announced = [each.announcements for each in proof.branches]
    challenge, transcript = _challenge(group, transcript, proof.bits, announced, proof.announcement)
    for each in proof.branches:
        transcript = absorb_scalars(transcript, group, "response", (each.share, *each.responses))
    transcript = absorb_scalars(transcript, group, "response", (proof.response,))
    equations = _get_equations(claim, proof, coefficients, challenge)
    if not verify_equations(group, transcript, equations):
        raise ProofError(f"{claim.protocol}: the proof does not hold for this claim and context")


def encode_range_proof(group: Group, proof: RangeProof) -> bytes:
    """Return the bits with their branches in order, then the link."""
    parts = (
        group.encode_point(bit) + encode_branches(group, each)
        for bit, each in zip(proof.bits, proof.branches, strict=True)
    )
    link = group.encode_point(proof.announcement) + encode_scalar(proof.response, group.order)
    return b"".join((*parts, link))


def decode_range_proof(group: Group, claim: CommittedRange, data: bytes) -> RangeProof:
    """Return the proof in untrusted bytes, whose number follows from the bounds.

    Raises EncodingError on any other length, point or scalar than a canonical one.
    """
    count = len(_get_coefficients(claim))
    point, each = group.point_size, group.point_size + get_size(group)
    size = count * each + point + SCALAR_SIZE
    if len(data) != size:
        raise EncodingError(f"{claim.protocol}: a proof has {size} bytes, not {len(data)}")
    parts = [data[at : at + each] for at in range(0, count * each, each)]
    link = data[count * each :]
    return RangeProof(
        tuple(group.decode_point(part[:point]) for part in parts),
        tuple(decode_branches(group, part[point:]) for part in parts),
        group.decode_point(link[:point]),
        decode_scalar(link[point:], group.order),
    )


def _get_coefficients(claim: CommittedRange) -> tuple[int, ...]:
    if not 0 <= claim.minimum <= claim.maximum < 1 << MAX_BITS:
        raise ProofError(f"{claim.protocol}: no range of {MAX_BITS}-bit numbers")
    return compute_coefficients(claim.maximum - claim.minimum)


def _check_opening(group: Group, claim: CommittedRange, opening: Opening) -> None:
    if not verify_opening(group, claim.key, claim.commitment, opening):
        raise ProofError(f"{claim.protocol}: the opening is not the commitment's")
    if not claim.minimum <= opening.value <= claim.maximum:
        raise ProofError(
            f"{claim.protocol}: {opening.value} is not from {claim.minimum} to {claim.maximum}"
        )


def _absorb_claim(group: Group, claim: CommittedRange, context: Context) -> Transcript:
    bases = (claim.key.value_base, claim.key.blinding_base)
    if INFINITY in (*bases, claim.commitment):
        raise ProofError(f"{claim.protocol}: a point of the claim is infinity")
    transcript = open_transcript(claim.protocol, context, group, bases)
    bounds = (claim.minimum, claim.maximum)
    transcript = absorb_points(transcript, group, "commitment", (claim.commitment,))
    return absorb_scalars(transcript, group, "bound", bounds)


def _open_bits(source: NonceSource, coefficients: Sequence[int], value: int) -> list[Opening]:
    """Return openings of bits whose products with the coefficients add up to the value."""
    bits = []
    for place in reversed(range(len(coefficients))):
        # The last coefficient is taken only where the powers of two below it do not reach.
        bit = int(value > sum(coefficients[:place]))
        value -= bit * coefficients[place]
        bits.append(Opening(bit, source.derive(f"bit/{place}/blinding")))
    return bits[::-1]


def _challenge(
    group: Group,
    transcript: Transcript,
    bits: Sequence[Point],
    announced: Sequence[tuple[Point, Point]],
    link: Point,
) -> tuple[int, Transcript]:
    transcript = absorb_points(transcript, group, "bit", bits)
    for pair in announced:
        transcript = absorb_points(transcript, group, "announcement", pair)
    return absorb_points(transcript, group, "link", (link,)).challenge("c")


def _check_form(group: Group, claim: CommittedRange, proof: RangeProof, count: int) -> None:
    if not len(proof.bits) == len(proof.branches) == count:
        raise ProofError(f"{claim.protocol}: the proof must have {count} bits")
    are_formed = all(is_well_formed(group, each) for each in proof.branches)
    if not are_formed or INFINITY in (*proof.bits, proof.announcement):
        raise ProofError(f"{claim.protocol}: a part of the proof is not canonical")
    if not is_scalar(proof.response, group.order):
        raise ProofError(f"{claim.protocol}: a response is not below the group's order")


def _get_equations(
    claim: CommittedRange, proof: RangeProof, coefficients: Sequence[int], challenge: int
) -> Iterator[Terms]:
    """Yield the bits' equations and the link's.

    The link: announcement + c * (C - minimum * V - sum of k_i * bit_i) - response * B = 0.
    """
    for bit, each in zip(proof.bits, proof.branches, strict=True):
        yield from get_terms(claim.key, bit, each, challenge)
    yield (
        (1, proof.announcement),
        (challenge, claim.commitment),
        (-challenge * claim.minimum, claim.key.value_base),
        (-proof.response, claim.key.blinding_base),
        *((-challenge * k, bit) for k, bit in zip(coefficients, proof.bits, strict=True)),
    )

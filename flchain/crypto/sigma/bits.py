"""A proof that a Pedersen commitment hides 0 or 1, and nothing about which."""

from dataclasses import dataclass
from typing import ClassVar

from flchain.crypto.commitments import CommitmentKey, Opening, verify_opening
from flchain.crypto.groups import INFINITY, Group, Point
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
from flchain.crypto.sigma.equations import verify_equations
from flchain.crypto.sigma.statements import (
    Context,
    absorb_points,
    absorb_scalars,
    build_nonces,
    open_transcript,
)
from flchain.crypto.transcript import Transcript
from flchain.protocol.errors import EncodingError, ProofError


@dataclass(frozen=True, slots=True)
class CommittedBit:
    """The commitment hides 0 or 1."""

    key: CommitmentKey
    commitment: Point

    protocol: ClassVar[str] = "flchain/sigma/bit/v1"


def prove_bit(
    group: Group, claim: CommittedBit, opening: Opening, context: Context, randomness: bytes
) -> Branches:
    """Return a proof; `randomness` is 32 fresh bytes.

    Raises ProofError if the opening is not the commitment's, or its value neither 0 nor 1.
    """
    if not verify_opening(group, claim.key, claim.commitment, opening):
        raise ProofError(f"{claim.protocol}: the opening is not the commitment's")
    if opening.value not in {0, 1}:
        raise ProofError(f"{claim.protocol}: the commitment hides {opening.value}, not 0 or 1")
    transcript = _absorb_claim(group, claim, context)
    source = build_nonces(transcript, group, (opening.value, opening.blinding), randomness)
    draft = draft_branches(opening, source, "bit")
    announced = announce(group, claim.key, draft)
    challenge, _ = absorb_points(transcript, group, "announcement", announced).challenge("c")
    return respond(group, draft, announced, challenge)


def verify_bit(group: Group, claim: CommittedBit, proof: Branches, context: Context) -> None:
    """Check a proof. Raises ProofError if it is not one of this claim in this context."""
    if not is_well_formed(group, proof):
        raise ProofError(f"{claim.protocol}: a part of the proof is not canonical")
    transcript = _absorb_claim(group, claim, context)
    transcript = absorb_points(transcript, group, "announcement", proof.announcements)
    challenge, transcript = transcript.challenge("c")
    transcript = absorb_scalars(transcript, group, "response", (proof.share, *proof.responses))
    equations = get_terms(claim.key, claim.commitment, proof, challenge)
    if not verify_equations(group, transcript, equations):
        raise ProofError(f"{claim.protocol}: the proof does not hold for this claim and context")


def encode_bit_proof(group: Group, proof: Branches) -> bytes:
    """Return the proof's one encoding: 208 bytes on BN254."""
    return encode_branches(group, proof)


def decode_bit_proof(group: Group, data: bytes) -> Branches:
    """Return the proof in untrusted bytes. Raises EncodingError unless they are canonical."""
    if len(data) != get_size(group):
        raise EncodingError(
            f"{CommittedBit.protocol}: a proof has {get_size(group)} bytes, not {len(data)}"
        )
    return decode_branches(group, data)


def _absorb_claim(group: Group, claim: CommittedBit, context: Context) -> Transcript:
    bases = (claim.key.value_base, claim.key.blinding_base)
    if INFINITY in (*bases, claim.commitment):
        raise ProofError(f"{claim.protocol}: a point of the claim is infinity")
    transcript = open_transcript(claim.protocol, context, group, bases)
    return absorb_points(transcript, group, "commitment", (claim.commitment,))

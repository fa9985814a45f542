"""One protocol for every claim that secrets satisfy linear equations over the group.

The prover knows x with sum_j x_j * base_ij = target_i for every i (U. Maurer, "Unifying
zero-knowledge proofs of knowledge", AFRICACRYPT 2009). It announces A_i = sum_j a_j * base_ij,
is challenged with c, and responds with z_j = a_j + c * x_j; the verifier checks that
sum_j z_j * base_ij = A_i + c * target_i. 2-special-sound, honest-verifier zero knowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.crypto.groups import INFINITY, Group, Point
from flchain.crypto.scalars import SCALAR_SIZE, decode_scalar, encode_scalar, is_scalar
from flchain.crypto.sigma.claims import Claim, Equation
from flchain.crypto.sigma.equations import Terms, verify_equations
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
class LinearProof:
    """One announcement for each equation, one response for each secret."""

    announcements: tuple[Point, ...]
    responses: tuple[int, ...]


def prove(
    group: Group, claim: Claim, secrets: Sequence[int], context: Context, randomness: bytes
) -> LinearProof:
    """Return a proof that whoever made it knew the secrets; `randomness` is 32 fresh bytes.

    Raises ProofError if the secrets do not satisfy the claim.
    """
    transcript = _absorb_claim(group, claim, context)
    if len(secrets) != claim.secrets or not _is_satisfied(group, claim, secrets):
        raise ProofError(f"{claim.protocol}: the secrets do not satisfy the claim")
    source = build_nonces(transcript, group, secrets, randomness)
    nonces = [source.derive(f"secret/{place}") for place in range(len(secrets))]
    announced = tuple(_apply(group, equation, nonces) for equation in claim.equations)
    challenge, _ = absorb_points(transcript, group, "announcement", announced).challenge("c")
    responses = (
        (nonce + challenge * secret) % group.order
        for nonce, secret in zip(nonces, secrets, strict=True)
    )
    return LinearProof(announced, tuple(responses))


def verify(group: Group, claim: Claim, proof: LinearProof, context: Context) -> None:
    """Check a proof. Raises ProofError if it is not one of this claim in this context."""
    _check_form(group, claim, proof)
    transcript = _absorb_claim(group, claim, context)
    transcript = absorb_points(transcript, group, "announcement", proof.announcements)
    challenge, transcript = transcript.challenge("c")
    transcript = absorb_scalars(transcript, group, "response", proof.responses)
    equations = (
        _get_terms(equation, announcement, proof.responses, challenge)
        for equation, announcement in zip(claim.equations, proof.announcements, strict=True)
    )
    if not verify_equations(group, transcript, equations):
        raise ProofError(f"{claim.protocol}: the proof does not hold for this claim and context")


def encode_proof(group: Group, proof: LinearProof) -> bytes:
    """Return the announcements' and the responses' encodings, one after another."""
    points = map(group.encode_point, proof.announcements)
    scalars = (encode_scalar(response, group.order) for response in proof.responses)
    return b"".join((*points, *scalars))


def decode_proof(group: Group, claim: Claim, data: bytes) -> LinearProof:
    """Return the proof in untrusted bytes, whose number follows from the claim.

    Raises EncodingError on any other length, point or scalar than a canonical one.
    """
    split = len(claim.equations) * group.point_size
    size = split + claim.secrets * SCALAR_SIZE
    if len(data) != size:
        raise EncodingError(f"{claim.protocol}: a proof has {size} bytes, not {len(data)}")
    points = (data[at : at + group.point_size] for at in range(0, split, group.point_size))
    scalars = (data[at : at + SCALAR_SIZE] for at in range(split, size, SCALAR_SIZE))
    return LinearProof(
        tuple(group.decode_point(part) for part in points),
        tuple(decode_scalar(part, group.order) for part in scalars),
    )


def _absorb_claim(group: Group, claim: Claim, context: Context) -> Transcript:
    targets = tuple(equation.target for equation in claim.equations)
    bases = tuple(base for equation in claim.equations for _, base in equation.terms)
    if INFINITY in (*targets, *bases):
        raise ProofError(f"{claim.protocol}: a point of the claim is infinity")
    transcript = open_transcript(claim.protocol, context, group, bases)
    return absorb_points(transcript, group, "target", targets)


def _check_form(group: Group, claim: Claim, proof: LinearProof) -> None:
    counts = (len(proof.announcements), len(proof.responses))
    if counts != (len(claim.equations), claim.secrets):
        raise ProofError(f"{claim.protocol}: the proof has the wrong number of parts")
    if not all(is_scalar(response, group.order) for response in proof.responses):
        raise ProofError(f"{claim.protocol}: a response is not below the group's order")
    if INFINITY in proof.announcements:
        raise ProofError(f"{claim.protocol}: an announcement is infinity")


def _is_satisfied(group: Group, claim: Claim, secrets: Sequence[int]) -> bool:
    return all(_apply(group, equation, secrets) == equation.target for equation in claim.equations)


def _apply(group: Group, equation: Equation, scalars: Sequence[int]) -> Point:
    """Return the equation's left side."""
    bases = [base for _, base in equation.terms]
    return group.sum_products(bases, [scalars[place] for place, _ in equation.terms])


def _get_terms(
    equation: Equation, announcement: Point, responses: Sequence[int], challenge: int
) -> Terms:
    """Return announcement + c * target - sum of z * base; short scalars stay positive."""
    left = [(-responses[place], base) for place, base in equation.terms]
    return [(1, announcement), (challenge, equation.target), *left]

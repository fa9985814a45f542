"""A holder who got a bad share shows everybody what it saw, and everybody agrees who lied.

The holder publishes the point that it has in common with the dealer, e_j * E_i, and proves that its
logarithm to E_i is that of its own key E_j. Anybody then decrypts the dealer's ciphertext. This
tells nobody honest's secret: the pair's shares in both directions become public, and one of the
two, who lied, had both already.
"""

from dataclasses import dataclass

from flchain.crypto.groups import Group, Point
from flchain.crypto.secagg.agents import AGENT_SIZE, encode_agent, find_agent, index_agents
from flchain.crypto.secagg.errors import BadShare, MalformedMessage
from flchain.crypto.secagg.keys import Secrets
from flchain.crypto.secagg.messages import Kind, check_size, decode_message, encode_message
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import Sharing, decrypt_share, hash_agreement
from flchain.crypto.secp256k1 import GENERATOR, POINT_SIZE, encode_point, get_group
from flchain.crypto.sigma import linear
from flchain.crypto.sigma.claims import EqualLogarithms
from flchain.crypto.sigma.linear import LinearProof
from flchain.crypto.sigma.statements import RANDOMNESS_SIZE
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Address

_PROOF_SIZE = 2 * POINT_SIZE + RANDOMNESS_SIZE


@dataclass(frozen=True, slots=True)
class Complaint:
    """`dealer` gave its accuser a bad share; `common` is their point, with a proof that it is."""

    dealer: Address
    common: Point
    proof: LinearProof


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who of the two lied, and how that shows."""

    guilty: Address
    reason: str


def complain(
    roster: Roster, accuser: Address, secrets: Secrets, dealer: Address, randomness: bytes
) -> Complaint:
    """Return the accuser's complaint; `randomness` is 32 fresh bytes."""
    theirs = roster.keys[dealer].encryption
    common = get_group().multiply(theirs, secrets.encryption)
    claim = _build_claim(roster, accuser, dealer, common)
    secret = (secrets.encryption,)
    context = roster.get_context(accuser)
    proof = linear.prove(get_group(), claim, secret, context, randomness)
    return Complaint(dealer, common, proof)


def verify_complaint(
    roster: Roster,
    accuser: Address,
    complaint: Complaint,
    sharing: Sharing,
    group: Group | None = None,
) -> Verdict:
    """Return who lied: the dealer or the accuser.

    `sharing` is what the dealer published. Raises EncodingError if the two are no neighbours.
    """
    dealer = complaint.dealer
    roster.graph.get_index(dealer, accuser)
    claim = _build_claim(roster, accuser, dealer, complaint.common)
    try:
        linear.verify(group or get_group(), claim, complaint.proof, roster.get_context(accuser))
    except ProofError:
        return Verdict(accuser, "the point in the complaint is not proven to be theirs in common")
    try:
        decrypt_share(roster, dealer, accuser, sharing, hash_agreement(complaint.common))
    except BadShare as error:
        return Verdict(dealer, str(error))
    return Verdict(accuser, "the share complained about is right")


def encode_complaint(roster: Roster, accuser: Address, complaint: Complaint) -> bytes:
    """Return the message: dealer, common point, proof; 302 bytes."""
    proof = linear.encode_proof(get_group(), complaint.proof)
    body = encode_agent(complaint.dealer) + encode_point(complaint.common) + proof
    return encode_message(Kind.COMPLAINT, roster.round_key, accuser, body)


def decode_complaint(roster: Roster, accuser: Address, data: bytes) -> Complaint:
    """Return the accuser's complaint in untrusted bytes; `verify_complaint` judges it.

    Raises MalformedMessage, also if it is not about a neighbour, ForeignRound or ForeignSender.
    """
    body = decode_message(Kind.COMPLAINT, roster.round_key, accuser, data)
    check_size(Kind.COMPLAINT, body, AGENT_SIZE + POINT_SIZE + _PROOF_SIZE)
    dealer = find_agent(body[:AGENT_SIZE], index_agents(roster.graph.neighbours[accuser]))
    split = AGENT_SIZE + POINT_SIZE
    try:
        common = get_group().decode_point(body[AGENT_SIZE:split])
        claim = _build_claim(roster, accuser, dealer, common)
        proof = linear.decode_proof(get_group(), claim, body[split:])
    except EncodingError as error:
        raise MalformedMessage(f"{accuser}'s complaint is malformed: {error}") from None
    return Complaint(dealer, common, proof)


def _build_claim(
    roster: Roster, accuser: Address, dealer: Address, common: Point
) -> EqualLogarithms:
    keys = roster.keys
    return EqualLogarithms(GENERATOR, keys[accuser].encryption, keys[dealer].encryption, common)

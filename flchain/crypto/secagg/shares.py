"""Both secrets of an agent, shared among its neighbours so that each can check its part.

The dealer shares a and b by two polynomials of degree t - 1 whose constant commitments are its
public keys, so those are not sent again. Agent number x of all (from 1, by ascending address) gets
both values at x, encrypted with ChaCha20-Poly1305 (RFC 8439). The key is HKDF(SHA-256(e_i * E_j),
info); info is "flchain/secagg/v1/share" || round key || dealer || holder and is also the associated
data; the nonce is zero, because the key is used for this pair, direction and round alone.

    body   u16 t || u16 k || (t - 1) points for a || (t - 1) points for b || k ciphertexts of 80
    bytes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from flchain.crypto.curves import Point as CurvePoint
from flchain.crypto.curves import encode_point as compress_point
from flchain.crypto.feldman import commit_polynomial, verify_share, verify_shares
from flchain.crypto.groups import Point
from flchain.crypto.scalars import SCALAR_SIZE, decode_scalar, encode_scalar
from flchain.crypto.secagg.agents import build_info, derive_key
from flchain.crypto.secagg.errors import BadShare, MalformedMessage
from flchain.crypto.secagg.keys import Secrets, agree, derive_scalar
from flchain.crypto.secagg.messages import Kind, check_size, decode_message, encode_message
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secp256k1 import ORDER, POINT_SIZE, decode_point, encode_point
from flchain.crypto.shamir import evaluate_polynomial
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address

CIPHERTEXT_SIZE = 2 * SCALAR_SIZE + 16
_KEY_SIZE = 32
_NONCE = bytes(12)
_COUNT = 2
_MAX_WEIGHT = (1 << 20) - 1


@dataclass(frozen=True, slots=True)
class SharePair:
    """What one holder has of one dealer's two secrets; at most one may ever be told."""

    masking: int = field(repr=False)
    self_mask: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sharing:
    """A dealer's public message: commitments with the constant ones left out, and ciphertexts.

    `ciphertexts` are in the order of the dealer's neighbours.
    """

    masking: tuple[Point, ...]
    self_mask: tuple[Point, ...]
    ciphertexts: tuple[bytes, ...]


def deal_shares(roster: Roster, dealer: Address, secrets: Secrets, seed: bytes) -> Sharing:
    """Return the dealer's sharing; `seed` is 32 bytes, the round's own or fresh.

    A neighbour whose keys the roster does not have gets zeros in the place of a ciphertext. One
    dealer must never publish two: call it again with the same arguments after a restart.
    """
    neighbours = roster.graph.neighbours[dealer]
    polynomials = draw_polynomials(roster, dealer, secrets, seed)
    known = [holder for holder in neighbours if holder in roster.keys]
    points = (roster.keys[holder].encryption for holder in known)
    agreements = dict(zip(known, agree(secrets.encryption, points), strict=True))
    ciphertexts = []
    for holder in neighbours:
        if holder not in agreements:
            ciphertexts.append(bytes(CIPHERTEXT_SIZE))
            continue
        agreed = agreements[holder]
        place = roster.graph.places[holder]
        values = (evaluate_polynomial(each, place, ORDER) for each in polynomials)
        plain = b"".join(encode_scalar(value, ORDER) for value in values)
        info = build_info("share", roster.round_key, dealer, holder)
        ciphertexts.append(_get_cipher(agreed, info).encrypt(_NONCE, plain, info))
    masking, self_mask = (commit_polynomial(each[1:]) for each in polynomials)
    return Sharing(masking, self_mask, tuple(ciphertexts))


def is_dealt_to(roster: Roster, dealer: Address, holder: Address, sharing: Sharing) -> bool:
    """Return whether the dealer gave anything to this agent: zeros say that it had no keys.

    What is no neighbour's business counts as given.
    """
    if holder not in roster.graph.neighbours[dealer]:
        return True
    return any(sharing.ciphertexts[roster.graph.get_index(dealer, holder)])


def draw_polynomials(
    roster: Roster, dealer: Address, secrets: Secrets, seed: bytes
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return random polynomials whose constant terms are the two secrets; secret themselves."""
    context, places = roster.get_context(dealer), range(1, roster.threshold)
    masking = (derive_scalar(seed, context, f"share a/{place}") for place in places)
    self_mask = (derive_scalar(seed, context, f"share b/{place}") for place in places)
    return (secrets.masking, *masking), (secrets.self_mask, *self_mask)


def open_share(
    roster: Roster, holder: Address, secrets: Secrets, dealer: Address, sharing: Sharing
) -> SharePair:
    """Return what the dealer gave to the holder, checked.

    Raises BadShare: then `complaints.complain` shows everybody what the holder saw.
    """
    (agreed,) = agree(secrets.encryption, [roster.keys[dealer].encryption])
    return decrypt_share(roster, dealer, holder, sharing, agreed)


def open_shares(
    roster: Roster, holder: Address, secrets: Secrets, sharings: Mapping[Address, Sharing]
) -> tuple[dict[Address, SharePair], dict[Address, BadShare]]:
    """Return what the holder's neighbours gave it, and what was wrong with the others'.

    All shares are checked at once, with weights from the holder's secret, so that a wrong one
    passes with a chance of 2^-20: it would harm nobody's privacy and one share among many. If the
    check fails each is checked alone. Sharings of agents that are no neighbours are ignored.
    """
    dealers = [each for each in roster.graph.neighbours[holder] if each in sharings]
    points = [roster.keys[dealer].encryption for dealer in dealers]
    good: dict[Address, SharePair] = {}
    bad: dict[Address, BadShare] = {}
    for dealer, agreed in zip(dealers, agree(secrets.encryption, points), strict=True):
        try:
            good[dealer] = _read_pair(roster, dealer, holder, sharings[dealer], agreed)
        except BadShare as error:
            bad[dealer] = error
    if not _are_right(roster, holder, secrets, sharings, good):
        wrong = [
            dealer
            for dealer, pair in good.items()
            if not verify_pair(roster, dealer, holder, sharings[dealer], pair)
        ]
        for dealer in wrong:
            del good[dealer]
            bad[dealer] = _build_wrong_share(dealer, holder)
    return good, bad


def decrypt_share(
    roster: Roster, dealer: Address, holder: Address, sharing: Sharing, agreed: bytes
) -> SharePair:
    """Return what the dealer gave to the holder, with what the two agreed on. Raises BadShare."""
    pair = _read_pair(roster, dealer, holder, sharing, agreed)
    if not verify_pair(roster, dealer, holder, sharing, pair):
        raise _build_wrong_share(dealer, holder)
    return pair


def verify_pair(
    roster: Roster, dealer: Address, holder: Address, sharing: Sharing, pair: SharePair
) -> bool:
    """Return whether both values are the committed polynomials' at the holder's place."""
    place = roster.graph.places[holder]
    masking, self_mask = get_commitments(roster, dealer, sharing)
    is_right = verify_share(masking, place, pair.masking)
    return is_right and verify_share(self_mask, place, pair.self_mask)


def get_commitments(
    roster: Roster, dealer: Address, sharing: Sharing
) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the commitments to a's and to b's polynomial, with the constant ones."""
    keys = roster.keys[dealer]
    return (keys.masking, *sharing.masking), (keys.self_mask, *sharing.self_mask)


def hash_agreement(point: Point) -> bytes:
    """Return what two agents agree on, from their common point."""
    return sha256(compress_point(CurvePoint(*point))).digest()


def encode_sharing(roster: Roster, dealer: Address, sharing: Sharing) -> bytes:
    """Return the message."""
    counts = (roster.threshold, len(sharing.ciphertexts))
    head = b"".join(count.to_bytes(_COUNT, "big") for count in counts)
    points = b"".join(map(encode_point, (*sharing.masking, *sharing.self_mask)))
    body = head + points + b"".join(sharing.ciphertexts)
    return encode_message(Kind.SHARING, roster.round_key, dealer, body)


def decode_sharing(roster: Roster, dealer: Address, data: bytes) -> Sharing:
    """Return the dealer's sharing in untrusted bytes; its ciphertexts are not opened.

    Raises MalformedMessage, ForeignRound or ForeignSender.
    """
    body = decode_message(Kind.SHARING, roster.round_key, dealer, data)
    threshold, degree = roster.threshold, len(roster.graph.neighbours[dealer])
    head, points = 2 * _COUNT, 2 * (threshold - 1) * POINT_SIZE
    check_size(Kind.SHARING, body, head + points + degree * CIPHERTEXT_SIZE)
    expected = threshold.to_bytes(_COUNT, "big") + degree.to_bytes(_COUNT, "big")
    if body[:head] != expected:
        raise MalformedMessage(f"{dealer}'s sharing is not for {threshold} of {degree}")
    try:
        found = tuple(map(decode_point, _cut(body[head : head + points], POINT_SIZE)))
    except EncodingError as error:
        raise MalformedMessage(f"{dealer}'s commitments are malformed: {error}") from None
    ciphertexts = tuple(_cut(body[head + points :], CIPHERTEXT_SIZE))
    return Sharing(found[: threshold - 1], found[threshold - 1 :], ciphertexts)


def _read_pair(
    roster: Roster, dealer: Address, holder: Address, sharing: Sharing, agreed: bytes
) -> SharePair:
    """Return the decrypted pair, not yet checked. Raises BadShare if it cannot be decrypted."""
    ciphertext = sharing.ciphertexts[roster.graph.get_index(dealer, holder)]
    info = build_info("share", roster.round_key, dealer, holder)
    try:
        plain = _get_cipher(agreed, info).decrypt(_NONCE, ciphertext, info)
        return SharePair(
            decode_scalar(plain[:SCALAR_SIZE], ORDER), decode_scalar(plain[SCALAR_SIZE:], ORDER)
        )
    except (InvalidTag, EncodingError):
        raise BadShare(f"the share from {dealer} for {holder} cannot be decrypted") from None


def _are_right(
    roster: Roster,
    holder: Address,
    secrets: Secrets,
    sharings: Mapping[Address, Sharing],
    pairs: Mapping[Address, SharePair],
) -> bool:
    """Return whether all pairs pass the check of their weighted sum."""
    if not pairs:
        return True
    commitments = [
        each for dealer in pairs for each in get_commitments(roster, dealer, sharings[dealer])
    ]
    values = [value for pair in pairs.values() for value in (pair.masking, pair.self_mask)]
    info = build_info("check", roster.round_key, holder)
    seed = derive_key(encode_scalar(secrets.encryption, ORDER), info, _KEY_SIZE)
    weights = _derive_weights(seed, len(values))
    return verify_shares(commitments, roster.graph.places[holder], values, weights)


def _derive_weights(seed: bytes, count: int) -> list[int]:
    """Return weights of 20 bits, none of them zero."""
    digests = (sha256(seed + number.to_bytes(_COUNT, "big")).digest() for number in range(count))
    return [1 + int.from_bytes(digest[:8], "big") % _MAX_WEIGHT for digest in digests]


def _build_wrong_share(dealer: Address, holder: Address) -> BadShare:
    return BadShare(f"the share from {dealer} for {holder} is not what was committed to")


def _get_cipher(agreed: bytes, info: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive_key(agreed, info, _KEY_SIZE))


def _cut(data: bytes, size: int) -> Sequence[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]

"""A verifiable random function: ECVRF with try-and-increment, RFC 9381 section 5.

The suite in use is ECVRF-SECP256K1-SHA256-TAI: the construction of the RFC's
ECVRF-P256-SHA256-TAI (section 5.5) on secp256k1, under a suite byte for private use. The key holder
proves that an output belongs to a message; nobody, the holder included, can prove a second output
for it, so an output is a ticket that its owner cannot choose.

`contracts/libraries/VRF.sol` verifies the same proofs with the help of hints. Both refuse c = 0 and
s = 0, which the RFC allows; the contract refuses a few coordinates more, which its header lists and
which no search finds.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from flchain.crypto.curves import (
    COORDINATE_SIZE,
    POINT_SIZE,
    Curve,
    Point,
    compute_square,
    decode_point,
    encode_point,
    find_root,
    get_secp256k1,
    negate,
)
from flchain.crypto.nonces import compute_nonce
from flchain.protocol.errors import EncodingError, ProofError

CHALLENGE_SIZE = 16
PROOF_SIZE = POINT_SIZE + CHALLENGE_SIZE + COORDINATE_SIZE
OUTPUT_SIZE = 32
_ENCODE_TO_CURVE, _CHALLENGE, _OUTPUT = b"\x01", b"\x02", b"\x03"
_MAX_COUNTER = 255


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass(frozen=True, slots=True)
class Suite:
    """A choice of curve and hash for the construction (RFC 9381 section 5.5).

    `binds_key` puts the public key into the challenge and `has_trailer` ends each hashed string
    with a zero octet: both as in the RFC, both absent from its drafts up to 05.
    """

    octet: int
    curve: Curve
    hash: Callable[[bytes], bytes] = _sha256
    binds_key: bool = True
    has_trailer: bool = True


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof pi: Gamma, the output as a point, and a Schnorr answer (c, s)."""

    gamma: Point
    c: int
    s: int


class HintedProof(NamedTuple):
    """A proof with what spares the EVM roots and inversions: the fields of Solidity's `VrfProof`.

    U = sB - cY, A = sH and B = c Gamma; `inverse` is that of B.x - A.x in the field; for each
    counter without a point, `roots` has a root of -(x^3 + 7), which exists just where x^3 + 7 has
    none. The contract computes c itself.
    """

    gamma_x: int
    gamma_parity: int
    s: int
    u_x: int
    u_y: int
    a_x: int
    a_y: int
    b_x: int
    b_y: int
    inverse: int
    roots: tuple[int, ...]


class KeyWords(NamedTuple):
    """A public key as the contracts take it: the fields of Solidity's `VrfKey`."""

    x: int
    parity: int


@dataclass(frozen=True, slots=True, repr=False)
class SecretKey:
    """A secret scalar with its public key; never an Ethereum account's key."""

    scalar: int = field(repr=False)
    public_key: Point


SECP256K1_TAI = Suite(0xFE, get_secp256k1())
"""ECVRF-SECP256K1-SHA256-TAI over the fast backend."""


def load_secret_key(secret: bytes, suite: Suite = SECP256K1_TAI) -> SecretKey:
    """Return the key of 32 secret bytes, uniformly random ones for a new key.

    Raises EncodingError unless they are a scalar in [1, order).
    """
    scalar = int.from_bytes(secret, "big")
    public_key = suite.curve.multiply_generator(scalar) if scalar < suite.curve.order else None
    if len(secret) != COORDINATE_SIZE or public_key is None:
        raise EncodingError(
            f"VRF key: it must be {COORDINATE_SIZE} bytes, above zero and below the curve's order"
        )
    return SecretKey(scalar, public_key)


def decode_public_key(data: bytes, suite: Suite = SECP256K1_TAI) -> Point:
    """Return the public key of 33 compressed bytes (RFC 9381 section 5.4.5).

    With cofactor 1 every point that decodes is a valid key. Raises EncodingError on others.
    """
    return decode_point(suite.curve, data)


def get_key_words(public_key: Point) -> KeyWords:
    """Return a public key as the contracts take it."""
    return KeyWords(public_key.x, public_key.y % 2)


def prove(secret: SecretKey, alpha: bytes, suite: Suite = SECP256K1_TAI) -> Proof:
    """Return the proof for a message (RFC 9381 section 5.1); equal inputs give equal proofs."""
    curve = suite.curve
    base, _ = encode_to_curve(secret.public_key, alpha, suite)
    gamma = _get_finite(curve.multiply(base, secret.scalar))
    nonce = compute_nonce(secret.scalar, curve.order, suite.hash(encode_point(base)))
    u = _get_finite(curve.multiply_generator(nonce))
    v = _get_finite(curve.multiply(base, nonce))
    c = _compute_challenge(suite, secret.public_key, (base, gamma, u, v))
    return Proof(gamma, c, (nonce + c * secret.scalar) % curve.order)


def verify(public_key: Point, alpha: bytes, proof: Proof, suite: Suite = SECP256K1_TAI) -> bytes:
    """Return the output of a valid proof (RFC 9381 section 5.3).

    `public_key` is one that `decode_public_key` accepted and the proof one that `decode_proof` or
    `prove` returned. Raises ProofError where the answer does not fit key, message and Gamma.
    """
    base, _ = encode_to_curve(public_key, alpha, suite)
    u, a, b = _compute_products(public_key, base, proof, suite)
    v = suite.curve.add(a, negate(suite.curve, b))
    if v is None:
        raise ProofError("VRF proof: V is the point at infinity")
    if _compute_challenge(suite, public_key, (base, proof.gamma, u, v)) != proof.c:
        raise ProofError("VRF proof: it is not this key's proof for this message")
    return compute_output(proof, suite)


def compute_output(proof: Proof, suite: Suite = SECP256K1_TAI) -> bytes:
    """Return the output beta of a proof (RFC 9381 section 5.2): 32 bytes, random if it is valid.

    The proof is not verified; `verify` does that and returns the same.
    """
    return _hash(suite, _OUTPUT, encode_point(proof.gamma))


def encode_proof(proof: Proof) -> bytes:
    """Return the 81 bytes Gamma || c || s of a proof (RFC 9381 section 5.5)."""
    answer = proof.c.to_bytes(CHALLENGE_SIZE, "big") + proof.s.to_bytes(COORDINATE_SIZE, "big")
    return encode_point(proof.gamma) + answer


def decode_proof(data: bytes, suite: Suite = SECP256K1_TAI) -> Proof:
    """Return the proof of 81 bytes (RFC 9381 section 5.4.4).

    Raises EncodingError on another length, where Gamma is no point, and unless 0 < c and
    0 < s < order.
    """
    if len(data) != PROOF_SIZE:
        raise EncodingError(f"VRF proof: {len(data)} bytes, it must have {PROOF_SIZE}")
    gamma = decode_point(suite.curve, data[:POINT_SIZE])
    c = int.from_bytes(data[POINT_SIZE:-COORDINATE_SIZE], "big")
    proof = Proof(gamma, c, int.from_bytes(data[-COORDINATE_SIZE:], "big"))
    if not _is_in_range(proof, suite.curve):
        raise EncodingError("VRF proof: c and s must be above zero and s below the curve's order")
    return proof


def encode_to_curve(public_key: Point, alpha: bytes, suite: Suite) -> tuple[Point, tuple[int, ...]]:
    """Return the message's point and the x-coordinates tried in vain (section 5.4.1.1).

    Raises ProofError if none of 256 counters gives a point, which happens once in 2^256 messages.
    """
    salted = encode_point(public_key) + alpha
    tried: list[int] = []
    for counter in range(_MAX_COUNTER + 1):
        x = int.from_bytes(_hash(suite, _ENCODE_TO_CURVE, salted + bytes([counter])), "big")
        point = suite.curve.lift_x(x, 0)
        if point is not None:
            return point, tuple(tried)
        tried.append(x)
    raise ProofError("VRF proof: the message has no point on the curve")


def compute_hints(
    public_key: Point, alpha: bytes, proof: Proof, suite: Suite = SECP256K1_TAI
) -> HintedProof:
    """Return what the contract needs to check a proof without roots and inversions.

    A proof that `verify` refuses gets hints that the contract refuses. Raises ProofError where no
    hints exist: some product is infinity, or A and B share their x-coordinate.
    """
    curve = suite.curve
    base, tried = encode_to_curve(public_key, alpha, suite)
    u, a, b = _compute_products(public_key, base, proof, suite)
    if a.x == b.x:
        raise ProofError("VRF proof: sH and c Gamma share their x-coordinate")
    inverse = pow(b.x - a.x, -1, curve.field)
    roots = tuple(_get_root(curve, x) for x in tried)
    gamma = (proof.gamma.x, proof.gamma.y % 2)
    return HintedProof(*gamma, proof.s, *u, *a, *b, inverse, roots)


def _compute_products(
    public_key: Point, base: Point, proof: Proof, suite: Suite
) -> tuple[Point, Point, Point]:
    """Return U = sB - cY, A = sH and B = c Gamma."""
    curve = suite.curve
    if not _is_in_range(proof, curve):
        raise ProofError("VRF proof: c and s must be above zero and s below the curve's order")
    left = _get_finite(curve.multiply_generator(proof.s))
    right = _get_finite(curve.multiply(public_key, proof.c))
    u = curve.add(left, negate(curve, right))
    if u is None:
        raise ProofError("VRF proof: U is the point at infinity")
    a = _get_finite(curve.multiply(base, proof.s))
    return u, a, _get_finite(curve.multiply(proof.gamma, proof.c))


def _is_in_range(proof: Proof, curve: Curve) -> bool:
    return 0 < proof.c < 1 << 8 * CHALLENGE_SIZE and 0 < proof.s < curve.order


def _compute_challenge(suite: Suite, public_key: Point, points: tuple[Point, ...]) -> int:
    """Return c over H, Gamma, U and V (RFC 9381 section 5.4.3)."""
    bound = (public_key, *points) if suite.binds_key else points
    digest = _hash(suite, _CHALLENGE, b"".join(encode_point(point) for point in bound))
    return int.from_bytes(digest[:CHALLENGE_SIZE], "big")


def _hash(suite: Suite, separator: bytes, content: bytes) -> bytes:
    trailer = b"\x00" if suite.has_trailer else b""
    return suite.hash(bytes([suite.octet]) + separator + content + trailer)


def _get_finite(point: Point | None) -> Point:
    """Return a product of a point of prime order and a scalar that is not a multiple of it."""
    if point is None:
        raise ProofError("VRF proof: a product is the point at infinity")
    return point


def _get_root(curve: Curve, x: int) -> int:
    """Return a root of -(x^3 + ax + b), where x has no point on the curve."""
    root = find_root(-compute_square(curve, x), curve.field)
    if root is None:
        raise ProofError("VRF proof: a hash is no coordinate, and the contract cannot see that")
    return root

"""Proofs of the VRF as the contracts take them: with hints, in words of 256 bits.

`find_fault` answers as `VRF.findFault` of `contracts/libraries/VRF.sol` does, word for word: with
the same fault for whatever anybody may send. The contract compares products by the address of
their points; here the points themselves are compared, which is the same unless two points share
an address.
"""

import hashlib

from eth_utils.crypto import keccak

from flchain.crypto.curves import COORDINATE_SIZE, Curve, Point, get_secp256k1, negate
from flchain.crypto.vrf import CHALLENGE_SIZE
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.reverts import VrfProofInvalid
from flchain.protocol.types import Digest, VrfFault

KEY_HASH_SIZE = 20
"""Bytes of a key's hash that a task keeps."""
_ENCODE_TO_CURVE, _CHALLENGE = b"\xfe\x01", b"\xfe\x02"
_OUTPUT = 0xFE0300
_EVEN = 2
_WORD = 2**256
_LOW_BYTE, _LOW_BYTES = 0xFF, 0xFFFFFF
_MAX_ROOTS = 255


def hash_key(key: VrfKey) -> Digest:
    """Return the keccak-256 of a key's 33 compressed bytes: what binds it in storage."""
    head = (_EVEN + key.parity) & _LOW_BYTE
    return Digest(keccak(bytes([head]) + _encode(key.x)))


def compute_hinted_output(proof: VrfProof) -> bytes:
    """Return the 32 bytes of output that a proof claims, without verifying it.

    A parity that is no bit runs over into the bytes before it, as in the contract.
    """
    head = _OUTPUT | (_EVEN + proof.gamma_parity) % _WORD & _LOW_BYTES
    return _hash(head.to_bytes(3, "big") + _encode(proof.gamma_x))


def verify_hinted(key: VrfKey, alpha: bytes, proof: VrfProof) -> bytes:
    """Return the output of a proof over 32 bytes `alpha`. Raises VrfProofInvalid."""
    fault = find_fault(key, alpha, proof)
    if fault != VrfFault.NONE:
        raise VrfProofInvalid(fault)
    return compute_hinted_output(proof)


def find_fault(key: VrfKey, alpha: bytes, proof: VrfProof) -> VrfFault:
    """Return the first thing found wrong with a proof over 32 bytes `alpha`."""
    curve = get_secp256k1()
    if not _is_coordinate(curve, key.x) or key.parity > 1:
        return VrfFault.KEY_OUT_OF_RANGE
    if not _is_coordinate(curve, proof.gamma_x) or proof.gamma_parity > 1:
        return VrfFault.GAMMA_OUT_OF_RANGE
    if not _is_coordinate(curve, proof.s):
        return VrfFault.ANSWER_OUT_OF_RANGE
    base_x = _find_base(curve, key, alpha, proof.roots)
    if base_x is None:
        return VrfFault.WRONG_ROOT
    v = _subtract(curve, proof)
    if v is None:
        return VrfFault.WRONG_INVERSE
    return _find_wrong_product(curve, key, proof, base_x, _compute_challenge(key, proof, base_x, v))


def _is_coordinate(curve: Curve, x: int) -> bool:
    """Return whether `ecrecover` accepts `x` as a coordinate or a scalar."""
    return 0 < x < curve.order


def _find_base(curve: Curve, key: VrfKey, alpha: bytes, roots: tuple[int, ...]) -> int | None:
    """Return the x-coordinate of the message's point, or None if a root is wrong.

    Whether the curve has a point there shows with the products.
    """
    if len(roots) > _MAX_ROOTS:
        return None
    salted = _ENCODE_TO_CURVE + _encode_point(key.x, key.parity) + alpha
    for counter, root in enumerate(roots):
        x = _to_int(_hash(salted + bytes([counter])))
        if (root * root + pow(x, 3, curve.field) + curve.b) % curve.field:
            return None
    x = _to_int(_hash(salted + bytes([len(roots)])))
    return x if _is_coordinate(curve, x) else None


def _subtract(curve: Curve, proof: VrfProof) -> Point | None:
    """Return V = A - B, or None if the hint is not the inverse that this needs."""
    field = curve.field
    if (proof.b_x - proof.a_x) * proof.inverse % field != 1:
        return None
    # The slope of the line through A and -B, negated: its square is the same.
    slope = (proof.a_y + proof.b_y) * proof.inverse % field
    x = (slope * slope - proof.a_x - proof.b_x) % field
    return Point(x, (slope * (x - proof.a_x) - proof.a_y) % field)


def _compute_challenge(key: VrfKey, proof: VrfProof, base_x: int, v: Point) -> int:
    """Return c over Y, H, Gamma, U and V (RFC 9381 section 5.4.3)."""
    points = (
        (key.x, key.parity),
        (base_x, 0),
        (proof.gamma_x, proof.gamma_parity),
        (proof.u_x, proof.u_y % 2),
        (v.x, v.y % 2),
    )
    digest = _hash(_CHALLENGE + b"".join(_encode_point(x, parity) for x, parity in points))
    return _to_int(digest[:CHALLENGE_SIZE])


def _find_wrong_product(
    curve: Curve, key: VrfKey, proof: VrfProof, base_x: int, c: int
) -> VrfFault:
    """Return which of U = sG - cY, A = sH and B = c Gamma does not hold, if any."""
    right = _multiply(curve, key.x, key.parity, c)
    left = curve.multiply_generator(proof.s)
    if right is None or left is None or curve.add(left, negate(curve, right)) != _get_u(proof):
        return VrfFault.WRONG_U
    if _multiply(curve, base_x, 0, proof.s) != Point(proof.a_x, proof.a_y):
        return VrfFault.WRONG_A
    product = _multiply(curve, proof.gamma_x, proof.gamma_parity, c)
    return VrfFault.NONE if product == Point(proof.b_x, proof.b_y) else VrfFault.WRONG_B


def _get_u(proof: VrfProof) -> Point:
    return Point(proof.u_x, proof.u_y)


def _multiply(curve: Curve, x: int, parity: int, scalar: int) -> Point | None:
    """Return a multiple of the point at `x`; None where there is none, and for infinity."""
    point = curve.lift_x(x, parity)
    return None if point is None else curve.multiply(point, scalar)


def _encode_point(x: int, parity: int) -> bytes:
    return bytes([_EVEN + parity]) + _encode(x)


def _encode(word: int) -> bytes:
    return word.to_bytes(COORDINATE_SIZE, "big")


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content + b"\x00").digest()


def _to_int(data: bytes) -> int:
    return int.from_bytes(data, "big")

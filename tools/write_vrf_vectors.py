"""Write tests/vectors/vrf.json: proofs of flchain's VRF suite, valid ones and invalid twins.

The code that makes them reproduces the published vectors in tests/vectors/vrf_published.json.
`--check` compares instead of writing and exits 1 on a difference.
"""

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eth_abi.abi import encode

from flchain.crypto import vrf
from flchain.crypto.curves import Point, encode_point, get_secp256k1, negate

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "vrf.json"
CURVE = get_secp256k1()
N, P = CURVE.order, CURVE.field
CALL = ("(uint256,uint256)", "bytes32", f"({'uint256,' * 10}uint256[])")
"""VrfKey, alpha and VrfProof as `contracts/libraries/VRF.sol` takes them."""
KEYS = {
    "secret key 1": 1,
    "secret key 2": 2,
    "the largest secret key": N - 1,
    "a secret key": int.from_bytes(sha256(b"flchain VRF vector key").digest(), "big"),
}
ALPHAS = {
    "a message of zeros": bytes(32),
    "a message of ones": b"\xff" * 32,
    **{f"message {number}": sha256(b"%d" % number).digest() for number in range(3)},
}
FAULTS = (
    "none",
    "key out of range",
    "gamma out of range",
    "answer out of range",
    "wrong root",
    "wrong inverse",
    "wrong U",
    "wrong A",
    "wrong B",
)
"""Solidity's `VrfFault`, in order."""


def to_hex(data: bytes) -> str:
    """Return 0x and the bytes in hexadecimal."""
    return "0x" + data.hex()


def encode_call(key: tuple[int, int], alpha: bytes, hinted: vrf.HintedProof) -> str:
    """Return the ABI encoding of the verifier's arguments."""
    return to_hex(encode(CALL, (key, alpha, tuple(hinted))))


def build_valid(description: str, secret: int, alpha: bytes) -> dict[str, Any]:
    """Return the record of one valid proof."""
    key = vrf.load_secret_key(secret.to_bytes(32, "big"))
    proof = vrf.prove(key, alpha)
    output = vrf.verify(key.public_key, alpha, proof)
    hinted = vrf.compute_hints(key.public_key, alpha, proof)
    return {
        "description": f"{description}, {len(hinted.roots)} counters without a point",
        "secret_key": to_hex(secret.to_bytes(32, "big")),
        "public_key": to_hex(encode_point(key.public_key)),
        "alpha": to_hex(alpha),
        "proof": to_hex(vrf.encode_proof(proof)),
        "output": to_hex(output),
        "call": encode_call(vrf.get_key_words(key.public_key), alpha, hinted),
    }


def list_valid() -> Iterator[dict[str, Any]]:
    """Yield each key with each message, and a message that takes many counters."""
    for key_name, secret in KEYS.items():
        for alpha_name, alpha in ALPHAS.items():
            yield build_valid(f"{key_name}, {alpha_name}", secret, alpha)
    secret = KEYS["a secret key"]
    key = vrf.load_secret_key(secret.to_bytes(32, "big")).public_key
    for wanted in range(7):
        alpha = next(
            alpha
            for number in range(10_000)
            for alpha in [sha256(b"counter %d" % number).digest()]
            if len(vrf.encode_to_curve(key, alpha, vrf.SECP256K1_TAI)[1]) == wanted
        )
        yield build_valid("a secret key", secret, alpha)


def build_invalid(  # noqa: PLR0917 - the fields of a record, in its order
    description: str,
    fault: str,
    key: tuple[int, int],
    alpha: bytes,
    hinted: vrf.HintedProof,
    proof: bytes | None = None,
) -> dict[str, Any]:
    """Return the record of a call that the contract refuses.

    `proof` is the 81 bytes that Python refuses for the same key and message; None where they are
    valid and only the hints are wrong.
    """
    parity_is_bit = key[1] in {0, 1}
    return {
        "description": description,
        "fault": FAULTS.index(fault),
        "public_key": to_hex(bytes([2 + key[1]]) + key[0].to_bytes(32, "big"))
        if parity_is_bit
        else None,
        "alpha": to_hex(alpha),
        "proof": None if proof is None else to_hex(proof),
        "call": encode_call(key, alpha, hinted),
    }


class Twins:
    """The invalid twins of one valid proof."""

    def __init__(self, secret: int, alpha: bytes) -> None:
        """Prove one message."""
        self.key = vrf.load_secret_key(secret.to_bytes(32, "big"))
        self.alpha = alpha
        self.proof = vrf.prove(self.key, alpha)
        self.words = vrf.get_key_words(self.key.public_key)
        self.hinted = vrf.compute_hints(self.key.public_key, alpha, self.proof)
        self.base, _ = vrf.encode_to_curve(self.key.public_key, alpha, vrf.SECP256K1_TAI)

    def list_all(self) -> Iterator[dict[str, Any]]:
        """Yield every twin."""
        yield from self.list_altered_proofs()
        yield from self.list_out_of_range()
        yield from self.list_altered_hints()
        yield from self.list_forgeries()

    def list_altered_proofs(self) -> Iterator[dict[str, Any]]:
        """Yield other proofs, keys and messages, each with the hints that belong to it."""
        gamma, c, s = self.proof.gamma, self.proof.c, self.proof.s
        other = vrf.prove(self.key, sha256(self.alpha).digest())
        altered = {
            "Gamma negated": vrf.Proof(negate(CURVE, gamma), c, s),
            "Gamma of another message": vrf.Proof(other.gamma, c, s),
            "Gamma is the message's point": vrf.Proof(self.base, c, s),
            "c plus 1": vrf.Proof(gamma, c + 1, s),
            "the lowest bit of s flipped": vrf.Proof(gamma, c, s ^ 1),
            "s negated": vrf.Proof(gamma, c, N - s),
            "the proof of another message": other,
        }
        for description, proof in altered.items():
            yield self.build_altered(description, self.key.public_key, self.alpha, proof)
        another = vrf.load_secret_key(sha256(self.alpha).digest()).public_key
        minus = negate(CURVE, self.key.public_key)
        yield self.build_altered("another key", another, self.alpha, self.proof)
        yield self.build_altered("the key negated: y is odd", minus, self.alpha, self.proof)
        message = bytes([self.alpha[0] ^ 1]) + self.alpha[1:]
        yield self.build_altered("another message", self.key.public_key, message, self.proof)

    def build_altered(
        self, description: str, key: Point, alpha: bytes, proof: vrf.Proof
    ) -> dict[str, Any]:
        """Return a proof that is well formed and wrong."""
        hinted = vrf.compute_hints(key, alpha, proof)
        words, data = vrf.get_key_words(key), vrf.encode_proof(proof)
        return build_invalid(description, "wrong U", words, alpha, hinted, data)

    def list_out_of_range(self) -> Iterator[dict[str, Any]]:
        """Yield values that no decoder accepts."""
        hinted, words = self.hinted, self.words
        data = vrf.encode_proof(self.proof)
        for description, s in {"s is zero": 0, "s is n": N, "s is 2^256 - 1": 2**256 - 1}.items():
            encoded = data[:49] + s.to_bytes(32, "big")
            yield self.build(description, "answer out of range", hinted._replace(s=s), encoded)
        outside = next(x for x in range(1, 100) if CURVE.lift_x(x, 0) is None)
        for description, x, fault in (
            ("no point at Gamma's x", outside, "wrong U"),
            ("Gamma's x is zero", 0, "gamma out of range"),
            ("Gamma's x is p", P, "gamma out of range"),
        ):
            encoded = data[:1] + x.to_bytes(32, "big") + data[33:]
            yield self.build(description, fault, hinted._replace(gamma_x=x), encoded)
        yield self.build(
            "Gamma's parity is 2", "gamma out of range", hinted._replace(gamma_parity=2)
        )
        yield self.build("c is zero", "none", hinted, data[:33] + bytes(16) + data[49:])
        yield self.build("a byte is missing", "none", hinted, data[:-1])
        yield self.build("a byte too many", "none", hinted, data + b"\0")
        yield self.build("Gamma is not compressed", "none", hinted, b"\4" + data[1:])
        for description, x, parity, fault in (
            ("no point at the key's x", outside, 0, "wrong root" if hinted.roots else "wrong U"),
            ("the key's x is zero", 0, 0, "key out of range"),
            ("the key's x is p", P, 0, "key out of range"),
            ("the key's parity is 2", words.x, 2, "key out of range"),
        ):
            yield build_invalid(description, fault, (x, parity), self.alpha, hinted, data)

    def build(
        self, description: str, fault: str, hinted: vrf.HintedProof, proof: bytes | None = None
    ) -> dict[str, Any]:
        """Return a twin under the right key and message."""
        return build_invalid(description, fault, self.words, self.alpha, hinted, proof)

    def list_altered_hints(self) -> Iterator[dict[str, Any]]:
        """Yield hints that are wrong beside a valid proof."""
        h = self.hinted
        minus_a, minus_b = P - h.a_y, P - h.b_y
        points = {
            "U negated: y has the other parity": h._replace(u_y=P - h.u_y),
            "A negated": h._replace(a_y=minus_a),
            "B negated": h._replace(b_y=minus_b),
            "A and B negated: H with odd y": h._replace(a_y=minus_a, b_y=minus_b),
            "U's y not reduced": h._replace(u_y=(h.u_y + P) % 2**256),
            "U is (0, 0)": h._replace(u_x=0, u_y=0),
        }
        for description, hinted in points.items():
            yield self.build(description, "wrong U", hinted)
        a, b = (self.shift(Point(h.a_x, h.a_y)), self.shift(Point(h.b_x, h.b_y)))
        shifted = h._replace(a_x=a.x, a_y=a.y, b_x=b.x, b_y=b.y, inverse=pow(b.x - a.x, -1, P))
        yield self.build("A and B moved by one point, V kept", "wrong A", shifted)
        swapped = h._replace(a_x=h.b_x, a_y=h.b_y, b_x=h.a_x, b_y=h.a_y)
        yield self.build("A and B swapped", "wrong inverse", swapped)
        equal = h._replace(b_x=h.a_x, b_y=h.a_y, inverse=0)
        yield self.build("B is A, the inverse zero", "wrong inverse", equal)
        for description, inverse in (
            ("zero", 0),
            ("plus 1", h.inverse + 1),
            ("negated", -h.inverse),
        ):
            hinted = h._replace(inverse=inverse % P)
            yield self.build(f"the inverse {description}", "wrong inverse", hinted)
        yield from self.list_altered_roots()

    def shift(self, point: Point) -> Point:
        """Return a point plus the generator."""
        moved = CURVE.add(point, CURVE.generator)
        if moved is None:
            raise ValueError("the sum is infinity")
        return moved

    def list_altered_roots(self) -> Iterator[dict[str, Any]]:
        """Yield counters that are skipped without reason, or not skipped."""
        roots = self.hinted.roots
        y = self.base.y
        altered = {
            "a root too many: the root of x^3 + 7 itself": ((*roots, y), "wrong root"),
            "a root too many: zero": ((*roots, 0), "wrong root"),
            "256 roots": ((1,) * 256, "wrong root"),
        }
        if roots:
            altered |= {
                "the last root dropped": (roots[:-1], "wrong U"),
                "all roots dropped": ((), "wrong U"),
                "the first root plus 1": ((roots[0] + 1, *roots[1:]), "wrong root"),
            }
        for description, (other, fault) in altered.items():
            yield self.build(description, fault, self.hinted._replace(roots=other))

    def list_forgeries(self) -> Iterator[dict[str, Any]]:
        """Yield proofs of a false Gamma that satisfy two of the three equations."""
        sk, order = self.key.scalar, CURVE.order
        nonce = int.from_bytes(sha256(b"forger" + self.alpha).digest(), "big") % order
        false = self.times(sk + 1)
        u = CURVE.multiply_generator(nonce)
        v = self.times(nonce)
        if u is None or CURVE.generator in {u, v}:
            raise ValueError("choose another nonce")
        c = vrf._compute_challenge(  # noqa: SLF001 - a forger computes what the verifier does
            vrf.SECP256K1_TAI, self.key.public_key, (self.base, false, u, v)
        )
        honest = (nonce + c * sk) % order
        blind = (nonce + c * (sk + 1)) % order
        a, b = self.times(honest), self.times(c * (sk + 1))
        rest = "of a false Gamma, right but for"
        yield self.build_forgery(
            f"a proof {rest} U", "wrong U", false, blind, u, self.times(blind), b
        )
        fitting = self.times(nonce + c * (sk + 1))
        yield self.build_forgery(f"a proof {rest} A", "wrong A", false, honest, u, fitting, b)
        fitting = self.times(honest - nonce)
        yield self.build_forgery(f"a proof {rest} B", "wrong B", false, honest, u, a, fitting)

    def times(self, scalar: int) -> Point:
        """Return a multiple of the message's point."""
        point = CURVE.multiply(self.base, scalar % N)
        if point is None:
            raise ValueError("the product is infinity")
        return point

    def build_forgery(  # noqa: PLR0917 - as above
        self, description: str, fault: str, gamma: Point, s: int, u: Point, a: Point, b: Point
    ) -> dict[str, Any]:
        """Return a forgery; as 81 bytes it has the c of its points."""
        inverse = pow(b.x - a.x, -1, P)
        hinted = vrf.HintedProof(gamma.x, gamma.y % 2, s, *u, *a, *b, inverse, self.hinted.roots)
        v = CURVE.add(a, negate(CURVE, b))
        if v is None:
            raise ValueError("V is infinity")
        c = vrf._compute_challenge(  # noqa: SLF001 - as above
            vrf.SECP256K1_TAI, self.key.public_key, (self.base, gamma, u, v)
        )
        return self.build(description, fault, hinted, vrf.encode_proof(vrf.Proof(gamma, c, s)))


def list_invalid() -> Iterator[dict[str, Any]]:
    """Yield the twins of a proof without and of one with two counters to skip."""
    for valid in list(list_valid())[-7:-3:2]:
        secret = int(valid["secret_key"], 16)
        yield from Twins(secret, bytes.fromhex(valid["alpha"][2:])).list_all()


def build_document() -> str:
    """Return the file's text."""
    document = {
        "about": "ECVRF-SECP256K1-SHA256-TAI; `call` is the ABI encoding of (VrfKey, bytes32 alpha,"
        " VrfProof) as contracts/libraries/VRF.sol takes them, `fault` the VrfFault it finds, 0"
        " where the call is valid and only the 81 bytes are not. Written by"
        " tools/write_vrf_vectors.py.",
        "valid": list(list_valid()),
        "invalid": list(list_invalid()),
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Write the file, or compare it with `--check`; return 1 on a difference."""
    text = build_document()
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.crypto import vrf
from flchain.crypto.backend import Backend
from flchain.crypto.curves import Point, decode_point, encode_point, get_secp256k1, negate
from flchain.crypto.nonces import compute_nonce
from flchain.crypto.vrf import Proof, Suite
from flchain.protocol.errors import EncodingError, FlchainError, ProofError
from tests.programs import run_check
from tests.unit.crypto.p256 import P256

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/vectors/vrf.json").read_text(encoding="utf-8"))
PUBLISHED = json.loads((ROOT / "tests/vectors/vrf_published.json").read_text(encoding="utf-8"))
P256_TAI = Suite(0x01, P256)
DRAFT = replace(vrf.SECP256K1_TAI, binds_key=False, has_trailer=False)
REFERENCE = replace(vrf.SECP256K1_TAI, curve=get_secp256k1(Backend.REFERENCE))
CURVE = get_secp256k1()
N, P = CURVE.order, CURVE.field
CALL = ("(uint256,uint256)", "bytes32", f"({'uint256,' * 10}uint256[])")
KEY = vrf.load_secret_key(b"\x07" * 32)
ALPHA = b"\x2a" * 32
PROOF = vrf.prove(KEY, ALPHA)
REFUSED = [vector for vector in VECTORS["invalid"] if vector["proof"] and vector["public_key"]]


def parse(vector, name):
    return bytes.fromhex(vector[name].removeprefix("0x"))


def check(vector, suite=vrf.SECP256K1_TAI):
    key = vrf.decode_public_key(parse(vector, "public_key"), suite)
    proof = vrf.decode_proof(parse(vector, "proof"), suite)
    return vrf.verify(key, parse(vector, "alpha"), proof, suite)


@pytest.mark.parametrize("vector", PUBLISHED["rfc9381"], ids=lambda vector: vector["description"])
def test_p256__rfc_9381_appendix_b1__is_reproduced_bit_by_bit(vector):
    secret = vrf.load_secret_key(parse(vector, "secret_key"), P256_TAI)
    assert encode_point(secret.public_key) == parse(vector, "public_key")
    alpha = parse(vector, "alpha")
    base, _ = vrf.encode_to_curve(secret.public_key, alpha, P256_TAI)
    assert encode_point(base) == parse(vector, "h")
    nonce = compute_nonce(secret.scalar, P256.order, hashlib.sha256(encode_point(base)).digest())
    assert nonce == int(vector["k"], 16)
    assert encode_point(P256.multiply_generator(nonce)) == parse(vector, "u")
    assert encode_point(P256.multiply(base, nonce)) == parse(vector, "v")
    proof = vrf.prove(secret, alpha, P256_TAI)
    assert vrf.encode_proof(proof) == parse(vector, "proof")
    assert vrf.compute_output(proof, P256_TAI) == parse(vector, "output")
    assert check(vector, P256_TAI) == parse(vector, "output")


@pytest.mark.parametrize("vector", PUBLISHED["rfc9381"], ids=lambda vector: vector["description"])
def test_p256__other_message_or_suite__is_refused(vector):
    with pytest.raises(ProofError):
        check(vector | {"alpha": vector["alpha"] + "00"}, P256_TAI)
    with pytest.raises(ProofError):
        check(vector, replace(P256_TAI, octet=0x02))


@pytest.mark.parametrize("vector", PUBLISHED["rfc6979"], ids=lambda vector: vector["description"])
def test_nonce__rfc_6979_appendix_a25__is_reproduced(vector):
    digest = hashlib.sha256(vector["message"].encode()).digest()
    secret = int(vector["secret_key"], 16)
    assert compute_nonce(secret, P256.order, digest) == int(vector["k"], 16)
    assert compute_nonce(secret ^ 1, P256.order, digest) != int(vector["k"], 16)


def test_nonce__first_candidate_out_of_range__is_the_next_one():
    # Every second candidate is beyond this order.
    order = 2**255 - 19
    values = [compute_nonce(1, order, bytes([index]) * 32) for index in range(64)]
    assert all(0 < value < order for value in values)
    assert len(set(values)) == 64


def test_draft__vectors_of_vrf_solidity__verify_with_its_switches():
    assert len(PUBLISHED["draft"]["valid"]) == 46
    for vector in PUBLISHED["draft"]["valid"]:
        assert check(vector, DRAFT) == parse(vector, "output")
        with pytest.raises(ProofError):
            check(vector)


@pytest.mark.parametrize(
    "vector", PUBLISHED["draft"]["invalid"], ids=lambda vector: vector["description"]
)
def test_draft__invalid_vector_of_vrf_solidity__is_refused(vector):
    with pytest.raises(ProofError):
        check(vector, DRAFT)


@pytest.mark.parametrize("vector", PUBLISHED["draft"]["points"], ids=lambda v: v["description"])
def test_draft__message_of_vrf_solidity__has_its_point(vector):
    key = vrf.decode_public_key(parse(vector, "public_key"))
    point, tried = vrf.encode_to_curve(key, parse(vector, "alpha"), DRAFT)
    assert point == Point(int(vector["x"], 16), int(vector["y"], 16))
    assert len(tried) == int(vector["description"][0]) - 1


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["description"])
def test_proof__vector__verifies_and_has_its_hints(vector):
    key = vrf.load_secret_key(parse(vector, "secret_key"))
    alpha = parse(vector, "alpha")
    proof = vrf.prove(key, alpha)
    assert vrf.encode_proof(proof) == parse(vector, "proof")
    assert check(vector) == parse(vector, "output") == vrf.compute_output(proof)
    hinted = vrf.compute_hints(key.public_key, alpha, proof)
    call = encode(CALL, (vrf.get_key_words(key.public_key), alpha, tuple(hinted)))
    assert call == parse(vector, "call")


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["description"])
def test_proof__invalid_twin__is_refused(vector):
    with pytest.raises(FlchainError):
        check(vector)


def test_vectors__generator__still_makes_them(monkeypatch):
    assert run_check("write_vrf_vectors", monkeypatch) == 0


def test_proof__two_thousand_mutations__are_all_refused():
    rng = np.random.default_rng(3)
    tried = 0
    for vector in VECTORS["valid"]:
        original = parse(vector, "public_key") + parse(vector, "alpha") + parse(vector, "proof")
        for _ in range(80):
            data = bytearray(original)
            for position in rng.integers(len(data), size=rng.integers(1, 4)):
                data[position] ^= 1 << rng.integers(8)
            if data == original:
                continue
            mutated = {
                "public_key": data[:33].hex(),
                "alpha": data[33:65].hex(),
                "proof": data[65:].hex(),
            }
            tried += 1
            with pytest.raises(FlchainError):
                check(mutated)
    assert tried > 2000


def test_verify__named_mutations__are_refused():
    other = vrf.load_secret_key(b"\x08" * 32)
    false = vrf.prove(KEY, b"another")
    mutations = [
        replace(PROOF, gamma=negate(CURVE, PROOF.gamma)),
        replace(PROOF, gamma=false.gamma),
        replace(PROOF, gamma=CURVE.generator),
        replace(PROOF, c=PROOF.c ^ 1),
        replace(PROOF, c=0),
        replace(PROOF, c=PROOF.c + N),
        replace(PROOF, s=(PROOF.s + 1) % N),
        replace(PROOF, s=N - PROOF.s),
        replace(PROOF, s=PROOF.s + N),
        replace(PROOF, s=0),
        false,
    ]
    for proof in mutations:
        with pytest.raises(ProofError):
            vrf.verify(KEY.public_key, ALPHA, proof)
    for key in (other.public_key, negate(CURVE, KEY.public_key)):
        with pytest.raises(ProofError):
            vrf.verify(key, ALPHA, PROOF)
    for alpha in (b"", ALPHA[:-1], ALPHA + b"\0", bytes(32)):
        with pytest.raises(ProofError):
            vrf.verify(KEY.public_key, alpha, PROOF)


def test_verify__products_at_infinity__are_refused():
    base, _ = vrf.encode_to_curve(KEY.public_key, ALPHA, vrf.SECP256K1_TAI)
    c = 12345
    cancelling = Proof(CURVE.multiply(base, 5), c, c * KEY.scalar % N)
    with pytest.raises(ProofError, match="U is the point at infinity"):
        vrf.verify(KEY.public_key, ALPHA, cancelling)
    equal = Proof(base, c, c)
    with pytest.raises(ProofError, match="V is the point at infinity"):
        vrf.verify(KEY.public_key, ALPHA, equal)
    with pytest.raises(ProofError, match="share their x"):
        vrf.compute_hints(KEY.public_key, ALPHA, equal)


def test_hints__valid_proof__satisfy_the_contracts_equations():
    for number in range(12):
        alpha = bytes([number]) * 32
        proof = vrf.prove(KEY, alpha)
        hinted = vrf.compute_hints(KEY.public_key, alpha, proof)
        base, tried = vrf.encode_to_curve(KEY.public_key, alpha, vrf.SECP256K1_TAI)
        a, b = Point(hinted.a_x, hinted.a_y), Point(hinted.b_x, hinted.b_y)
        assert a == CURVE.multiply(base, proof.s)
        assert b == CURVE.multiply(proof.gamma, proof.c)
        assert hinted.inverse * (b.x - a.x) % P == 1
        u = Point(hinted.u_x, hinted.u_y)
        back = CURVE.add(u, CURVE.multiply(KEY.public_key, proof.c))
        assert back == CURVE.multiply_generator(proof.s)
        assert not any((r * r + x**3 + 7) % P for r, x in zip(hinted.roots, tried, strict=True))


@given(secret=st.integers(1, N - 1), alpha=st.binary(max_size=80))
def test_prove__any_key_and_message__verifies_and_round_trips(secret, alpha):
    key = vrf.load_secret_key(secret.to_bytes(32, "big"))
    proof = vrf.prove(key, alpha)
    data = vrf.encode_proof(proof)
    assert len(data) == vrf.PROOF_SIZE == 81
    assert vrf.decode_proof(data) == proof
    output = vrf.verify(vrf.decode_public_key(encode_point(key.public_key)), alpha, proof)
    assert output == vrf.compute_output(proof)
    assert len(output) == vrf.OUTPUT_SIZE


@given(secret=st.integers(1, N - 1), alpha=st.binary(min_size=32, max_size=32))
@settings(max_examples=5)
def test_backends__random_input__give_equal_proofs_and_hints(secret, alpha):
    key = vrf.load_secret_key(secret.to_bytes(32, "big"))
    assert key == vrf.load_secret_key(secret.to_bytes(32, "big"), REFERENCE)
    proof = vrf.prove(key, alpha)
    assert proof == vrf.prove(key, alpha, REFERENCE)
    assert vrf.verify(key.public_key, alpha, proof, REFERENCE) == vrf.compute_output(proof)
    hinted = vrf.compute_hints(key.public_key, alpha, proof)
    assert hinted == vrf.compute_hints(key.public_key, alpha, proof, REFERENCE)


def test_py_ecc__mutated_proof__is_refused():
    for proof in (replace(PROOF, s=PROOF.s ^ 1), replace(PROOF, gamma=negate(CURVE, PROOF.gamma))):
        with pytest.raises(ProofError):
            vrf.verify(KEY.public_key, ALPHA, proof, REFERENCE)


@given(data=st.binary(max_size=90) | st.binary(min_size=81, max_size=81))
def test_decode_proof__any_bytes__give_a_proof_that_encodes_to_them_or_an_error(data):
    try:
        proof = vrf.decode_proof(data)
    except EncodingError:
        return
    assert vrf.encode_proof(proof) == data


@given(tail=st.binary(min_size=48, max_size=48))
def test_decode_proof__point_and_any_tail__is_in_range(tail):
    data = encode_point(PROOF.gamma) + tail
    try:
        proof = vrf.decode_proof(data)
    except EncodingError:
        assert not any(tail[:16]) or not 0 < int.from_bytes(tail[16:], "big") < N
        return
    assert vrf.encode_proof(proof) == data


@pytest.mark.parametrize(
    "data",
    [b"", bytes(31), bytes(32), bytes(31) + b"\1\1", N.to_bytes(32, "big"), b"\xff" * 32],
    ids=["empty", "short", "zero", "long", "order", "largest"],
)
def test_secret_key__out_of_range__is_refused(data):
    with pytest.raises(EncodingError, match="above zero and below"):
        vrf.load_secret_key(data)


def test_secret_key__printed__shows_nothing_secret():
    assert str(KEY.scalar) not in repr(KEY)
    assert "scalar" not in repr(KEY)


def test_public_key__of_another_curve__is_refused():
    foreign = next(
        encoded
        for number in range(1, 50)
        for encoded in [encode_point(P256.multiply_generator(number))]
        if CURVE.lift_x(int.from_bytes(encoded[1:], "big"), 0) is None
    )
    assert decode_point(P256, foreign)
    with pytest.raises(EncodingError, match="no point of secp256k1"):
        vrf.decode_public_key(foreign)


def test_key_words__odd_and_even_key__tell_the_parity():
    assert vrf.get_key_words(Point(5, 8)) == (5, 0)
    assert vrf.get_key_words(Point(5, 9)) == (5, 1)

"""Sigma proofs convince of what is true, here and now, and of nothing else."""

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.secp256k1 import secp256k1

from flchain.crypto import jacobian
from flchain.crypto.bn254 import GENERATOR, ORDER, derive_generator
from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import BN254_KEY, CommitmentKey, Opening, commit
from flchain.crypto.groups import INFINITY, Group, Point
from flchain.crypto.sigma import bits, linear, ranges
from flchain.crypto.sigma.bits import CommittedBit
from flchain.crypto.sigma.claims import (
    EqualLogarithms,
    EqualValues,
    KnownLogarithm,
    KnownOpening,
)
from flchain.crypto.sigma.equations import verify_equations
from flchain.crypto.sigma.ranges import CommittedRange, compute_coefficients
from flchain.crypto.sigma.statements import Context, NonceSource, build_nonces
from flchain.crypto.transcript import Transcript
from flchain.protocol.errors import EncodingError, FlchainError, ProofError
from tests.unit.crypto.flips import flip

FAST, PURE, PY_ECC = (get_backend(name) for name in ("fast", "pure", "py_ecc"))
CONTEXT = Context(
    chain_id=31337,
    contract="0x5FbDB2315678afecb367f032d93F642f64180aa3",
    round_key=bytes(range(32)),
    agent="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
)
RANDOMNESS = bytes(range(100, 132))
X, R, S = 2**200 + 7, 2**250 + 3, ORDER - 5
OTHER_BASE = derive_generator("test/base")
OTHER_KEY = CommitmentKey(derive_generator("test/value"), derive_generator("test/blinding"))
SCALAR = st.integers(0, ORDER - 1)
BLINDING = st.integers(1, ORDER - 1)


@dataclass(frozen=True)
class Case:
    """A kind of proof: what is claimed, its secrets, and its four functions."""

    name: str
    claim: Any
    secrets: Any
    functions: Any
    decode: Any

    def prove(self, group=FAST, *, claim=None, context=CONTEXT, randomness=RANDOMNESS):
        prove = self.functions[0]
        return prove(group, claim or self.claim, self.secrets, context, randomness)

    def verify(self, proof, group=FAST, *, claim=None, context=CONTEXT):
        self.functions[1](group, claim or self.claim, proof, context)

    def encode(self, proof):
        return self.functions[2](FAST, proof)


def make_linear(name, claim, *secrets):
    functions = (linear.prove, linear.verify, linear.encode_proof)
    return Case(
        name, claim, secrets, functions, lambda data: linear.decode_proof(FAST, claim, data)
    )


def make_bit(bit):
    opening = Opening(bit, R)
    claim = CommittedBit(BN254_KEY, commit(FAST, BN254_KEY, opening))
    functions = (bits.prove_bit, bits.verify_bit, bits.encode_bit_proof)
    return Case(
        f"bit-{bit}", claim, opening, functions, lambda data: bits.decode_bit_proof(FAST, data)
    )


def make_range(value, minimum, maximum):
    opening = Opening(value, R)
    claim = CommittedRange(BN254_KEY, commit(FAST, BN254_KEY, opening), minimum, maximum)
    functions = (ranges.prove_range, ranges.verify_range, ranges.encode_range_proof)
    name = f"range-{value}-of-{minimum}-to-{maximum}"
    return Case(
        name, claim, opening, functions, lambda data: ranges.decode_range_proof(FAST, claim, data)
    )


def open_with(key, value, blinding):
    return commit(FAST, key, Opening(value, blinding))


CASES = (
    make_linear("logarithm", KnownLogarithm(GENERATOR, FAST.multiply(GENERATOR, X)), X),
    make_linear("opening", KnownOpening(BN254_KEY, open_with(BN254_KEY, X, R)), X, R),
    make_linear(
        "equal-values",
        EqualValues(BN254_KEY, open_with(BN254_KEY, X, R), OTHER_KEY, open_with(OTHER_KEY, X, S)),
        *(X, R, S),
    ),
    make_linear(
        "equal-logarithms",
        EqualLogarithms(
            *(GENERATOR, FAST.multiply(GENERATOR, X)),
            *(OTHER_BASE, FAST.multiply(OTHER_BASE, X)),
        ),
        X,
    ),
    make_bit(0),
    make_bit(1),
    make_range(4, 1, 6),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PROOFS = {case.name: case.prove() for case in CASES}


def flip_inputs(case):
    """Return (path, claim, context) for every public input, that one changed."""
    claims = ((f"claim.{path}", changed, CONTEXT) for path, changed in flip(case.claim))
    contexts = ((f"context.{path}", case.claim, changed) for path, changed in flip(CONTEXT))
    return [*claims, *contexts]


def is_refused(case, proof, **changes):
    try:
        case.verify(proof, **changes)
    except FlchainError as error:
        return any(part in str(error) for part in ("flchain/sigma/", "proof context", "bn254"))
    return False


@each_case
def test_proof__of_what_is_true__verifies(case):
    case.verify(PROOFS[case.name])


@each_case
def test_proof__public_input_flipped__is_refused(case):
    flipped = flip_inputs(case)
    assert len(flipped) > 10
    proof = PROOFS[case.name]
    assert [
        path
        for path, claim, context in flipped
        if not is_refused(case, proof, claim=claim, context=context)
    ] == []


def get_state(case, claim=None, context=CONTEXT):
    """Return the transcript before the first message."""
    module = sys.modules[case.functions[0].__module__]
    return module._absorb_claim(FAST, claim or case.claim, context).state


@each_case
def test_challenge__public_input_flipped__is_another(case):
    # An equation may fail without it; a challenge that leaves an input out is what is forged.
    right, same = get_state(case), []
    for path, claim, context in flip_inputs(case):
        with suppress(FlchainError):
            same += [path] if get_state(case, claim, context) == right else []
    assert same == []


@each_case
def test_challenge__another_protocol__is_another(case, monkeypatch):
    before = get_state(case)
    monkeypatch.setattr(type(case.claim), "protocol", "flchain/sigma/other/v1")
    assert get_state(case) != before
    with pytest.raises(ProofError, match="does not hold"):
        case.verify(PROOFS[case.name])


def test_challenge__of_a_range__depends_on_every_message():
    proof = PROOFS[CASES[-1].name]
    announced = tuple(each.announcements for each in proof.branches)
    messages = (proof.bits, announced, proof.announcement)
    challenge, _ = ranges._challenge(FAST, Transcript(), *messages)
    for _, changed in flip(messages):
        if len(changed) == len(messages) and isinstance(changed[2], Point):
            assert ranges._challenge(FAST, Transcript(), *changed)[0] != challenge


@each_case
def test_proof__part_flipped__is_refused(case):
    for path, proof in flip(PROOFS[case.name]):
        try:
            case.verify(proof)
        except ProofError as error:
            assert "flchain/sigma/" in str(error), path  # noqa: PT017  # names the part
        else:
            pytest.fail(f"{path} changed, and the proof still holds")


@each_case
def test_proof__encoded__decodes_to_itself(case):
    data = case.encode(PROOFS[case.name])
    assert case.decode(data) == PROOFS[case.name]


@each_case
def test_proof__byte_flipped__is_refused(case):
    data = case.encode(PROOFS[case.name])
    for place in range(0, len(data), max(1, len(data) // 60)):
        twin = data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]
        with pytest.raises((EncodingError, ProofError)):
            case.verify(case.decode(twin))


@each_case
@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: d * 2]
)
def test_proof__of_another_length__does_not_decode(case, change):
    with pytest.raises(EncodingError, match="a proof has"):
        case.decode(change(case.encode(PROOFS[case.name])))


@each_case
def test_proof__response_not_reduced__does_not_decode(case):
    data = case.encode(PROOFS[case.name])
    twin = int.from_bytes(data[-32:], "big") + ORDER
    with pytest.raises(EncodingError, match="below the group's order"):
        case.decode(data[:-32] + twin.to_bytes(32, "big"))


@each_case
def test_proof__announcement_at_infinity__does_not_decode(case):
    data = case.encode(PROOFS[case.name])
    with pytest.raises(EncodingError, match="infinity"):
        case.decode(bytes(64) + data[64:])


@each_case
def test_proof__announcement_at_infinity__is_refused(case, monkeypatch):
    # A nonce of zero gives the secret away with the response.
    monkeypatch.setattr(NonceSource, "derive", lambda *_: 0)
    with pytest.raises(ProofError, match=r"infinity|not canonical"):
        case.verify(case.prove())


def test_nonces__other_secrets_statement_or_randomness__differ():
    other = Transcript().absorb("x", b"")
    found = {
        build_nonces(transcript, FAST, secrets, randomness).derive("a")
        for transcript in (Transcript(), other)
        for secrets in ((1, 2), (2, 1))
        for randomness in (RANDOMNESS, bytes(32))
    }
    assert len(found) == 8


@each_case
def test_proof__same_randomness_elsewhere__repeats_no_nonce(case):
    assert case.prove() == PROOFS[case.name]
    again = (
        case.prove(context=replace(CONTEXT, chain_id=1)),
        case.prove(randomness=bytes(32)),
    )
    points = [set(find_points(proof)) for proof in (PROOFS[case.name], *again)]
    assert not points[0] & points[1]
    assert not points[0] & points[2]


def find_points(value):
    """Yield the points within a proof."""
    if isinstance(value, Point):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from find_points(item)
    elif hasattr(value, "__slots__"):
        for name in value.__slots__:
            yield from find_points(getattr(value, name))


@each_case
@pytest.mark.parametrize("size", [0, 31, 33])
def test_proof__randomness_of_another_size__is_refused(case, size):
    with pytest.raises(EncodingError, match="random bytes"):
        case.prove(randomness=bytes(size))


@each_case
def test_proof__of_one_backend__verifies_with_the_others(case):
    case.verify(PROOFS[case.name], PURE)
    assert case.prove(PURE) == PROOFS[case.name]
    if case.name != "bit-1":
        case.verify(PROOFS[case.name], PY_ECC)


def test_proof__made_by_py_ecc__is_the_same():
    case = CASES[1]
    assert case.prove(PY_ECC) == PROOFS["opening"]
    changed = replace(PROOFS["opening"], responses=(X, R))
    with pytest.raises(ProofError):
        case.verify(changed, PY_ECC)


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.name)
def test_linear_proof__wrong_secrets__is_not_made(case):
    for place in range(len(case.secrets)):
        secrets = [*case.secrets]
        secrets[place] = (secrets[place] + 1) % ORDER
        with pytest.raises(ProofError, match="secrets do not satisfy"):
            replace(case, secrets=tuple(secrets)).prove()
    with pytest.raises(ProofError, match="secrets do not satisfy"):
        replace(case, secrets=case.secrets[:-1]).prove()


@pytest.mark.parametrize("case", CASES[4:], ids=lambda case: case.name)
def test_opening_proof__another_opening__is_not_made(case):
    for opening in (Opening(case.secrets.value ^ 1, R), Opening(case.secrets.value, S)):
        with pytest.raises(ProofError, match="not the commitment's"):
            replace(case, secrets=opening).prove()


def test_equal_values__of_different_values__is_not_made():
    claim = EqualValues(
        BN254_KEY, open_with(BN254_KEY, X, R), BN254_KEY, open_with(BN254_KEY, X + 1, S)
    )
    with pytest.raises(ProofError, match="do not satisfy"):
        linear.prove(FAST, claim, (X, R, S), CONTEXT, RANDOMNESS)


@pytest.mark.parametrize("value", [2, ORDER - 1])
def test_bit__of_another_value__is_not_made(value):
    with pytest.raises(ProofError, match="not 0 or 1"):
        make_bit(value).prove()


@pytest.mark.parametrize("value", [0, 256, 300, ORDER - 1])
def test_range__value_outside__is_not_made(value):
    with pytest.raises(ProofError, match="is not from 1 to 255"):
        make_range(value, 1, 255).prove()


@pytest.mark.parametrize("value", [0, 256, ORDER - 1])
def test_range__prover_without_scruples__convinces_nobody(monkeypatch, value):
    monkeypatch.setattr(ranges, "_check_opening", lambda *_: None)
    case = make_range(value, 1, 255)
    with pytest.raises(ProofError, match="does not hold"):
        case.verify(case.prove())


def test_range__bit_of_two__convinces_nobody(monkeypatch):
    # With bits of 2 the coefficients reach twice as far.
    def open_bits(source, coefficients, value):
        return [Opening(2, source.derive(f"bit/{place}")) for place in range(len(coefficients))]

    monkeypatch.setattr(ranges, "_check_opening", lambda *_: None)
    monkeypatch.setattr(ranges, "_open_bits", open_bits)
    case = make_range(1 + 2 * 254, 1, 255)
    with pytest.raises(ProofError, match="does not hold"):
        case.verify(case.prove())


@pytest.mark.parametrize("bounds", [(0, 254), (1, 254), (2, 255), (1, 256), (200, 200)])
def test_range__other_bounds__is_refused(bounds):
    case = make_range(200, 1, 255)
    with pytest.raises(ProofError):
        case.verify(case.prove(), claim=replace(case.claim, minimum=bounds[0], maximum=bounds[1]))


@pytest.mark.parametrize("bounds", [(2, 1), (-1, 5), (0, 2**32)])
def test_range__no_such_range__is_refused(bounds):
    claim = replace(make_range(1, 1, 1).claim, minimum=bounds[0], maximum=bounds[1])
    with pytest.raises(ProofError, match="no range"):
        ranges.prove_range(FAST, claim, Opening(1, R), CONTEXT, RANDOMNESS)
    with pytest.raises(ProofError, match="no range"):
        ranges.decode_range_proof(FAST, claim, b"")


@given(data=st.data(), maximum=st.integers(1, 300), blinding=BLINDING)
@settings(max_examples=15)
def test_range__any_value_inside__verifies(data, maximum, blinding):
    value = data.draw(st.integers(1, maximum) | st.sampled_from((1, maximum)))
    opening = Opening(value, blinding)
    claim = CommittedRange(BN254_KEY, commit(FAST, BN254_KEY, opening), 1, maximum)
    randomness = data.draw(st.binary(min_size=32, max_size=32))
    proof = ranges.prove_range(FAST, claim, opening, CONTEXT, randomness)
    ranges.verify_range(FAST, claim, proof, CONTEXT)
    size = 272 * (maximum - 1).bit_length() + 96
    assert len(ranges.encode_range_proof(FAST, proof)) == size


def test_range__of_one_byte__every_edge_verifies():
    for value in (1, 2, 127, 128, 129, 254, 255):
        case = make_range(value, 1, 255)
        case.verify(case.prove())


def test_coefficients__every_size__make_exactly_the_numbers_up_to_it():
    for size in range(600):
        sums = {0}
        for coefficient in compute_coefficients(size):
            assert coefficient > 0
            sums |= {number + coefficient for number in sums}
        assert sums == set(range(size + 1))


@given(value=SCALAR, blinding=BLINDING, bit=st.integers(0, 1))
@settings(max_examples=15)
def test_proofs__any_secrets__verify(value, blinding, bit):
    opening = make_linear(
        "", KnownOpening(BN254_KEY, open_with(BN254_KEY, value, blinding)), value, blinding
    )
    opening.verify(opening.prove())
    secret = Opening(bit, blinding)
    claim = CommittedBit(BN254_KEY, commit(FAST, BN254_KEY, secret))
    bits.verify_bit(FAST, claim, bits.prove_bit(FAST, claim, secret, CONTEXT, RANDOMNESS), CONTEXT)


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.name)
def test_linear_proof__simulated_without_secrets__has_the_form_of_a_real_one(case):
    # Whoever may choose the challenge needs no secret, so a proof says nothing about it.
    challenge, responses = 12345, tuple(range(7, 7 + case.claim.secrets))
    equations = []
    for equation in case.claim.equations:
        left = linear._apply(FAST, equation, responses)
        away = FAST.multiply(equation.target, -challenge)
        equations.append(linear._get_terms(equation, FAST.add(left, away), responses, challenge))
    assert verify_equations(FAST, Transcript(), equations)


def test_equations__one_wrong_among_many__is_found():
    right = ((2, GENERATOR), (-1, FAST.multiply(GENERATOR, 2)))
    wrong = ((3, GENERATOR), (-1, FAST.multiply(GENERATOR, 2)))
    opposite = ((1, GENERATOR), (-1, FAST.multiply(GENERATOR, 2)))
    assert verify_equations(FAST, Transcript(), [right] * 3)
    for place in range(3):
        equations = [right, right, right]
        equations[place] = wrong
        assert not verify_equations(FAST, Transcript(), equations)
    # Unweighted, these two would cancel.
    assert not verify_equations(FAST, Transcript(), [wrong, opposite])


def test_claim__with_infinity__is_refused():
    with pytest.raises(ProofError, match="infinity"):
        linear.prove(FAST, KnownLogarithm(GENERATOR, INFINITY), (0,), CONTEXT, RANDOMNESS)
    claim = CommittedBit(BN254_KEY, INFINITY)
    with pytest.raises(ProofError, match="infinity"):
        bits.prove_bit(FAST, claim, Opening(0, 0), CONTEXT, RANDOMNESS)


def test_claim__point_off_the_curve__is_refused():
    claim = KnownLogarithm(GENERATOR, Point(1, 3))
    with pytest.raises(EncodingError, match="not on the curve"):
        linear.verify(FAST, claim, PROOFS["logarithm"], CONTEXT)


@pytest.mark.parametrize("address", ["", "0x12", "f" * 39])
def test_context__no_address__is_refused(address):
    with pytest.raises(EncodingError, match="no address"):
        CASES[0].prove(context=replace(CONTEXT, agent=address))


SECP256K1_MODULUS = 2**256 - 2**32 - 977
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def build_secp256k1():
    """Return another group as a record, on the same arithmetic."""

    def multiply(point, scalar):
        return sum_products([point], [scalar])

    def sum_products(points, scalars):
        reduced = [scalar % SECP256K1_ORDER for scalar in scalars]
        total = jacobian.sum_products(points, reduced, SECP256K1_MODULUS)
        return Point(*jacobian.to_affine([total], SECP256K1_MODULUS)[0])

    return Group(
        name="secp256k1",
        backend="test",
        order=SECP256K1_ORDER,
        generator=Point(*secp256k1.G),
        point_size=64,
        add=lambda left, right: sum_products([left, right], [1, 1]),
        negate=lambda point: Point(point.x, SECP256K1_MODULUS - point.y),
        multiply=multiply,
        sum_products=sum_products,
        encode_point=lambda point: point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big"),
        decode_point=lambda data, **_: Point(
            int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
        ),
    )


def test_equal_logarithms__on_another_curve__needs_its_record_alone():
    group = build_secp256k1()
    target = group.multiply(group.generator, X)
    assert target == Point(*secp256k1.multiply(secp256k1.G, X))
    other = group.multiply(group.generator, 7)
    claim = EqualLogarithms(group.generator, target, other, group.multiply(other, X))
    proof = linear.prove(group, claim, (X,), CONTEXT, RANDOMNESS)
    data = linear.encode_proof(group, proof)
    linear.verify(group, claim, linear.decode_proof(group, claim, data), CONTEXT)
    false = replace(claim, other_target=group.multiply(other, X + 1))
    with pytest.raises(ProofError, match="does not hold"):
        linear.verify(group, false, proof, CONTEXT)

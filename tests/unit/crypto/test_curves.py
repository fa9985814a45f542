import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.crypto.backend import Backend
from flchain.crypto.curves import (
    Point,
    compute_square,
    decode_point,
    encode_point,
    get_secp256k1,
    is_on_curve,
    negate,
)
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.p256 import P256

FAST, REFERENCE = get_secp256k1(Backend.FAST), get_secp256k1(Backend.REFERENCE)
CURVES = [FAST, REFERENCE, P256]
N, P, G = FAST.order, FAST.field, FAST.generator
SCALARS = st.integers(0, N - 1)
EDGES = [0, 1, 2, 3, N // 2, N // 2 + 1, N - 2, N - 1]


def test_backends__constants__are_the_same():
    for name in ("name", "field", "a", "b", "order", "generator"):
        assert getattr(FAST, name) == getattr(REFERENCE, name)
    assert FAST.multiply is not REFERENCE.multiply
    assert get_secp256k1() == FAST != REFERENCE


@pytest.mark.parametrize("curve", CURVES, ids=["fast", "py_ecc", "P-256"])
def test_curve__constants__define_a_group_of_prime_order(curve):
    assert is_on_curve(curve, curve.generator)
    assert curve.field % 4 == 3
    assert pow(2, curve.order - 1, curve.order) == 1
    last = curve.multiply_generator(curve.order - 1)
    assert last == negate(curve, curve.generator)
    assert curve.add(last, curve.generator) is None


@pytest.mark.parametrize("scalar", EDGES)
def test_backends__edge_scalar__give_equal_products(scalar):
    point = FAST.multiply_generator(7)
    assert FAST.multiply_generator(scalar) == REFERENCE.multiply_generator(scalar)
    assert FAST.multiply(point, scalar) == REFERENCE.multiply(point, scalar)


@given(left=SCALARS, right=SCALARS)
@settings(max_examples=20)
def test_backends__random_scalars__give_equal_results(left, right):
    fast = FAST.multiply_generator(left)
    assert fast == REFERENCE.multiply_generator(left)
    if fast is not None:
        product = FAST.multiply(fast, right)
        assert product == REFERENCE.multiply(fast, right)
        assert product == FAST.multiply_generator(left * right % N)


@given(scalar=st.integers(1, N - 1), other=st.integers(1, N - 1))
@settings(max_examples=20)
def test_add__two_multiples__is_the_multiple_of_the_sum(scalar, other):
    points = (FAST.multiply_generator(scalar), FAST.multiply_generator(other))
    expected = FAST.multiply_generator((scalar + other) % N)
    assert FAST.add(*points) == REFERENCE.add(*points) == expected


@pytest.mark.parametrize("curve", [FAST, REFERENCE], ids=["fast", "py_ecc"])
def test_add__equal_and_opposite_points__are_double_and_infinity(curve):
    assert curve.add(G, G) == curve.multiply_generator(2)
    assert curve.add(G, negate(curve, G)) is None


@given(x=st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, N, P - 1, P, P + 1, 2**256 - 1]))
def test_lift_x__any_x__is_a_point_on_the_curve_or_has_no_root(x):
    for parity in (0, 1):
        point = FAST.lift_x(x, parity)
        assert point == REFERENCE.lift_x(x, parity)
        if point is None:
            assert x >= P or pow(compute_square(FAST, x), (P - 1) // 2, P) == P - 1
        else:
            assert point.x == x
            assert point.y % 2 == parity
            assert is_on_curve(FAST, point)


@given(scalar=st.integers(1, N - 1))
def test_point__encoded__decodes_to_itself(scalar):
    point = FAST.multiply_generator(scalar)
    assert len(encode_point(point)) == 33
    assert decode_point(FAST, encode_point(point)) == point


@given(data=st.binary(max_size=40) | st.binary(min_size=33, max_size=33))
def test_decode_point__any_bytes__give_a_point_that_encodes_to_them_or_an_error(data):
    try:
        point = decode_point(FAST, data)
    except EncodingError:
        return
    assert encode_point(point) == data
    assert is_on_curve(FAST, point)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "33 bytes"),
        (b"\x00", "33 bytes"),
        (encode_point(G)[:-1], "33 bytes"),
        (encode_point(G) + b"\x00", "33 bytes"),
        (b"\x04" + encode_point(G)[1:], "begin with"),
        (b"\x00" * 33, "begin with"),
        (b"\x02" + P.to_bytes(32, "big"), "no point"),
        (b"\x02" + (5).to_bytes(32, "big"), "no point"),
    ],
)
def test_decode_point__malformed__is_refused_with_its_reason(data, reason):
    with pytest.raises(EncodingError, match=reason):
        decode_point(FAST, data)


def test_is_on_curve__coordinates_not_reduced__are_refused():
    assert not is_on_curve(FAST, Point(G.x + P, G.y))
    assert not is_on_curve(FAST, Point(G.x, G.y - P))
    assert not is_on_curve(FAST, Point(G.x, G.y + 1))

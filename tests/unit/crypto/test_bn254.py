"""BN254: every backend gives the reference's points; only canonical bytes decode."""

import importlib.util
import sys
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.crypto import bn254
from flchain.crypto.bn254 import (
    BLINDING_BASE,
    FIELD_MODULUS,
    GENERATOR,
    ORDER,
    VALUE_BASE,
    decode_point,
    derive_generator,
    encode_point,
    hash_to_point,
    is_on_curve,
)
from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.groups import INFINITY, Point
from flchain.protocol.errors import EncodingError

FAST, PURE, PY_ECC = (get_backend(name) for name in ("fast", "pure", "py_ecc"))
BACKENDS = (FAST, PURE, PY_ECC)
RANDOM = hash_to_point(b"a point")
NEGATED = Point(GENERATOR.x, FIELD_MODULUS - GENERATOR.y)
POINTS = (INFINITY, GENERATOR, NEGATED, VALUE_BASE, RANDOM)
SCALARS = (0, 1, 2, 3, ORDER - 1, ORDER, ORDER + 1, -1, ORDER // 2, 2**128, 2**255 - 19)
SCALAR = st.integers(0, ORDER - 1)


def to_bytes(x, y):
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


@pytest.mark.parametrize("point", POINTS, ids=["infinity", "1", "-1", "table", "random"])
def test_multiplication__edge_scalars__equal_in_every_backend(point):
    for scalar in SCALARS:
        expected = PY_ECC.multiply(point, scalar)
        assert FAST.multiply(point, scalar) == PURE.multiply(point, scalar) == expected


@pytest.mark.parametrize("pair", product(POINTS, POINTS), ids=str)
def test_addition__edge_points__equal_in_every_backend(pair):
    assert FAST.add(*pair) == PURE.add(*pair) == PY_ECC.add(*pair)


@given(scalars=st.tuples(SCALAR, SCALAR))
@settings(max_examples=5)
def test_multiplication__random__equal_in_every_backend(scalars):
    points = (RANDOM, VALUE_BASE)
    sums = {group.sum_products(points, scalars) for group in BACKENDS}
    assert len(sums) == 1
    (found,) = sums
    assert found == FAST.add(*map(FAST.multiply, points, scalars))


@given(a=SCALAR, b=SCALAR)
def test_multiplication__of_sums__distributes(a, b):
    for base in (RANDOM, GENERATOR):
        whole = FAST.multiply(base, a + b)
        assert whole == FAST.add(FAST.multiply(base, a), FAST.multiply(base, b))


@pytest.mark.parametrize("group", BACKENDS, ids=lambda group: group.backend)
def test_sum__edge_input__is_that_of_single_products(group):
    points = (RANDOM, INFINITY, RANDOM, NEGATED, GENERATOR, RANDOM)
    scalars = (5, 7, ORDER - 3, 1, 1, ORDER)
    assert group.sum_products(points, scalars) == FAST.multiply(RANDOM, 2)
    assert group.sum_products((RANDOM, RANDOM), (1, -1)) == INFINITY
    assert group.sum_products((), ()) == INFINITY


@pytest.mark.parametrize("size", [1, 2, 95, 96, 97, 300])
@pytest.mark.parametrize("group", [FAST, PURE], ids=lambda group: group.backend)
def test_sum__of_any_size__is_the_product_with_the_sum_of_logarithms(group, size):
    # Repeated points and negatives meet in one bucket, so that doubling and cancelling occur.
    logarithms = [pow(3, place % 40, ORDER) * (-1) ** place for place in range(size)]
    few = {log: group.multiply(GENERATOR, log) for log in logarithms}
    scalars = [pow(7, 90 + place % 5, ORDER) >> (place % 3 * 100) for place in range(size)]
    total = sum(log * scalar for log, scalar in zip(logarithms, scalars, strict=True))
    found = group.sum_products([few[log] for log in logarithms], scalars)
    assert found == group.multiply(GENERATOR, total)


@pytest.mark.parametrize("group", BACKENDS, ids=lambda group: group.backend)
def test_negation__any_point__cancels_it(group):
    for point in POINTS:
        assert group.add(point, group.negate(point)) == INFINITY
    assert group.negate(INFINITY) == INFINITY


@pytest.mark.parametrize("group", BACKENDS, ids=lambda group: group.backend)
def test_result__any_backend__holds_plain_integers(group):
    for point in (group.multiply(RANDOM, 3), group.add(RANDOM, GENERATOR), group.negate(RANDOM)):
        assert type(point) is Point
        assert {type(point.x), type(point.y)} == {int}


def test_sum__unequal_lengths__is_refused():
    for group in BACKENDS:
        with pytest.raises(ValueError, match="zip"):
            group.sum_products((RANDOM,), (1, 2))


def test_fast_backend__without_gmpy2__runs_on_plain_integers(monkeypatch):
    monkeypatch.setitem(sys.modules, "gmpy2", None)
    spec = importlib.util.spec_from_file_location("bn254_without_gmpy2", bn254.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.make_integer is int
    assert module.VALUE_BASE == VALUE_BASE


@given(scalar=SCALAR)
def test_point__encoded__decodes_to_itself(scalar):
    point = FAST.multiply(GENERATOR, scalar)
    assert decode_point(encode_point(point), allows_infinity=True) == point


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(63),
        bytes(65),
        to_bytes(1, 2) + b"\0",
        to_bytes(1, 3),
        to_bytes(2, 1),
        to_bytes(0, 1),
        to_bytes(1 + FIELD_MODULUS, 2),
        to_bytes(1, 2 + FIELD_MODULUS),
        to_bytes(FIELD_MODULUS, FIELD_MODULUS),
        to_bytes(0, FIELD_MODULUS),
        b"\xff" * 64,
    ],
)
def test_point__bytes_that_are_none__are_refused(data):
    with pytest.raises(EncodingError, match="bn254"):
        decode_point(data, allows_infinity=True)


def test_point__infinity__only_where_allowed():
    assert decode_point(bytes(64), allows_infinity=True) == INFINITY
    with pytest.raises(EncodingError, match="infinity"):
        decode_point(bytes(64))


@given(data=st.binary(min_size=64, max_size=64))
def test_point__any_bytes__decode_to_themselves_or_are_refused(data):
    try:
        point = decode_point(data)
    except EncodingError:
        return
    assert encode_point(point) == data


@pytest.mark.parametrize("point", [Point(1, 3), Point(1 + FIELD_MODULUS, 2), Point(-1, 2)])
def test_point__not_on_the_curve__has_no_encoding(point):
    with pytest.raises(EncodingError, match="not on the curve"):
        encode_point(point)


@given(message=st.binary(max_size=40))
def test_hash__any_message__is_on_the_curve_and_its_own(message):
    point = hash_to_point(message)
    assert is_on_curve(point)
    assert point != hash_to_point(message + b"\0")


def test_generators__different_names__differ():
    found = {derive_generator(f"vector/{place}") for place in range(20)}
    assert len(found | {VALUE_BASE, BLINDING_BASE, GENERATOR}) == 23

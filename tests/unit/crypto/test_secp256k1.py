"""secp256k1 as a group: both backends agree, infinity included."""

import pytest

from flchain.crypto.backend import Backend
from flchain.crypto.curves import get_secp256k1
from flchain.crypto.groups import INFINITY, Point
from flchain.crypto.secp256k1 import (
    GENERATOR,
    ORDER,
    decode_point,
    encode_point,
    get_group,
)
from flchain.protocol.errors import EncodingError

GROUPS = [get_group(backend) for backend in Backend]
FAST, REFERENCE = GROUPS
P = get_secp256k1().field
POINT = FAST.multiply(GENERATOR, 3**150)


@pytest.mark.parametrize("scalar", [0, 1, 2, ORDER - 1, ORDER, ORDER + 1, -1, 3**170])
def test_multiply__edge_scalars__agree_with_py_ecc(scalar):
    for point in (GENERATOR, POINT, INFINITY):
        assert FAST.multiply(point, scalar) == REFERENCE.multiply(point, scalar)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.backend)
def test_add__infinity_and_inverse__follow_the_law(group):
    assert group.add(POINT, INFINITY) == group.add(INFINITY, POINT) == POINT
    assert group.add(POINT, group.negate(POINT)) == INFINITY
    assert group.negate(INFINITY) == INFINITY
    assert group.add(POINT, POINT) == group.multiply(POINT, 2)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.backend)
def test_sum_products__cancelling__is_infinity(group):
    assert group.sum_products((POINT, GENERATOR), (1, -(3**150))) == INFINITY
    assert group.sum_products((), ()) == INFINITY


def test_encoding__of_a_point__is_read_back():
    assert decode_point(encode_point(POINT)) == POINT
    assert len(encode_point(POINT)) == 64


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode_point(POINT)[:-1],
        encode_point(POINT) + b"\0",
        bytes(64),
        encode_point(POINT)[:32] + bytes(32),
        (GENERATOR.x + P).to_bytes(33, "big")[-32:] + encode_point(GENERATOR)[32:],
    ],
)
def test_decode_point__not_canonical__is_refused(data):
    with pytest.raises(EncodingError, match="secp256k1"):
        decode_point(data)
    with pytest.raises(EncodingError, match="secp256k1"):
        decode_point(data, allows_infinity=True)


@pytest.mark.parametrize("point", [INFINITY, Point(1, 1), Point(GENERATOR.x, GENERATOR.y + P)])
def test_encode_point__off_the_curve__is_refused(point):
    with pytest.raises(EncodingError, match="secp256k1"):
        encode_point(point)

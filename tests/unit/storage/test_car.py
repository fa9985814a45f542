import io

import pytest

from flchain.storage.car import (
    MAX_ROOTS,
    decode_car_header,
    encode_car,
    encode_car_header,
    iterate_car_blocks,
)
from flchain.storage.cid import compute_raw_cid, decode_cid
from flchain.storage.errors import ContentCorrupt, ContentTooLarge, InvalidCar
from flchain.storage.unixfs import Block
from tests.unit.storage.keystream import VECTORS, describe


def read(data, max_size=1 << 30):
    source = io.BytesIO(data)
    roots = decode_car_header(source)
    return roots, list(iterate_car_blocks(source, max_size=max_size, where="test"))


def test_car__vector__reads_and_writes():
    data = bytes.fromhex(VECTORS["car"]["hex"])
    root = decode_cid(VECTORS["car"]["root"])
    assert read(data) == ((root,), [Block(root, b"hello world")])
    assert b"".join(encode_car((root,), [Block(root, b"hello world")])) == data


@pytest.mark.parametrize("case", VECTORS["invalid_cars"], ids=describe)
def test_car__invalid_twin__is_refused(case):
    with pytest.raises(InvalidCar):
        read(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize("case", VECTORS["corrupt_cars"], ids=describe)
def test_car__block_that_does_not_match__is_refused(case):
    with pytest.raises(ContentCorrupt):
        read(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize("case", VECTORS["oversized_cars"], ids=describe)
def test_car__oversized_section__is_refused_before_it_is_read(case):
    with pytest.raises(ContentTooLarge):
        read(bytes.fromhex(case["hex"]))


def test_car__more_than_the_cap__stops_before_the_next_section():
    block = b"x" * 100
    sections = [Block(compute_raw_cid(block), block)] * 10
    data = b"".join(encode_car((), sections))
    assert len(read(data, max_size=10 * 136)[1]) == 10
    with pytest.raises(ContentTooLarge):
        read(data, max_size=10 * 136 - 1)


@pytest.mark.parametrize("count", [0, 1, 2, MAX_ROOTS])
def test_car_header__any_accepted_number_of_roots__round_trips(count):
    roots = tuple(compute_raw_cid(bytes([index])) for index in range(count))
    assert decode_car_header(io.BytesIO(encode_car_header(roots))) == roots


def test_car_header__too_many_roots__is_refused():
    with pytest.raises(InvalidCar):
        encode_car_header((compute_raw_cid(b""),) * (MAX_ROOTS + 1))

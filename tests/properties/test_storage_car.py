import io

from hypothesis import given
from hypothesis import strategies as st

from flchain.storage.car import decode_car_header, encode_car, iterate_car_blocks
from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import ContentCorrupt, ContentTooLarge, InvalidCar
from flchain.storage.unixfs import Block

blocks = st.lists(st.binary(max_size=60), max_size=5).map(
    lambda contents: [Block(compute_raw_cid(content), content) for content in contents]
)
REFUSALS = (InvalidCar, ContentCorrupt, ContentTooLarge)


def read(data):
    """Return the roots and what was read before the archive was refused."""
    source, found = io.BytesIO(data), []
    try:
        roots = decode_car_header(source)
        found.extend(iterate_car_blocks(source, max_size=1 << 20, where="test"))
    except REFUSALS as error:
        return None, found, error
    return roots, found, None


@given(blocks)
def test_car__any_blocks__round_trip(content):
    roots = tuple(block.cid for block in content)
    assert read(b"".join(encode_car(roots, content))) == (roots, content, None)


@given(blocks, st.data())
def test_car__cut_anywhere__yields_only_a_prefix(content, choice):
    pieces = list(encode_car((), content))
    data = b"".join(pieces)
    at = choice.draw(st.integers(0, len(data) - 1))
    boundaries = {sum(len(piece) for piece in pieces[:count]) for count in range(1, len(pieces))}
    roots, found, error = read(data[:at])
    assert found == content[: len(found)]
    assert (error is None) == (at in boundaries)
    assert (roots is None) == (error is not None)


@given(blocks, st.data())
def test_car__any_byte_changed__yields_no_wrong_block(content, choice):
    data = bytearray(b"".join(encode_car((), content)))
    at = choice.draw(st.integers(0, len(data) - 1))
    data[at] ^= choice.draw(st.integers(1, 255))
    _, found, _ = read(bytes(data))
    for block in found:
        assert compute_raw_cid(block.data).digest == block.cid.digest


@given(st.binary(max_size=200))
def test_car__any_bytes__are_refused_cleanly(data):
    _, found, _ = read(data)
    for block in found:
        assert compute_raw_cid(block.data).digest == block.cid.digest


@given(blocks)
def test_car__blocks_in_another_order__are_the_same_blocks(content):
    reordered = list(reversed(content))
    assert read(b"".join(encode_car((), reordered)))[1] == reordered

"""What every content store promises, whatever holds the bytes."""

import io

import pytest

from flchain.storage.base import Pin
from flchain.storage.cid import Codec, compute_raw_cid, decode_cid
from flchain.storage.errors import (
    ContentCorrupt,
    ContentTooLarge,
    ContentUnavailable,
    InvalidCar,
)
from flchain.storage.memory import make_memory_store
from flchain.storage.unixfs import MAX_BLOCK
from tests.unit.storage.keystream import Keystream

MIB = 1 << 20
HELLO = decode_cid("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
ABSENT = compute_raw_cid(b"nobody stored this")


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 5])
def test_add__any_size__reads_back(store, size):
    data = Keystream("store", size).read()
    cid = store.add(data, pin="file")
    assert store.read(cid, max_size=size) == data
    assert store.verify(cid) == size
    assert store.has(cid)


def test_add__bytes_and_stream__give_one_cid(store):
    data = Keystream("store", 2 * MIB).read()
    assert store.add(data, pin="a") == store.add(io.BytesIO(data), pin="b")
    assert store.add(b"hello world", pin="c") == HELLO


def test_iterate__large_file__comes_in_pieces(store):
    cid = store.add(bytes(2 * MIB + 1), pin="file")
    assert [len(piece) for piece in store.iterate(cid, max_size=4 * MIB)] == [MIB, MIB, 1]


def test_read__over_the_limit__is_refused(store):
    for data in (b"hello world", bytes(2 * MIB)):
        cid = store.add(data, pin="file")
        with pytest.raises(ContentTooLarge):
            store.read(cid, max_size=len(data) - 1)


def test_read__absent__says_which_cid(store):
    for call in (lambda: store.read(ABSENT, max_size=9), lambda: store.get_block(ABSENT)):
        with pytest.raises(ContentUnavailable, match=str(ABSENT)) as caught:
            call()
        assert caught.value.cid == ABSENT
        assert caught.value.is_retryable
    assert not store.has(ABSENT)


def test_put_block__manifest__is_one_raw_block(store):
    cid = store.put_block(b"manifest", "manifest/1")
    assert cid == compute_raw_cid(b"manifest")
    assert store.get_block(cid) == b"manifest"
    assert store.has(cid)


def test_put_block__oversized__is_refused_and_pins_nothing(store):
    with pytest.raises(ContentTooLarge):
        store.put_block(bytes(MAX_BLOCK + 1), "big")
    assert list(store.pins()) == []


def test_get_block__parent__is_the_node_itself(store):
    cid = store.add(bytes(2 * MIB), pin="file")
    assert cid.codec is Codec.DAG_PB
    assert len(store.get_block(cid)) < 200


def test_pins__several_names__are_listed_by_prefix(store):
    first = store.put_block(b"1", "round/1/a")
    second = store.put_block(b"2", "round/2/a")
    store.pin(second, "model")
    assert list(store.pins("round/")) == [Pin("round/1/a", first), Pin("round/2/a", second)]
    assert {pin.name for pin in store.pins()} == {"model", "round/1/a", "round/2/a"}
    assert list(store.pins("round_")) == []


def test_pin__one_name_twice__keeps_both(store):
    cids = {store.put_block(b"1", "name"), store.put_block(b"2", "name")}
    assert {pin.cid for pin in store.pins()} == cids
    store.unpin("name")
    assert list(store.pins()) == []


def test_pin__absent_content__is_refused(store):
    with pytest.raises(ContentUnavailable):
        store.pin(ABSENT, "name")
    assert list(store.pins()) == []


def test_pin_all__several_trees__are_kept_under_one_name(store):
    cids = [store.add(b"first", pin="a"), store.add(bytes(2 * MIB), pin="a")]
    store.pin_all(cids, "both")
    store.unpin("a")
    assert {pin.cid for pin in store.pins("both")} == set(cids)
    store.pin_all([], "none")
    assert list(store.pins("none")) == []


def test_pin_all__one_is_absent__pins_none(store):
    cid = store.add(b"first", pin="a")
    with pytest.raises(ContentUnavailable):
        store.pin_all([cid, ABSENT], "both")
    assert list(store.pins("both")) == []


def test_unpin__unknown_name__is_no_error(store):
    store.unpin("never used")


def test_export_car__imported_elsewhere__is_the_same_file(store):
    data = Keystream("car", 2 * MIB + 7).read()
    cid = store.add(data, pin="file")
    archive = b"".join(store.export_car(cid))
    other = make_memory_store()
    assert other.import_car(io.BytesIO(archive), pin="copy", max_size=3 * MIB) == (cid,)
    assert other.read(cid, max_size=3 * MIB) == data


def make_archive(size=2 * MIB + 7):
    source = make_memory_store()
    cid = source.add(Keystream("car", size).read(), pin="file")
    return cid, b"".join(source.export_car(cid))


def test_import_car__whole_archive__is_pinned_and_readable(store):
    cid, archive = make_archive()
    assert store.import_car(io.BytesIO(archive), pin="copy", max_size=3 * MIB) == (cid,)
    assert store.verify(cid) == 2 * MIB + 7
    assert list(store.pins()) == [Pin("copy", cid)]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda archive: archive[:-1], InvalidCar),
        (lambda archive: archive[:-1] + bytes([archive[-1] ^ 1]), ContentCorrupt),
        (lambda archive: archive[: MIB // 2], InvalidCar),
        (lambda _: b"", InvalidCar),
    ],
    ids=["truncated", "flipped", "cut in half", "empty"],
)
def test_import_car__damaged__is_refused_and_pins_nothing(store, damage, error):
    _, archive = make_archive()
    with pytest.raises(error):
        store.import_car(io.BytesIO(damage(archive)), pin="copy", max_size=3 * MIB)
    assert list(store.pins()) == []


def test_import_car__missing_leaf__is_refused_and_pins_nothing(store):
    _, archive = make_archive(MIB + 1)
    leaf_section = 1 + 36 + 1
    with pytest.raises(ContentUnavailable):
        store.import_car(io.BytesIO(archive[:-leaf_section]), pin="copy", max_size=3 * MIB)
    assert list(store.pins()) == []


def test_import_car__over_the_cap__is_refused(store):
    _, archive = make_archive()
    with pytest.raises(ContentTooLarge):
        store.import_car(io.BytesIO(archive), pin="copy", max_size=2 * MIB)
    assert list(store.pins()) == []


def test_gc__pinned_tree__survives(store):
    data = Keystream("gc", 2 * MIB + 3).read()
    cid = store.add(data, pin="file")
    store.gc(min_age=0, now=1e12)
    assert store.read(cid, max_size=len(data)) == data

"""Collections and corrupt blocks, in the stores that hold blocks themselves."""

import io
import os
import time

import pytest

from flchain.storage.base import Collected
from flchain.storage.disk import DiskStore, encode_key
from flchain.storage.errors import ContentCorrupt, ContentUnavailable
from flchain.storage.local import LocalStore
from flchain.storage.memory import MemoryBlocks
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import build_blocks
from tests.unit.storage.keystream import Keystream

MIB = 1 << 20
NOW = time.time()


class MemoryBench:
    """A memory store whose blocks can be damaged and dated."""

    def __init__(self, _folder):
        self.now = NOW - 3600
        self.blocks = MemoryBlocks(lambda: self.now)
        self.store = LocalStore(self.blocks, PinTable(None))

    def damage(self, cid, data):
        self.blocks.replace_unverified(cid, data)

    def date(self, cid, time):
        self.now = time
        self.store.blocks.put(cid, self.store.blocks.get(cid))
        self.now = NOW - 3600

    def count_quarantined(self):
        return len(self.blocks.quarantine)


class DiskBench:
    """A disk store whose blocks can be damaged and dated."""

    def __init__(self, folder):
        self.folder = folder
        self.store = DiskStore(folder, durable=False)

    def path(self, cid):
        key = encode_key(cid.digest)
        return self.folder / "blocks" / key[-3:-1] / f"{key}.data"

    def damage(self, cid, data):
        self.path(cid).write_bytes(data)

    def date(self, cid, time):
        os.utime(self.path(cid), (time, time))

    def count_quarantined(self):
        return len(list((self.folder / "quarantine").iterdir()))


@pytest.fixture(params=[MemoryBench, DiskBench])
def bench(request, tmp_path):
    opened = request.param(tmp_path / "store")
    yield opened
    opened.store.close()


def add(bench, data, pin, time=NOW - 3600):
    cid = bench.store.add(data, pin=pin)
    for block in build_blocks(io.BytesIO(data)):
        bench.date(block.cid, time)
    return cid


def test_gc__unpinned_and_old__is_removed(bench):
    kept = add(bench, b"kept", "kept")
    gone = add(bench, Keystream("gone", MIB + 1).read(), "gone")
    bench.store.unpin("gone")
    size = bench.store.gc(min_age=3600, now=NOW).size
    assert size > MIB + 1
    assert not bench.store.has(gone)
    assert bench.store.read(kept, max_size=4) == b"kept"
    assert bench.store.gc(min_age=3600, now=NOW) == Collected(0, 0)


def test_gc__unpinned_but_young__stays(bench):
    cid = add(bench, b"young", "x", time=NOW - 3599)
    bench.store.unpin("x")
    assert bench.store.gc(min_age=3600, now=NOW) == Collected(0, 0)
    assert bench.store.has(cid)


def test_gc__chunk_shared_with_a_pinned_file__stays(bench):
    shared = Keystream("shared", MIB).read()
    kept = add(bench, shared + b"kept", "kept")
    add(bench, shared + b"gone", "gone")
    bench.store.unpin("gone")
    assert bench.store.gc(min_age=0, now=NOW).blocks == 2  # the other leaf and its parent
    assert bench.store.verify(kept) == MIB + 4


def test_gc__two_names_for_one_file__last_one_decides(bench):
    cid = add(bench, b"file", "a")
    bench.store.pin(cid, "b")
    bench.store.unpin("a")
    bench.store.gc(min_age=0, now=NOW)
    assert bench.store.has(cid)
    bench.store.unpin("b")
    bench.store.gc(min_age=0, now=NOW)
    assert not bench.store.has(cid)


def test_gc__block_added_again__is_young_again(bench):
    cid = add(bench, b"file", "a")
    bench.store.unpin("a")
    bench.now = NOW
    bench.store.blocks.put(cid, b"file")
    assert bench.store.gc(min_age=3600, now=NOW) == Collected(0, 0)


@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "corrupt"])
def test_gc__unreadable_parent_of_a_pinned_file__removes_nothing(bench, is_missing):
    cid = add(bench, Keystream("pinned", MIB + 1).read(), "pinned")
    loose = add(bench, b"loose", "loose")
    bench.store.unpin("loose")
    if is_missing:
        bench.store.blocks.delete(cid)
    else:
        bench.damage(cid, b"damaged")
    with pytest.raises((ContentUnavailable, ContentCorrupt)):
        bench.store.gc(min_age=0, now=NOW)
    assert bench.store.has(loose)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda _: b"",
        lambda data: bytes(len(data)),
    ],
    ids=["flipped", "truncated", "grown", "emptied", "zeroed"],
)
def test_read__damaged_block__is_quarantined_and_named(bench, damage):
    data = Keystream("file", MIB + 1).read()
    cid = add(bench, data, "file")
    leaf, _, _ = build_blocks(io.BytesIO(data))
    bench.damage(leaf.cid, damage(leaf.data))
    with pytest.raises(ContentCorrupt, match=str(leaf.cid)) as caught:
        bench.store.read(cid, max_size=2 * MIB)
    assert caught.value.block == leaf.cid
    assert bench.count_quarantined() == 1
    assert not bench.store.has(cid)
    with pytest.raises(ContentUnavailable):
        bench.store.read(cid, max_size=2 * MIB)


def test_add__over_a_damaged_block__mends_it(bench):
    cid = add(bench, b"file", "file")
    bench.damage(cid, b"fil3")
    assert bench.store.add(b"file", pin="again") == cid
    assert bench.store.read(cid, max_size=4) == b"file"


def test_read__leaves_swapped_on_the_disk__is_refused(bench):
    data = Keystream("file", 2 * MIB).read()
    cid = add(bench, data, "file")
    left, right, _ = build_blocks(io.BytesIO(data))
    bench.damage(left.cid, right.data)
    bench.damage(right.cid, left.data)
    with pytest.raises(ContentCorrupt):
        bench.store.read(cid, max_size=2 * MIB)


def test_put__wrong_bytes__are_refused_and_not_kept(bench):
    cid = add(bench, b"file", "file")
    bench.store.blocks.delete(cid)
    with pytest.raises(ContentCorrupt):
        bench.store.blocks.put(cid, b"other")
    assert not bench.store.blocks.has(cid)

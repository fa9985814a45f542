"""A local store in front of remote places that fail, lie or hold back."""

import pytest

from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import (
    ContentCorrupt,
    ContentTooLarge,
    ContentUnavailable,
    StoreUnreachable,
    StoreUnusable,
)
from flchain.storage.layered import LayeredStore
from flchain.storage.local import LocalStore
from flchain.storage.memory import MemoryBlocks, MemoryNode
from flchain.storage.pins import PinTable
from flchain.storage.remote import RemoteStore, make_read_only_store
from tests.unit.storage.keystream import Keystream

MIB = 1 << 20
DATA = Keystream("layered", 3 * MIB + 1).read()


@pytest.fixture
def blocks():
    return MemoryBlocks()


@pytest.fixture
def local(blocks):
    return LocalStore(blocks, PinTable(None))


@pytest.fixture
def node():
    return MemoryNode("node")


@pytest.fixture
def gateway():
    return MemoryNode("gateway")


@pytest.fixture
def store(local, gateway, node):
    return LayeredStore(local, [gateway, node], [node])


def test_read__held_locally__asks_nobody(store, local, gateway, node):
    cid = local.add(DATA, pin="x")
    assert store.read(cid, max_size=len(DATA)) == DATA
    assert gateway.requests == node.requests == []


def test_read__held_remotely__is_kept_locally(store, local, gateway):
    cid = gateway.store.add(DATA, pin="x")
    assert store.read(cid, max_size=len(DATA)) == DATA
    assert local.has(cid)
    gateway.is_reachable = False
    assert store.read(cid, max_size=len(DATA)) == DATA


def test_read__large_file__comes_as_one_archive(store, gateway):
    cid = gateway.store.add(DATA, pin="x")
    store.read(cid, max_size=len(DATA))
    assert gateway.requests == ["block", "car"]


def test_read__first_source_down__comes_from_the_second(store, gateway, node):
    cid = node.store.add(DATA, pin="x")
    gateway.is_reachable = False
    assert store.read(cid, max_size=len(DATA)) == DATA


def test_read__source_that_breaks_off__is_completed_by_another(store, gateway, node, blocks):
    cid = gateway.store.add(DATA, pin="x")
    node.store.add(DATA, pin="x")
    leaf = compute_raw_cid(DATA[2 * MIB : 3 * MIB])
    gateway.store.blocks.delete(leaf)
    assert store.read(cid, max_size=len(DATA)) == DATA


def test_read__source_that_lies__is_named_and_passed_over(store, gateway, node):
    cid = gateway.store.put_block(b"truth", "x")
    gateway.lies[cid] = b"a lie"
    with pytest.raises(ContentUnavailable, match="gateway \\(which sent wrong bytes\\)"):
        store.get_block(cid)
    node.store.put_block(b"truth", "x")
    assert store.get_block(cid) == b"truth"


def test_read__lie_in_the_middle_of_an_archive__is_never_kept(store, local, gateway, node):
    cid = gateway.store.add(DATA, pin="x")
    leaf = compute_raw_cid(DATA[MIB : 2 * MIB])
    gateway.lies[leaf] = bytes(MIB)
    with pytest.raises(ContentUnavailable, match=str(leaf)):
        store.read(cid, max_size=len(DATA))
    assert not local.blocks.has(leaf)
    node.store.add(DATA, pin="x")
    assert store.read(cid, max_size=len(DATA)) == DATA


def test_read__archive_with_foreign_blocks__keeps_none_of_them(local, gateway):
    foreign = gateway.store.put_block(b"foreign", "x")
    cid = gateway.store.add(DATA, pin="x")

    class Stuffing(MemoryNode):
        def fetch_car(self, cid, *, max_size):
            blocks = super().fetch_car(cid, max_size=max_size)
            yield next(blocks)
            yield from super().fetch_car(foreign, max_size=max_size)
            yield from blocks

    store = LayeredStore(local, [Stuffing("stuffing", gateway.store)])
    assert store.read(cid, max_size=len(DATA)) == DATA
    assert not local.blocks.has(foreign)


def test_read__declared_over_the_cap__fetches_only_the_root(store, local, gateway):
    cid = gateway.store.add(DATA, pin="x")
    with pytest.raises(ContentTooLarge):
        store.read(cid, max_size=len(DATA) - 1)
    assert gateway.requests == ["block"]
    assert len(list(local.blocks.iterate())) == 1


def test_read__nowhere__names_every_place(store):
    with pytest.raises(ContentUnavailable, match="local store, gateway, node"):
        store.get_block(compute_raw_cid(b"nowhere"))


def test_read__corrupt_local_block__is_fetched_again(store, local, gateway, blocks):
    cid = local.put_block(b"block", "x")
    gateway.store.put_block(b"block", "x")
    blocks.replace_unverified(cid, b"blocc")
    assert store.get_block(cid) == b"block"
    assert len(blocks.quarantine) == 1
    assert local.get_block(cid) == b"block"


def test_verify__corrupt_leaf_of_a_file__is_mended(store, local, gateway, blocks):
    cid = local.add(DATA, pin="x")
    gateway.store.add(DATA, pin="x")
    leaf = compute_raw_cid(DATA[:MIB])
    blocks.replace_unverified(leaf, b"")
    assert store.verify(cid) == len(DATA)
    assert local.verify(cid) == len(DATA)


def test_read__corrupt_and_nowhere_else__is_corrupt(store, local, blocks):
    cid = local.put_block(b"block", "x")
    blocks.replace_unverified(cid, b"blocc")
    with pytest.raises(ContentCorrupt):
        store.get_block(cid)


def test_add__node_confirms__is_pinned_there(store, node):
    cid = store.add(DATA, pin="update")
    assert node.is_pinned(cid)
    assert node.store.read(cid, max_size=len(DATA)) == DATA


def test_add__node_down__keeps_the_content_and_the_queue(store, local, node):
    node.is_reachable = False
    with pytest.raises(StoreUnreachable, match="kept here, but not published") as caught:
        store.add(b"update", pin="update")
    assert caught.value.is_retryable
    (pin,) = local.pins()
    node.is_reachable = True
    assert store.publish_pending() == 1
    assert node.is_pinned(pin.cid)
    assert store.publish_pending() == 0


def test_add__again_after_a_failure__publishes(store, node):
    node.is_reachable = False
    with pytest.raises(StoreUnreachable):
        store.add(b"update", pin="update")
    node.is_reachable = True
    cid = store.add(b"update", pin="update")
    assert node.is_pinned(cid)
    assert store.publish_pending() == 0


def test_add__confirmed_before__is_not_sent_again(store, node):
    store.add(b"update", pin="a")
    store.add(b"update", pin="b")
    assert node.requests.count("publish") == 1


def test_add__node_lost_its_pin__is_sent_again(store, node):
    cid = store.add(b"update", pin="a")
    node.store.unpin(str(cid))
    store.add(b"update", pin="a")
    assert node.is_pinned(cid)


def test_unpin__last_name__removes_the_remote_pin(store, node):
    cid = store.add(b"update", pin="a")
    store.add(b"update", pin="b")
    store.unpin("a")
    assert node.is_pinned(cid)
    store.unpin("b")
    assert not node.is_pinned(cid)


def test_unpin__somebody_elses_pin__stays(store, node):
    cid = node.store.put_block(b"update", "the operator's own")
    store.put_block(b"update", "ours")
    store.unpin("ours")
    assert node.is_pinned(cid)
    assert "retract" not in node.requests


def test_unpin__node_down__keeps_the_name_for_another_try(store, local, node):
    store.add(b"update", pin="a")
    node.is_reachable = False
    with pytest.raises(StoreUnreachable):
        store.unpin("a")
    assert len(list(local.pins())) == 1


def test_pin__content_of_others__is_fetched_and_published(store, local, gateway, node):
    cid = gateway.store.add(DATA, pin="x")
    store.pin(cid, "held")
    assert local.has(cid)
    assert node.is_pinned(cid)


def test_gc__corrupt_parent__does_not_ask_remote_places(store, local, gateway, blocks):
    cid = local.add(DATA, pin="x")
    gateway.store.add(DATA, pin="x")
    blocks.replace_unverified(cid, b"")
    with pytest.raises(ContentCorrupt):
        store.gc(0, 1.0)
    assert gateway.requests == []


def test_read_only_store__writing__says_what_to_configure(gateway):
    store = make_read_only_store(gateway)
    cid = gateway.store.add(DATA, pin="x")
    assert store.read(cid, max_size=len(DATA)) == DATA
    with pytest.raises(StoreUnusable, match="file:"):
        store.add(b"x", pin="x")
    with pytest.raises(StoreUnusable):
        store.put_block(b"x", "x")


def test_remote_store__node_down__pins_nothing(node):
    store = RemoteStore(node, PinTable(None))
    node.is_reachable = False
    with pytest.raises(StoreUnreachable):
        store.add(b"update", pin="a")
    assert list(store.pins()) == []


def test_remote_store__pin_and_unpin__follow_the_names(node):
    store = RemoteStore(node, PinTable(None))
    cid = node.store.add(DATA, pin="x")
    node.store.unpin("x")
    store.pin(cid, "a")
    store.pin(cid, "b")
    store.unpin("a")
    assert node.is_pinned(cid)
    store.unpin("b")
    assert not node.is_pinned(cid)
    assert node.store.has(cid)

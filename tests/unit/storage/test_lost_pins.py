"""A store whose pin table is gone collects nothing: it cannot know what to keep."""

import shutil
import time

import pytest

from flchain.storage.disk import DiskStore
from flchain.storage.errors import StoreUnusable


@pytest.fixture
def folder(tmp_path):
    """A store with one pinned file, closed."""
    store = DiskStore(tmp_path / "store", durable=False)
    store.add(b"kept", pin="kept")
    store.close()
    return tmp_path / "store"


def lose(folder, *, leaves_file):
    for path in folder.glob("pins.sqlite*"):
        path.unlink()
    if leaves_file:
        (folder / "pins.sqlite").touch()


def collect(folder):
    store = DiskStore(folder, durable=False)
    try:
        return store.gc(0, time.time() + 10)
    finally:
        store.close()


def count_blocks(folder):
    return len(list(folder.glob("blocks/??/*.data")))


@pytest.mark.parametrize("leaves_file", [False, True], ids=["missing", "empty"])
def test_gc__pin_table_lost__is_refused_however_often_it_is_opened(folder, leaves_file):
    lose(folder, leaves_file=leaves_file)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"pins\.sqlite"):
            collect(folder)
    assert count_blocks(folder) == 1


def test_pin_table_lost__everything_else__works(folder):
    lose(folder, leaves_file=False)
    store = DiskStore(folder, durable=False)
    cid = store.add(b"new", pin="new")
    assert store.read(cid, max_size=3) == b"new"
    assert [pin.name for pin in store.pins()] == ["new"]
    store.close()


def test_gc__pin_table_restored__collects_again(folder, tmp_path):
    shutil.copy(folder / "pins.sqlite", tmp_path / "copy")
    lose(folder, leaves_file=False)
    with pytest.raises(StoreUnusable):
        collect(folder)
    lose(folder, leaves_file=False)
    shutil.copy(tmp_path / "copy", folder / "pins.sqlite")
    assert collect(folder).blocks == 0
    assert count_blocks(folder) == 1


def test_gc__new_store_or_no_pins_left__is_no_loss(folder, tmp_path):
    assert collect(tmp_path / "new").blocks == 0
    store = DiskStore(folder, durable=False)
    store.unpin("kept")
    store.close()
    assert collect(folder).blocks == 1

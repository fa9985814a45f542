import errno
import fcntl
import os
from pathlib import Path

import pytest

from flchain.storage.cid import compute_raw_cid
from flchain.storage.disk import SHARDING, DiskStore, FlatBlocks, encode_key
from flchain.storage.errors import ContentUnavailable, StoreFull, StoreLocked, StoreUnusable
from flchain.storage.files import write_file

CID = compute_raw_cid(b"block")
KEY = "CIQ"  # what base32 makes of 12 20


def list_blocks(folder):
    return sorted(path.name for path in (folder / "blocks").glob("??/*"))


def test_layout__one_block__is_that_of_flatfs(disk, tmp_path):
    disk.put_block(b"block", "x")
    (path,) = (tmp_path / "store" / "blocks").glob("??/*.data")
    assert path.read_bytes() == b"block"
    assert path.stem.startswith(KEY)
    assert path.stem == encode_key(CID.digest)
    assert path.parent.name == path.stem[-3:-1]
    assert (tmp_path / "store" / "blocks" / "SHARDING").read_text() == SHARDING


def test_open__folder_of_an_earlier_process__holds_blocks_and_pins(tmp_path):
    first = DiskStore(tmp_path / "store")
    cid = first.add(b"file", pin="name")
    first.close()
    second = DiskStore(tmp_path / "store")
    assert second.read(cid, max_size=4) == b"file"
    assert [pin.name for pin in second.pins()] == ["name"]
    second.close()


def test_open__other_sharding__is_refused_and_left_alone(tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "SHARDING").write_text("/repo/flatfs/shard/v1/prefix/3\n")
    with pytest.raises(StoreUnusable, match="another layout"):
        FlatBlocks(tmp_path)


def test_open__path_below_a_file__is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="can't be used"):
        DiskStore(tmp_path / "file" / "store")


def test_open__pin_table_that_is_none__is_refused_and_left_alone(tmp_path):
    DiskStore(tmp_path).close()
    for path in tmp_path.glob("pins.sqlite*"):
        path.unlink()
    (tmp_path / "pins.sqlite").write_bytes(b"this is no database, but long enough" * 100)
    with pytest.raises(StoreUnusable, match="pin table"):
        DiskStore(tmp_path)
    assert (tmp_path / "pins.sqlite").read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["replace", "open"])
def test_add__disk_full__leaves_no_trace(disk, tmp_path, monkeypatch, number, call):
    kept = disk.put_block(b"kept", "kept")
    before = list_blocks(tmp_path / "store")
    real = getattr(Path, call)

    def fail(path, *values, **options):
        if path.name.startswith(".put-"):
            if call == "open":
                real(path, "xb").close()  # the file was made before the disk was full
            raise OSError(number, os.strerror(number))
        return real(path, *values, **options)

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(StoreFull, match="make room"):
        disk.add(b"new", pin="new")
    monkeypatch.undo()
    assert list_blocks(tmp_path / "store") == before
    assert [pin.cid for pin in disk.pins()] == [kept]


def test_add__interrupted__leaves_no_temporary_file(disk, tmp_path, monkeypatch):
    def interrupt(*_values):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        disk.add(b"new", pin="new")
    assert list_blocks(tmp_path / "store") == []


def test_gc__leftover_of_a_killed_writer__is_removed_when_old(disk, tmp_path):
    folder = tmp_path / "store" / "blocks" / "AB"
    folder.mkdir()
    old, young = folder / ".put-1-old", folder / ".put-1-young"
    old.write_bytes(b"torn")
    young.write_bytes(b"torn")
    os.utime(old, (1000, 1000))
    os.utime(young, (4000, 4000))
    disk.gc(min_age=1000, now=4500)
    assert list(folder.iterdir()) == [young]


def test_iterate__files_that_are_no_blocks__are_left_out_and_alone(disk, tmp_path):
    disk.put_block(b"block", "x")
    folder = tmp_path / "store" / "blocks" / "AB"
    folder.mkdir()
    for name in ("README.data", "lower.data", ".put-1", "CIQ.data"):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (1, 1))
    (tmp_path / "store" / "blocks" / "diskUsage.cache").write_text("{}")
    assert [block.digest for block in disk.blocks.iterate()] == [CID.digest]
    disk.gc(min_age=0, now=2e9)
    assert (folder / "README.data").exists()


def test_lock__held_by_a_collection__keeps_writers_waiting(tmp_path):
    store = DiskStore(tmp_path, durable=False, lock_timeout=0.05)
    with (tmp_path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(StoreLocked, match="another process"):
            store.add(b"file", pin="x")
        assert list(store.pins()) == []
        fcntl.flock(handle, fcntl.LOCK_UN)
        store.add(b"file", pin="x")
        fcntl.flock(handle, fcntl.LOCK_SH)
        store.add(b"more", pin="x")
        with pytest.raises(StoreLocked):
            store.gc(0, 2e9)
    store.close()


def test_put__durable_root__is_forced_to_the_disk(tmp_path, monkeypatch):
    synced = []

    def record(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())

    monkeypatch.setattr(os, "fsync", record)
    blocks = FlatBlocks(tmp_path, durable=True)
    blocks.put(compute_raw_cid(b"leaf"), b"leaf")
    assert synced == []
    blocks.put(CID, b"block", is_root=True)
    assert synced[0].name.startswith(".put-")
    assert tmp_path / "blocks" / encode_key(CID.digest)[-3:-1] in synced


def test_get__block_mended_meanwhile__is_put_back(disk, tmp_path):
    """A reader that saw a corrupt block must not set its good successor aside."""
    cid = disk.put_block(b"block", "x")
    (path,) = (tmp_path / "store" / "blocks").glob("??/*.data")
    disk.blocks._set_aside(cid, path)
    assert disk.get_block(cid) == b"block"
    assert list((tmp_path / "store" / "quarantine").iterdir()) == []


def test_write_file__whole_content__replaces_the_old(tmp_path):
    target = tmp_path / "new" / "file"
    write_file(target, [b"old"], is_synced=True)
    write_file(target, iter([b"new", b"", b"er"]), is_synced=False)
    assert target.read_bytes() == b"newer"


def test_write_file__content_that_turns_out_wrong__leaves_the_old(disk, tmp_path):
    cid = disk.add(bytes(3 << 20), pin="x")
    target = tmp_path / "out" / "file"
    write_file(target, [b"old"], is_synced=False)
    disk.blocks.delete(compute_raw_cid(bytes(1 << 20)))
    with pytest.raises(ContentUnavailable):
        write_file(target, disk.iterate(cid, max_size=3 << 20), is_synced=False)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]

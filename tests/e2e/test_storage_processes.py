"""Several processes on one block folder: together, against collections, and killed."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flchain.storage.cid import decode_cid
from flchain.storage.disk import DiskStore
from tests.e2e.storage_worker import make_content

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("storage_worker.py")


@pytest.fixture
def start(tmp_path):
    processes = []

    def start_worker(*arguments):
        process = subprocess.Popen(
            [sys.executable, WORKER, tmp_path / "store", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        processes.append(process)
        return process

    yield start_worker
    for process in processes:
        process.kill()
        process.communicate()


def finish(process):
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    assert lines[-1] == "done"
    return lines


def verify_pins(folder):
    """Return how many pins there are, each with its whole content."""
    store = DiskStore(folder, durable=False)
    pins = list(store.pins())
    for pin in pins:
        owner, index = map(int, pin.name.split("/"))
        content = make_content(owner, index)
        assert store.read(pin.cid, max_size=len(content)) == content
    assert list((folder / "quarantine").iterdir()) == []
    store.close()
    return len(pins)


def test_openers__at_one_moment__all_succeed(start):
    """SQLite itself refuses some of those that first open a database together."""
    at = str(time.monotonic() + 2)
    for opener in [start("open", at) for _ in range(8)]:
        finish(opener)


def test_writers_and_a_collector__together__lose_nothing(start, tmp_path):
    count = 60
    collector = start("collect", "4")
    writers = [start("add", str(owner), str(count)) for owner in range(3)]
    for writer in writers:
        finish(writer)
    assert finish(collector)[1] > 0
    assert verify_pins(tmp_path / "store") == 3 * count * 4 // 5


def test_readers__while_others_write__see_whole_blocks_only(start, tmp_path):
    writer = start("add", "1", "60")
    assert json.loads(writer.stdout.readline()) == "ready"
    store = DiskStore(tmp_path / "store", durable=False)
    for line in writer.stdout:
        entry = json.loads(line)
        if entry == "done":
            break
        cid, owner, index = entry
        assert store.verify(decode_cid(cid)) == len(make_content(owner, index))
    store.close()


@pytest.mark.parametrize("call", ["open", "replace"])
@pytest.mark.parametrize("count", [1, 9])
def test_writer__killed_in_a_put__leaves_a_sound_store(start, tmp_path, call, count):
    victim = start("die", call, str(count))
    victim.wait(timeout=60)
    assert victim.returncode == -9
    folder = tmp_path / "store"
    assert len(list((folder / "blocks").glob("??/.put-*"))) == 1
    verify_pins(folder)
    store = DiskStore(folder, durable=False)
    store.gc(min_age=0, now=time.time() + 60)
    assert list((folder / "blocks").glob("??/.put-*")) == []
    verify_pins(folder)
    finish(start("add", "7", "20"))
    assert verify_pins(folder) >= 16
    store.close()


def test_writers__killed_at_any_moment__leave_a_sound_store(start, tmp_path):
    random_wait = random.Random(1)
    for owner in range(8):
        victim = start("add", str(owner), "100000")
        assert json.loads(victim.stdout.readline()) == "ready"
        time.sleep(random_wait.uniform(0, 0.15))
        victim.kill()
        victim.wait()
        verify_pins(tmp_path / "store")
    store = DiskStore(tmp_path / "store", durable=False)
    store.gc(min_age=0, now=time.time() + 60)
    store.close()
    assert verify_pins(tmp_path / "store") > 0

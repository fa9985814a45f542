"""The Kubo adapter against a fake of its RPC, and against a real daemon where there is one.

The daemon is the program that FLCHAIN_IPFS_BIN names, or `ipfs` on the PATH. It runs offline, on
loopback, in a repository of its own.
"""

import io
import json
import os
import shutil
import subprocess
import time

import pytest

from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import (
    ContentCorrupt,
    ContentTooLarge,
    ContentUnavailable,
    InvalidCar,
    StoreUnreachable,
)
from flchain.storage.kubo import KuboNode
from flchain.storage.layered import LayeredStore
from flchain.storage.memory import make_memory_store
from flchain.storage.opening import open_store
from flchain.storage.pins import PinTable
from flchain.storage.remote import RemoteStore
from flchain.storage.unixfs import MAX_BLOCK, V0_2015, build_blocks
from tests.e2e.storage_fake_kubo import FakeKubo

# Kubo's client and urllib3 2; `flchain.storage.kubo` hushes it outside of pytest.
pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 1)
ABSENT = compute_raw_cid(b"absent")
IPFS = os.environ.get("FLCHAIN_IPFS_BIN") or shutil.which("ipfs") or ""


@pytest.fixture
def fake():
    opened = FakeKubo()
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """The RPC multiaddress of a real node."""
    repo = tmp_path_factory.mktemp("ipfs")
    environment = {**os.environ, "IPFS_PATH": str(repo), "IPFS_TELEMETRY": "off"}

    def run(*arguments):
        subprocess.run([IPFS, *arguments], env=environment, check=True, capture_output=True)

    run("init", "--profile=test")
    run("config", "Routing.Type", "none")
    run("config", "--json", "Datastore.HashOnRead", "true")
    process = subprocess.Popen(
        [IPFS, "daemon", "--offline"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield wait_for_file(repo / "api", process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for_file(path, process):
    for _ in range(600):
        if path.exists():
            return path.read_text().strip()
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("the daemon does not start")


@pytest.fixture(
    params=[
        "fake",
        pytest.param(
            "daemon",
            marks=[
                pytest.mark.kubo,
                pytest.mark.skipif(
                    not IPFS, reason="no ipfs daemon: set FLCHAIN_IPFS_BIN or install Kubo"
                ),
            ],
        ),
    ]
)
def address(request):
    if request.param == "fake":
        return request.getfixturevalue("fake").address
    return request.getfixturevalue("daemon")


@pytest.fixture
def node(address):
    opened = KuboNode(address, timeout=5, sleep=lambda _: None)
    yield opened
    opened.close()


@pytest.fixture
def store(node):
    return RemoteStore(node, PinTable(None))


def add_to_node(node, data, profile=None):
    """Put a file on the node without the store under test; return its CID."""
    local = make_memory_store()
    blocks = list(build_blocks(io.BytesIO(data), *([profile] if profile else [])))
    for block in blocks:
        local.blocks.put(*block)
    root = blocks[-1].cid
    node.publish(root, lambda: local.export_car(root))
    return root


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 1])
def test_kubo__any_size__is_added_pinned_and_read_back(store, node, size):
    data = DATA[:size]
    cid = store.add(data, pin="x")
    assert node.is_pinned(cid)
    assert store.has(cid)
    assert store.read(cid, max_size=size) == data
    assert store.verify(cid) == size
    store.unpin("x")
    assert not node.is_pinned(cid)


def test_kubo__older_profile__is_read(node):
    cid = add_to_node(node, DATA, V0_2015)
    store = open_store(f"kubo:{node.name.removeprefix('kubo:')}")
    assert str(cid).startswith("Qm")
    assert store.read(cid, max_size=len(DATA)) == DATA
    store.close()
    node.retract(cid)


def test_kubo__archive__comes_out_whole(node):
    cid = add_to_node(node, DATA)
    blocks = list(node.fetch_car(cid, max_size=4 * MIB))
    assert blocks[0].cid == cid
    assert len(blocks) == 5
    with pytest.raises(ContentTooLarge):
        list(node.fetch_car(cid, max_size=2 * MIB))
    node.retract(cid)


def test_kubo__manifest__is_one_raw_block(store):
    cid = store.put_block(b"manifest", "m")
    assert cid == compute_raw_cid(b"manifest")
    assert store.get_block(cid) == b"manifest"
    store.unpin("m")


def test_kubo__oversized_manifest__is_refused_here(store):
    with pytest.raises(ContentTooLarge):
        store.put_block(bytes(MAX_BLOCK + 1), "m")


def test_kubo__absent_block__is_unavailable(store, node):
    with pytest.raises(ContentUnavailable, match=str(ABSENT)):
        store.get_block(ABSENT)
    with pytest.raises(ContentUnavailable):
        list(node.fetch_car(ABSENT, max_size=MIB))
    assert not store.has(ABSENT)
    assert not node.is_pinned(ABSENT)
    node.retract(ABSENT)


def test_kubo__archive__goes_in(store):
    source = make_memory_store()
    cid = source.add(DATA, pin="x")
    archive = b"".join(source.export_car(cid))
    assert store.import_car(io.BytesIO(archive), pin="x", max_size=4 * MIB) == (cid,)
    assert b"".join(store.export_car(cid)) == archive
    store.unpin("x")


def test_kubo__operators_own_pin__survives_ours(store, node):
    cid = add_to_node(node, b"the operator's")
    store.add(b"the operator's", pin="x")
    store.unpin("x")
    assert node.is_pinned(cid)
    node.retract(cid)


def test_kubo__behind_a_local_store__receives_and_serves(node):
    store = LayeredStore(make_memory_store(), [node], [node])
    cid = store.add(DATA, pin="x")
    assert node.is_pinned(cid)
    elsewhere = LayeredStore(make_memory_store(), [node])
    assert elsewhere.read(cid, max_size=len(DATA)) == DATA
    assert elsewhere.has(cid)
    store.unpin("x")


def test_kubo__version__is_told(node):
    assert node.get_version()[0].isdigit()
    assert node.is_loopback()


def test_kubo__bearer_token__is_sent(fake):
    seen = []

    def record(handler):
        seen.append(handler.headers["Authorization"])
        handler.rpc_version(None)

    fake.faults["version"] = record
    node = KuboNode(fake.address, headers={"Authorization": "Bearer secret"})
    node.get_version()
    assert seen == ["Bearer secret"]
    node.close()


@pytest.fixture
def fake_node(fake, monkeypatch):
    monkeypatch.setattr("flchain.storage.kubo._SLACK", 0.0)
    opened = KuboNode(fake.address, timeout=0.5, sleep=lambda _: None)
    yield opened
    opened.close()


def make_lie(data):
    return lambda handler: handler._send(200, data, "application/octet-stream")


@pytest.mark.parametrize("data", [b"blocc", b"", b"block!", bytes(5)])
def test_kubo__wrong_block__is_found_out(fake, fake_node, data):
    cid = add_to_node(fake_node, b"block")
    fake.faults["block/get"] = make_lie(data)
    with pytest.raises(ContentCorrupt):
        fake_node.fetch_block(cid)


def test_kubo__oversized_block__is_refused(fake, fake_node):
    fake.faults["block/get"] = make_lie(bytes(MAX_BLOCK + 1))
    with pytest.raises(ContentTooLarge):
        fake_node.fetch_block(ABSENT)


@pytest.mark.parametrize(
    ("cut", "error"),
    [(slice(0, -1), InvalidCar), (slice(1, None), InvalidCar), (slice(0, 0), InvalidCar)],
)
def test_kubo__broken_archive__is_found_out(fake, fake_node, cut, error):
    cid = add_to_node(fake_node, DATA)
    archive = b"".join(fake.store.export_car(cid))
    fake.faults["dag/export"] = make_lie(archive[cut])
    with pytest.raises(error):
        list(fake_node.fetch_car(cid, max_size=4 * MIB))


def break_off(handler):
    """Promise a chunk and hang up."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ff\r\nshort")
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True


def hang(handler):
    time.sleep(1.0)
    handler.close_connection = True


@pytest.mark.parametrize("fault", [break_off, hang_up, hang])
@pytest.mark.parametrize("call", ["block/get", "dag/export"])
def test_kubo__connection_that_breaks__is_retryable(fake, fake_node, fault, call):
    fake.faults[call] = fault
    calls = {
        "block/get": lambda: fake_node.fetch_block(ABSENT),
        "dag/export": lambda: list(fake_node.fetch_car(ABSENT, max_size=MIB)),
    }
    with pytest.raises(StoreUnreachable) as caught:
        calls[call]()
    assert caught.value.is_retryable


def test_kubo__connection_that_breaks_twice__is_tried_three_times(fake, fake_node):
    cid = add_to_node(fake_node, b"block")
    left = [hang_up, break_off]

    def fault(handler):
        if left:
            left.pop()(handler)
        else:
            handler.rpc_block_get(None)

    fake.faults["block/get"] = fault
    assert fake_node.fetch_block(cid) == b"block"
    assert [name for name, _ in fake.requests].count("block/get") == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"Root": {"Cid": {"/": str(ABSENT)}, "PinErrorMsg": ""}},
        {"Root": {"Cid": {"/": "nonsense"}, "PinErrorMsg": ""}},
        {"Root": None},
        {},
        [],
    ],
)
def test_kubo__import_that_confirms_another_root__is_no_confirmation(fake, fake_node, answer):
    fake.faults["dag/import"] = lambda handler: handler.answer(answer)
    with pytest.raises(StoreUnreachable):
        add_to_node(fake_node, b"block")


def test_kubo__import_whose_pin_failed__is_no_confirmation(fake, fake_node):
    root = compute_raw_cid(b"block")
    answer = {"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": "block not found"}}
    fake.faults["dag/import"] = lambda handler: handler.answer(answer)
    with pytest.raises(StoreUnreachable, match="block not found"):
        add_to_node(fake_node, b"block")


def test_kubo__import_that_breaks__is_sent_again_from_the_start(fake, fake_node):
    left = [hang_up]

    def fault(handler):
        if left:
            left.pop()(handler)
            return
        del fake.faults["dag/import"]
        handler.fail("temporarily refused")

    fake.faults["dag/import"] = fault
    with pytest.raises(StoreUnreachable, match="temporarily refused"):
        add_to_node(fake_node, DATA)
    cid = add_to_node(fake_node, DATA)
    assert fake.store.verify(cid) == len(DATA)


@pytest.mark.parametrize(
    ("message", "is_retryable"),
    [("context deadline exceeded", True), ("merkledag: bad request", False)],
)
def test_kubo__refusal__says_whether_to_retry(fake, fake_node, message, is_retryable):
    fake.faults["pin/ls"] = lambda handler: handler.fail(message)
    with pytest.raises(StoreUnreachable, match=message) as caught:
        fake_node.is_pinned(ABSENT)
    assert caught.value.is_retryable == is_retryable


@pytest.mark.parametrize("status", [403, 404, 500])
def test_kubo__something_else_on_the_port__is_said(fake, fake_node, status):
    page = b"<html>\n<p>not a node</p></html>"
    fake.faults["version"] = lambda handler: handler._send(status, page, "text/html")
    with pytest.raises(StoreUnreachable) as caught:
        fake_node.get_version()
    assert "\n" not in str(caught.value)


def test_kubo__answer_that_is_no_json__is_said(fake, fake_node):
    fake.faults["version"] = make_lie(b"{nonsense")
    with pytest.raises(StoreUnreachable):
        fake_node.get_version()


def test_kubo__daemon_down__names_the_address():
    node = KuboNode("/ip4/127.0.0.1/tcp/1", sleep=lambda _: None)
    with pytest.raises(StoreUnreachable, match="tcp/1") as caught:
        node.get_version()
    assert caught.value.is_retryable
    node.close()


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("/ip4/127.0.0.1/tcp/5001", True),
        ("/ip6/::1/tcp/5001", True),
        ("/dns/localhost/tcp/5001", True),
        ("/ip4/192.0.2.1/tcp/5001", False),
        ("/dns/node.example/tcp/5001", False),
    ],
)
def test_kubo__admin_port__is_known_to_be_near_or_far(address, is_loopback):
    node = KuboNode(address)
    assert node.is_loopback() == is_loopback
    node.close()


def test_kubo__requests__never_collect_and_never_add(fake):
    store = RemoteStore(KuboNode(fake.address), PinTable(None))
    cid = store.add(DATA, pin="x")
    store.read(cid, max_size=len(DATA))
    store.gc(0, 1e12)
    store.unpin("x")
    store.close()
    names = {name for name, _ in fake.requests}
    assert names <= {"dag/import", "block/get", "pin/ls", "pin/rm"}
    assert json.loads(json.dumps(dict(fake.requests)["dag/import"]))["pin-roots"] == "true"

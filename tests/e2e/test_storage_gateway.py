"""A gateway on loopback: honest, and lying in every way that a socket allows."""

import contextlib
import http.client
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flchain.storage.car import encode_car
from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import (
    ContentCorrupt,
    ContentTooLarge,
    ContentUnavailable,
    InvalidCar,
    StoreUnreachable,
    StoreUnusable,
)
from flchain.storage.gateway import GatewaySource
from flchain.storage.gateway_server import GatewayServer
from flchain.storage.memory import make_memory_store
from flchain.storage.opening import open_store
from flchain.storage.unixfs import MAX_BLOCK, Block

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 1)
BLOCK = b"the block"
CID = compute_raw_cid(BLOCK)


@pytest.fixture
def store():
    return make_memory_store()


@pytest.fixture
def server(store):
    with GatewayServer(store, timeout=5.0) as running:
        yield running


@pytest.fixture
def source(server):
    opened = GatewaySource(server.url, attempts=1)
    yield opened
    opened.close()


def ask(server, path, method="GET", headers=None):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 1])
def test_gateway__any_size__reads_back_directly_and_through_layers(store, server, size):
    cid = store.add(DATA[:size], pin="x")
    for url in (f"gateway:{server.url}", f"memory:,gateway:{server.url}/"):
        reader = open_store(url)
        assert reader.read(cid, max_size=size) == DATA[:size]
        reader.close()


def test_gateway__archive__holds_every_block(store, source):
    cid = store.add(DATA, pin="x")
    blocks = list(source.fetch_car(cid, max_size=4 * MIB))
    assert blocks[0].cid == cid
    assert {block.cid.digest for block in blocks} == {b.digest for b in store.blocks.iterate()}


def test_gateway__archive_over_the_cap__stops(store, source):
    cid = store.add(DATA, pin="x")
    with pytest.raises(ContentTooLarge):
        list(source.fetch_car(cid, max_size=2 * MIB))


def test_gateway__absent_block__is_unavailable(source):
    with pytest.raises(ContentUnavailable, match=str(CID)):
        source.fetch_block(CID)
    with pytest.raises(ContentUnavailable):
        list(source.fetch_car(CID, max_size=MIB))
    assert not source.has_block(CID)


def test_gateway__many_requests__use_one_connection(store, source, server):
    store.put_block(BLOCK, "x")
    for _ in range(50):
        assert source.fetch_block(CID) == BLOCK
        assert source.has_block(CID)
    assert len(server._server._open) == 1


def test_gateway__connection_that_the_server_closed__is_replaced(store):
    store.put_block(BLOCK, "x")
    with GatewayServer(store, timeout=0.05) as server:
        source = GatewaySource(server.url, attempts=1)
        source.fetch_block(CID)
        time.sleep(0.3)
        assert source.fetch_block(CID) == BLOCK
        source.close()


def test_gateway__many_threads__all_read(store, server):
    cid = store.add(DATA, pin="x")
    reader = open_store(f"gateway:{server.url}")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: reader.read(cid, max_size=4 * MIB), range(24)))
    assert all(result == DATA for result in results)
    reader.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/ipfs/{CID}?format=raw", {}, 200),
        (f"/ipfs/{CID}?format=car", {}, 200),
        (f"/ipfs/{CID}", {"Accept": "application/vnd.ipld.raw"}, 200),
        (f"/ipfs/{CID}", {"Accept": "application/vnd.ipld.car; version=1"}, 200),
        (f"/ipfs/{CID}", {}, 406),
        (f"/ipfs/{CID}?format=tar", {}, 406),
        (f"/ipfs/{CID}/path?format=raw", {}, 400),
        ("/ipfs/notacid?format=raw", {}, 400),
        ("/ipfs/../../etc/passwd?format=raw", {}, 400),
        ("/", {}, 404),
        ("/api/v0/version", {}, 404),
        (f"/ipfs/{compute_raw_cid(b'absent')}?format=raw", {}, 404),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_server__request__has_the_status_of_the_specification(
    server, method, path, headers, status
):
    server._server.store.put_block(BLOCK, "x")
    got, answer, body = ask(server, path, method, headers)
    assert got == status
    if method == "HEAD":
        assert body == b""
    elif status == 200:
        expected = (
            BLOCK
            if "ipld.raw" in answer["Content-Type"]
            else b"".join(encode_car((CID,), [Block(CID, BLOCK)]))
        )
        assert body == expected
        assert "immutable" in answer["Cache-Control"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    else:
        assert b"\n" not in body[:-1]


def test_server__other_method__is_refused(server):
    assert ask(server, f"/ipfs/{CID}?format=raw", "POST")[0] == 501


def test_server__corrupt_block__is_not_served(store, server):
    store.put_block(BLOCK, "x")
    store.blocks.replace_unverified(CID, b"the blocc")
    assert ask(server, f"/ipfs/{CID}?format=raw")[0] == 500


def test_server__missing_leaf__breaks_the_archive_off(store, server, source):
    cid = store.add(DATA, pin="x")
    store.blocks.delete(compute_raw_cid(DATA[MIB : 2 * MIB]))
    with pytest.raises((StoreUnreachable, InvalidCar)):
        list(source.fetch_car(cid, max_size=4 * MIB))
    assert source.has_block(cid)


def test_server__reader_that_goes_away__does_no_harm(store, server, source):
    cid = store.add(DATA, pin="x")
    with connect(server) as client:
        client.sendall(f"GET /ipfs/{cid}?format=car HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.recv(100)
    assert source.has_block(cid)


def test_server__too_many_connections__are_told_so(store):
    store.put_block(BLOCK, "x")
    with GatewayServer(store, max_connections=2, timeout=5.0) as server:
        held = [connect(server) for _ in range(2)]
        wait_until(lambda: len(server._server._open) == 2)
        assert ask(server, f"/ipfs/{CID}?format=raw")[0] == 503
        for client in held:
            client.close()
        wait_until(lambda: not server._server._open)
        assert ask(server, f"/ipfs/{CID}?format=raw")[0] == 200


def test_server__stopped__leaves_no_thread_and_frees_the_port(store):
    before = threading.active_count()
    server = GatewayServer(store, timeout=60.0)
    idle = [connect(server) for _ in range(3)]
    wait_until(lambda: len(server._server._open) == 3)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5
    assert threading.active_count() == before
    port = server._server.server_port
    GatewayServer(store, port=port).stop()
    for client in idle:
        client.close()


def test_server__busy_port__names_it(store, server):
    port = server._server.server_port
    with pytest.raises(StoreUnusable, match=f"{port}.*choose another port"):
        GatewayServer(store, port=port)


def connect(server):
    return socket.create_connection(("127.0.0.1", server._server.server_port))


def wait_until(is_true):
    end = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Liar:
    """A server that reads a request's head and then misbehaves as told."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._answer(connection)

    def _answer(self, connection):
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        self.requests += 1
        answer = self._answers[min(self.requests, len(self._answers)) - 1]
        answer(connection)

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def lie():
    opened = []

    def start(*answers, **options):
        liar = Liar(*answers)
        options = {"attempts": 1, "timeout": 0.5, "deadline": 1.0, **options}
        source = GatewaySource(liar.url, sleep=lambda _: None, **options)
        opened.extend([source.close, liar.stop])
        return source, liar

    yield start
    for close in opened:
        close()


def say(*pieces, pause=0.0):
    def answer(connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


def respond(body, status=b"200 OK", length=None, headers=b""):
    size = len(body) if length is None else length
    return say(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, size, headers, body))


def flood(connection):
    """Send a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(65536))


def drip(head):
    """Send `head`, then a byte now and then without end."""

    def answer(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"1")
            time.sleep(0.05)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIES = {
    "flipped": (respond(b"the blocc"), ContentCorrupt),
    "another block": (respond(b"another"), ContentCorrupt),
    "empty": (respond(b""), ContentCorrupt),
    "longer": (respond(BLOCK + b"!"), ContentCorrupt),
    "truncated": (respond(BLOCK[:-1], length=len(BLOCK)), StoreUnreachable),
    "truncated without length": (say(b"HTTP/1.1 200 OK\r\n\r\nthe blo"), ContentCorrupt),
    "truncated chunk": (say(CHUNKED, b"9\r\nthe b"), StoreUnreachable),
    "nonsense chunk": (say(CHUNKED, b"zz\r\n"), StoreUnreachable),
    "oversized": (respond(bytes(MAX_BLOCK + 1)), ContentTooLarge),
    "endless": (flood, ContentTooLarge),
    "silent": (say(pause=2.0), StoreUnreachable),
    "hangs up": (say(), StoreUnreachable),
    "slow body": (drip(b"HTTP/1.1 200 OK\r\n\r\n"), StoreUnreachable),
    "slow head": (drip(b"HTTP/1.1 200 OK\r\nX: "), StoreUnreachable),
    "slow chunk": (drip(CHUNKED), StoreUnreachable),
    "not HTTP": (say(b"SSH-2.0-OpenSSH_9.2\r\n"), StoreUnreachable),
    "endless head": (say(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200), StoreUnreachable),
    "redirect": (
        respond(b"", b"302 Found", headers=b"Location: http://127.0.0.1:1/\r\n"),
        StoreUnreachable,
    ),
    "server error": (respond(b"", b"500 Oops"), StoreUnreachable),
    "forbidden": (respond(b"", b"403 Forbidden"), StoreUnreachable),
    "gone": (respond(b"", b"410 Gone"), ContentUnavailable),
    "partial": (respond(BLOCK[:3], b"206 Partial Content"), StoreUnreachable),
}


@pytest.mark.parametrize("name", LIES)
def test_source__lying_gateway__is_found_out_in_time(lie, name):
    answer, error = LIES[name]
    source, _ = lie(answer)
    started = time.monotonic()
    with pytest.raises(error) as caught:
        source.fetch_block(CID)
    assert time.monotonic() - started < 3
    assert "\n" not in str(caught.value)


def test_source__failure_that_passes__is_tried_again(lie):
    source, liar = lie(respond(b"", b"503 Busy"), say(), respond(BLOCK), attempts=3)
    assert source.fetch_block(CID) == BLOCK
    assert liar.requests == 3


def test_source__refusal_that_stays__is_not_tried_again(lie):
    source, liar = lie(respond(b"", b"403 Forbidden"), attempts=3)
    with pytest.raises(StoreUnreachable) as caught:
        source.fetch_block(CID)
    assert not caught.value.is_retryable
    assert liar.requests == 1


def make_archive(root, *blocks):
    return b"".join(encode_car((root,), [Block(compute_raw_cid(b), b) for b in blocks]))


def lengthen(archive):
    return archive[: -len(BLOCK)] + b"the blocc"


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (make_archive(compute_raw_cid(b"other"), b"other"), InvalidCar),
        (lengthen(make_archive(CID, BLOCK)), ContentCorrupt),
        (make_archive(CID, BLOCK)[:-1], InvalidCar),
        (b"<html>not an archive</html>", InvalidCar),
        (b"", InvalidCar),
    ],
    ids=["other root", "flipped", "truncated", "web page", "empty"],
)
def test_source__lying_archive__is_found_out(lie, archive, error):
    source, _ = lie(respond(archive))
    with pytest.raises(error):
        list(source.fetch_car(CID, max_size=MIB))


def test_source__endless_archive__stops_at_the_cap(lie):
    block = os.urandom(MIB)
    section = make_archive(CID, block)[len(make_archive(CID)) :]

    def flood_blocks(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + make_archive(CID))
        while True:
            connection.sendall(section)

    source, _ = lie(flood_blocks, deadline=10.0)
    with pytest.raises(ContentTooLarge):
        list(source.fetch_car(CID, max_size=8 * MIB))


def test_layers__lying_and_honest_gateway__give_the_truth(lie, store, server):
    cid = store.add(DATA, pin="x")
    _, liar = lie(respond(b"a lie"))
    reader = open_store(f"memory:,gateway:{liar.url},gateway:{server.url}")
    assert reader.read(cid, max_size=4 * MIB) == DATA
    assert liar.requests > 0
    reader.close()


def test_source__nobody_listens__names_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = GatewaySource(f"http://127.0.0.1:{port}", attempts=2, sleep=lambda _: None)
    with pytest.raises(StoreUnreachable, match=str(port)) as caught:
        source.fetch_block(CID)
    assert caught.value.is_retryable

"""JSON-RPC over a real socket, from nodes that are slow, broken or something else."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from web3 import Web3

from flchain.chain.provider import RpcProvider
from flchain.chain.rpc import HttpRpc, RpcError, get_origin
from flchain.protocol.errors import AdapterError

SOMEBODY = Web3.to_checksum_address("0x" + "a1" * 20)


class Node(ThreadingHTTPServer):
    """Answers with whatever `respond` returns: a status and bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = lambda document: (200, json.dumps(answer(document)).encode())
        self.headers = []

    def handle_error(self, *_arguments):
        """Say nothing of clients that have given up."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(self.headers)
        status, body = self.server.respond(document)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def answer(document):
    """Answer as an echo: the result is the method's name and parameters."""
    if isinstance(document, list):
        return [answer(item) for item in document]
    if document["method"] == "fail":
        error = {"code": 3, "message": "reverted", "data": "0x12"}
        return {"jsonrpc": "2.0", "id": document["id"], "error": error}
    result = [document["method"], document["params"]]
    return {"jsonrpc": "2.0", "id": document["id"], "result": result}


@pytest.fixture
def node():
    server = Node()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_call__result__returned(node):
    assert HttpRpc(node.url).call("eth_x", 1, "a") == ["eth_x", [1, "a"]]


def test_call__error__code_message_and_data(node):
    with pytest.raises(RpcError) as caught:
        HttpRpc(node.url).call("fail")
    assert (caught.value.code, caught.value.message, caught.value.data) == (3, "reverted", "0x12")
    assert not caught.value.is_retryable


def test_call_all__answers_out_of_order__in_the_order_asked(node):
    node.respond = lambda document: (200, json.dumps(answer(document)[::-1]).encode())
    results = HttpRpc(node.url).call_all([("a", ()), ("fail", ()), ("b", (1,))])
    assert [results[0], results[2]] == [["a", []], ["b", [1]]]
    assert isinstance(results[1], RpcError)


def test_call_all__nothing__asks_nothing(node):
    assert HttpRpc(node.url).call_all([]) == []
    assert not node.headers


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_call__overloaded__retryable(node, status):
    node.respond = lambda _: (status, b"busy")
    with pytest.raises(AdapterError, match=str(status)) as caught:
        HttpRpc(node.url).call("eth_x")
    assert caught.value.is_retryable


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"5", b"null", b"{}", b'{"error": 7}', b'{"error": {}}', b"\xff\xfe"],
)
@pytest.mark.parametrize("is_batch", [False, True])
def test_call__not_json_rpc__adapter_error(node, body, is_batch):
    node.respond = lambda _: (200, body)
    rpc = HttpRpc(node.url)
    with pytest.raises(AdapterError) as caught:
        rpc.call_all([("a", ()), ("b", ())]) if is_batch else rpc.call("a")
    assert "\n" not in str(caught.value)


def test_call_all__an_answer_missing_or_doubled__adapter_error(node):
    for damage in (lambda found: found[:1], lambda found: found[:1] * 2, lambda _: [1, 2]):
        node.respond = lambda document, damage=damage: (
            200,
            json.dumps(damage(answer(document))).encode(),
        )
        with pytest.raises(AdapterError):
            HttpRpc(node.url).call_all([("a", ()), ("b", ())])


def test_call__nobody_there__retryable_and_names_the_node(node):
    url = node.url.replace("http://", "http://user:secret@") + "/v3/secret"
    node.shutdown()
    node.server_close()
    with pytest.raises(AdapterError) as caught:
        HttpRpc(url).call("eth_x")
    assert caught.value.is_retryable
    assert str(node.server_address[1]) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_call__user_in_the_address__sent_as_authorisation(node):
    url = node.url.replace("http://", "http://user:pass@")
    assert HttpRpc(url).call("a") == ["a", []]
    assert node.headers[0]["Authorization"] == "Basic dXNlcjpwYXNz"


def test_call__silent_node__gives_up(node):
    wait = threading.Event()
    node.respond = lambda _: (wait.wait(5), (200, b"{}"))[1]
    with pytest.raises(AdapterError) as caught:
        HttpRpc(node.url, timeout=0.2).call("a")
    wait.set()
    assert caught.value.is_retryable


def test_provider__web3__one_and_many_requests(node):
    def respond(document):
        answers = [
            {"jsonrpc": "2.0", "id": item["id"], "result": hex(number)}
            for number, item in enumerate(document if isinstance(document, list) else [document])
        ]
        return 200, json.dumps(answers[::-1] if isinstance(document, list) else answers[0]).encode()

    node.respond = respond
    w3 = Web3(RpcProvider(HttpRpc(node.url)))
    assert w3.eth.chain_id == 0
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_balance(SOMEBODY))
        batch.add(w3.eth.get_balance(SOMEBODY))
        assert batch.execute() == [0, 1]
    node.respond = lambda _: (503, b"busy")
    with pytest.raises(AdapterError):
        _ = w3.eth.block_number


def test_call__many_threads__own_answers(node):
    rpc, results = HttpRpc(node.url), {}

    def work(number):
        for _ in range(10):
            results[number] = rpc.call("eth_x", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: ["eth_x", [number]] for number in range(8)}


def test_origin__secrets_in_the_address__left_out():
    assert get_origin("https://user:pw@node.example:8545/key?x=1") == "https://node.example:8545"

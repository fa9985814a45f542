"""The few RPC endpoints of Kubo that flchain calls, over a store in memory.

Answers, error texts and status codes are Kubo's. `faults` makes it misbehave.
"""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from flchain.protocol.errors import FlchainError
from flchain.storage.cid import decode_cid
from flchain.storage.errors import ContentUnavailable
from flchain.storage.memory import make_memory_store


class FakeKubo:
    """A node on loopback; use `address` as its multiaddress."""

    def __init__(self):
        self.store = make_memory_store()
        self.faults = {}
        self.requests = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.node = self
        self.address = f"/ip4/127.0.0.1/tcp/{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    node: FakeKubo

    def handle_error(self, request, client_address):
        """Say nothing: tests hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._send(405, b"405 - Method Not Allowed\n")

    def do_POST(self):
        parts = urlsplit(self.path)
        name = parts.path.removeprefix("/api/v0/")
        self.options = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.node = self.server.node
        self.node.requests.append((name, self.options))
        body = self._read_body()
        fault = self.node.faults.get(name)
        if fault is not None:
            fault(self)
            return
        try:
            getattr(self, "rpc_" + name.replace("/", "_"))(body)
        except ContentUnavailable as error:
            self.fail(f"block was not found locally (offline): ipld: could not find {error.cid}")
        except FlchainError as error:
            self.fail(str(error))

    def rpc_version(self, _):
        self.answer({"Version": "0.43.1", "Commit": "", "Repo": "18", "System": "", "Golang": ""})

    def rpc_block_get(self, _):
        self._send(200, self.node.store.get_block(self.cid), "application/octet-stream")

    def rpc_block_stat(self, _):
        block = self.node.store.get_block(self.cid)
        self.answer({"Key": str(self.cid), "Size": len(block)})

    def rpc_dag_export(self, _):
        archive = b"".join(self.node.store.export_car(self.cid))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(archive), 65536):
            piece = archive[at : at + 65536]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def rpc_dag_import(self, body):
        boundary = self.headers.get_boundary("")
        head, _, rest = body.partition(b"\r\n\r\n")
        assert b"application/octet-stream" in head
        archive = rest[: rest.rindex(b"\r\n--" + boundary.encode() + b"--")]
        roots = self.node.store.import_car(io.BytesIO(archive), pin="import", max_size=1 << 40)
        self.node.store.unpin("import")
        for root in roots:
            if self.options["pin-roots"] == "true":
                self.node.store.pin(root, "pin")
            self.answer({"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": ""}})

    def rpc_pin_add(self, _):
        self.node.store.pin(self.cid, "pin")
        self.answer({"Pins": [str(self.cid)]})

    def rpc_pin_ls(self, _):
        if not self.node.store.pin_table.is_pinned(self.cid):
            self.fail(f"path '{self.cid}' is not pinned")
            return
        self.answer({"Keys": {str(self.cid): {"Type": "recursive", "Name": ""}}})

    def rpc_pin_rm(self, _):
        table = self.node.store.pin_table
        if not table.is_pinned(self.cid):
            self.fail("not pinned or pinned indirectly")
            return
        others = [pin.cid for pin in table.iterate() if pin.cid != self.cid]
        table.remove("pin")
        for cid in others:
            table.add("pin", cid)
        self.answer({"Pins": [str(self.cid)]})

    @property
    def cid(self):
        return decode_cid(self.options["arg"])

    def answer(self, value):
        self._send(200, json.dumps(value).encode() + b"\n", "application/json")

    def fail(self, message):
        text = json.dumps({"Message": message, "Code": 0, "Type": "error"})
        self._send(500, text.encode(), "application/json")

    def _send(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

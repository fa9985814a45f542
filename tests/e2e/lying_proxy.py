"""An RPC proxy that stands between a client and a node, and tells some of it otherwise."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import urllib3

Lie = Callable[[str, list, Any], Any]
"""Takes method, parameters and the true result, and returns what the client gets."""


class LyingProxy:
    """Forwards to `upstream`; every result goes through `lie`. A context manager."""

    def __init__(self, upstream: str, lie: Lie) -> None:
        self._upstream = upstream
        self._lie = lie
        self._pool = urllib3.PoolManager()
        self.told = 0
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, body: bytes) -> bytes:
        """Return the upstream's answer with the lies in it."""
        requests = json.loads(body)
        headers = {"Content-Type": "application/json"}
        response = self._pool.request("POST", self._upstream, body=body, headers=headers)
        answers = json.loads(response.data)
        if isinstance(answers, dict) and isinstance(requests, dict):
            return json.dumps(self._twist(requests, answers)).encode()
        if isinstance(answers, dict):
            return response.data
        by_id = {request["id"]: request for request in requests}
        return json.dumps([self._twist(by_id[a["id"]], a) for a in answers]).encode()

    def _twist(self, request: dict, answer: dict) -> dict:
        if "result" not in answer:
            return answer
        before = json.dumps(answer["result"])
        told = self._lie(request["method"], request["params"], json.loads(before))
        self.told += json.dumps(told) != before
        return {**answer, "result": told}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.clear()


class _Handler(BaseHTTPRequestHandler):
    proxy: LyingProxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.proxy.answer(body)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

"""A trustless gateway over a store, so that others read it without an IPFS node.

Serves `GET` and `HEAD` of /ipfs/CID?format=raw and ?format=car, nothing else. Readers verify, so
this side need not be trusted. Source: https://specs.ipfs.tech/http-gateways/trustless-gateway/.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from flchain.protocol.errors import FlchainError
from flchain.storage.base import ContentStore
from flchain.storage.cid import Cid, InvalidCid, decode_cid
from flchain.storage.errors import ContentUnavailable, StoreUnusable
from flchain.storage.gateway import CAR_ORDER, CAR_TYPE, RAW_TYPE

_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class GatewayServer:
    """Serves `store` in threads until `stop`; also a context manager.

    Give it a store without remote places, or each request makes this node fetch for others.
    """

    def __init__(
        self,
        store: ContentStore,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_connections: int = 64,
        timeout: float = 30.0,
    ) -> None:
        """Bind to the address and serve; port 0 takes a free one.

        Further connections than `max_connections` get status 503; one that is idle for `timeout`
        seconds is closed. Raises `StoreUnusable` when the address is taken.
        """
        try:
            self._server = _Server((host, port), store, max_connections, timeout)
        except OSError as error:
            raise StoreUnusable(
                f"can't serve on {host}:{port} ({error.strerror}); choose another port"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The address that a `GatewaySource` takes."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def stop(self) -> None:
        """Stop accepting, cut open connections, wait for their threads."""
        self._server.shutdown()
        self._server.cut_connections()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() then waits for every one of them

    def __init__(
        self, address: tuple[str, int], store: ContentStore, max_connections: int, timeout: float
    ) -> None:
        self.store = store
        self.idle_timeout = timeout
        self._free = threading.Semaphore(max_connections)
        self._open: set[socket.socket] = set()
        self._mutex = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(
        self,
        request: socket.socket | tuple[bytes, socket.socket],
        client_address: object,
    ) -> None:
        connection = _as_socket(request)
        if not self._free.acquire(blocking=False):
            with suppress(OSError):
                connection.sendall(_REFUSAL)
            self.shutdown_request(request)
            return
        with self._mutex:
            self._open.add(connection)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._mutex:
            was_open = _as_socket(request) in self._open
            self._open.discard(_as_socket(request))
        if was_open:
            self._free.release()
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Wake every handler that waits for its peer."""
        with self._mutex:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a peer that goes away is no event."""


def _as_socket(request: socket.socket | tuple[bytes, socket.socket]) -> socket.socket:
    return request if isinstance(request, socket.socket) else request[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small answer waits 40 ms for an acknowledgement
    wbufsize = 1 << 16
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.idle_timeout)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def log_message(self, *_values: object) -> None:
        """Say nothing; the operator's log is not for each request."""

    def _answer(self, *, has_body: bool) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        try:
            cid, form = self._parse()
            block = self.server.store.get_block(cid)
        except _BadRequest as error:
            self._refuse(error.status, str(error), has_body=has_body)
        except ContentUnavailable as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error), has_body=has_body)
        except FlchainError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error), has_body=has_body)
        else:
            send = self._send_raw if form == "raw" else self._send_car
            send(cid, block, has_body=has_body)

    def _parse(self) -> tuple[Cid, str]:
        """Return the CID and the format, from the query or else from Accept."""
        parts = urlsplit(self.path)
        if not parts.path.startswith("/ipfs/"):
            raise _BadRequest(HTTPStatus.NOT_FOUND, "only /ipfs/CID is served")
        form = parse_qs(parts.query).get("format", [""])[0] or self._get_accepted()
        if form not in ("raw", "car"):
            raise _BadRequest(HTTPStatus.NOT_ACCEPTABLE, "ask for ?format=raw or ?format=car")
        try:
            return decode_cid(parts.path.removeprefix("/ipfs/")), form
        except InvalidCid as error:
            raise _BadRequest(HTTPStatus.BAD_REQUEST, str(error)) from error

    def _get_accepted(self) -> str:
        accept = self.headers.get("Accept", "")
        return "raw" if RAW_TYPE in accept else "car" if CAR_TYPE in accept else ""

    def _send_raw(self, cid: Cid, block: bytes, *, has_body: bool) -> None:
        self._send_head(cid, "raw", RAW_TYPE)
        self.send_header("Content-Length", str(len(block)))
        self.end_headers()
        if has_body:
            self.wfile.write(block)

    def _send_car(self, cid: Cid, _block: bytes, *, has_body: bool) -> None:
        is_chunked = self.request_version != "HTTP/1.0"
        self._send_head(cid, "car", CAR_ORDER)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()
        if has_body:
            self._write_pieces(self.server.store.export_car(cid), is_chunked=is_chunked)

    def _write_pieces(self, pieces: Iterator[bytes], *, is_chunked: bool) -> None:
        """Send the archive; one that breaks off has no end mark, so its reader knows."""
        # An error here comes after the head was sent; closing is the only signal left.
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = False

    def _send_head(self, cid: Cid, form: str, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Disposition", f'attachment; filename="{cid}.{form}"')
        self.send_header("Etag", f'"{cid}.{form}"')
        self.send_header("Cache-Control", "public, max-age=29030400, immutable")
        self.send_header("X-Content-Type-Options", "nosniff")

    def _refuse(self, status: HTTPStatus, text: str, *, has_body: bool) -> None:
        body = text.encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            self.wfile.write(body)


class _BadRequest(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status

"""Reading from a trustless gateway: every byte is checked, no answer is waited for without end.

Source: https://specs.ipfs.tech/http-gateways/trustless-gateway/, the `raw` and `car` formats.
A gateway can withhold; it can't make a reader accept a wrong block, hold more than the limits in
memory, or keep a reader beyond its deadline.
"""

import http.client
import io
import queue
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from flchain.storage.base import Source
from flchain.storage.car import decode_car_header, iterate_car_blocks
from flchain.storage.cid import Cid
from flchain.storage.errors import (
    ContentTooLarge,
    ContentUnavailable,
    InvalidCar,
    StoreUnreachable,
    StoreUnusable,
    to_one_line,
)
from flchain.storage.unixfs import MAX_BLOCK, Block, verify_block

RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
CAR_ORDER = f"{CAR_TYPE}; version=1; order=dfs; dups=n"
_ABSENT = {404, 410}
_BUSY = {429, 500, 502, 503, 504}
_FAILURES = (OSError, http.client.HTTPException, ValueError)


class GatewaySource(Source):
    """`Source` over HTTP; threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        deadline: float = 120.0,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read from `url`, such as http://127.0.0.1:8080; nothing is sent yet.

        `timeout` bounds each wait in seconds, `deadline` one attempt for one block or archive.
        """
        self._scheme, self._host, self._port, self._prefix = _split_url(url)
        self.name = url
        self._timeout = timeout
        self._deadline = deadline
        self._attempts = attempts
        self._sleep = sleep
        self._clock = clock
        self._idle: queue.SimpleQueue[_Connection] = queue.SimpleQueue()

    def fetch_block(self, cid: Cid) -> bytes:
        """Return the verified block.

        Raises `ContentUnavailable` (404), `ContentCorrupt` (wrong bytes), `ContentTooLarge`, or
        `StoreUnreachable` after the last attempt.
        """
        data = self._repeat(lambda: self._fetch("GET", cid))
        verify_block(cid, data, where=self.name)
        return data

    def has_block(self, cid: Cid) -> bool:
        """Return whether the gateway says that it holds a block."""
        try:
            self._repeat(lambda: self._fetch("HEAD", cid))
        except ContentUnavailable:
            return False
        return True

    def fetch_car(self, cid: Cid, *, max_size: int) -> Iterator[Block]:
        """Yield verified blocks of the tree as the gateway sends them, in one attempt.

        They are blocks of some tree: the caller checks that they belong to `cid`. Also raises
        `InvalidCar`.
        """
        with self._open("GET", cid, "car", CAR_ORDER) as response:
            source = cast("io.BufferedReader", response)
            if decode_car_header(source) != (cid,):
                raise InvalidCar(f"{self.name}: the archive's root is not {cid}")
            yield from iterate_car_blocks(source, max_size=max_size, where=self.name)

    def close(self) -> None:
        """Close the idle connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _fetch(self, method: str, cid: Cid) -> bytes:
        with self._open(method, cid, "raw", RAW_TYPE) as response:
            return _read_limited(response, self.name)

    def _repeat(self, request: Callable[[], bytes]) -> bytes:
        """Run a request, again after a failure that may pass."""
        for attempt in range(self._attempts - 1):
            try:
                return request()
            except StoreUnreachable as error:
                if not error.is_retryable:
                    raise
                self._sleep(0.1 * 2**attempt)
        return request()

    @contextmanager
    def _open(
        self, method: str, cid: Cid, form: str, accept: str
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield a 200 answer; keep its connection when it was read to the end."""
        connection, response = self._request(
            method, f"{self._prefix}/ipfs/{cid}?format={form}", accept
        )
        try:
            self._verify_status(cid, response)
            yield response
        except _FAILURES as error:
            raise self._explain(error) from error
        finally:
            if response.isclosed() and not response.will_close:
                self._idle.put(connection)
            else:
                response.close()
                connection.close()

    def _request(
        self, method: str, path: str, accept: str
    ) -> tuple["_Connection", http.client.HTTPResponse]:
        """Send over an idle connection, or a new one when there is none that works."""
        while not self._idle.empty():
            idle = self._idle.get_nowait()
            try:
                return idle, idle.send(method, path, accept, self._deadline)
            except TimeoutError as error:
                idle.close()
                raise self._explain(error) from error
            except _FAILURES:
                idle.close()
        connection = _Connection(self._scheme, self._host, self._port, self._timeout, self._clock)
        try:
            return connection, connection.send(method, path, accept, self._deadline)
        except _FAILURES as error:
            connection.close()
            raise self._explain(error) from error

    def _verify_status(self, cid: Cid, response: http.client.HTTPResponse) -> None:
        status = response.status
        if status in _ABSENT:
            raise ContentUnavailable(cid, self.name)
        if status != http.client.OK:
            raise StoreUnreachable(
                f"{self.name} answered {status} for {cid}; check that it is a trustless gateway",
                is_retryable=status in _BUSY,
            )

    def _explain(self, error: Exception) -> StoreUnreachable:
        what = "took too long" if isinstance(error, TimeoutError) else to_one_line(error)
        return StoreUnreachable(
            f"{self.name} can't be read ({what}); check the address and that it runs",
            is_retryable=True,
        )


class _Connection:
    """One kept-alive connection with a deadline for each request."""

    def __init__(
        self, scheme: str, host: str, port: int | None, timeout: float, clock: Callable[[], float]
    ) -> None:
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._http = kind(host, port, timeout=timeout)
        self._http.auto_open = 0  # else a closed one would reconnect without deadlines
        self._sock: _TimedSocket | None = None
        self._timeout = timeout
        self._clock = clock

    def send(
        self, method: str, path: str, accept: str, deadline: float
    ) -> http.client.HTTPResponse:
        """Ask for `path`; the whole answer must arrive within `deadline` s."""
        end = self._clock() + deadline
        if self._sock is None:
            self._http.connect()
            self._sock = _TimedSocket(self._http.sock, self._timeout, self._clock)
            self._http.sock = self._sock
        self._sock.end = end
        self._http.request(method, path, headers={"Accept": accept})
        return self._http.getresponse()

    def close(self) -> None:
        """Close the socket."""
        self._http.close()


class _TimedSocket:
    """What `http.client` uses of a socket, each wait cut at `end`."""

    def __init__(self, sock: socket.socket, timeout: float, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._timeout = timeout
        self._clock = clock
        self.end = 0.0

    def arm(self) -> None:
        """Set the time that the next wait may take."""
        left = self.end - self._clock()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        self._sock.settimeout(min(left, self._timeout))

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self.arm()
        self._sock.sendall(data)

    def makefile(self, *_mode: object, **_options: object) -> io.BufferedReader:
        """Return a reader of the answer."""
        return io.BufferedReader(_TimedReader(self, self._sock.makefile("rb", buffering=0)))

    def close(self) -> None:
        """Close the socket; readers made before go on."""
        self._sock.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: _TimedSocket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.arm()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read_limited(response: http.client.HTTPResponse, where: str) -> bytes:
    """Read the body to its end, at most one block."""
    data = response.read(MAX_BLOCK + 1)
    if len(data) > MAX_BLOCK:
        raise ContentTooLarge(f"{where} sends more than a block of {MAX_BLOCK} bytes")
    if response.length:
        raise http.client.IncompleteRead(data, response.length)
    return data


def _split_url(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise StoreUnusable(f"{url!r} is not a gateway address such as http://127.0.0.1:8080")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")

"""A Kubo node over its RPC: archives go in with `dag/import`, blocks are checked on the way out.

CIDs are computed here and never taken from the node, whose own `add` may use another profile.
A node does not notice a flipped bit on its disk, so everything read is verified. The RPC is an
admin port: the node is the operator's own, and only lies that hashing finds are guarded against.
`repo/gc` is never called, and only pins made here are removed.
"""

import io
import ipaddress
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ipfshttpclient

from flchain.storage.base import Publisher
from flchain.storage.car import decode_car_header, iterate_car_blocks
from flchain.storage.cid import Cid, InvalidCid, decode_cid
from flchain.storage.errors import (
    ContentUnavailable,
    InvalidCar,
    StoreUnreachable,
    StoreUnusable,
    to_one_line,
)
from flchain.storage.unixfs import Block, verify_block, verify_block_size

# The client passes urllib3 2 a parameter of version 1; it is ignored, and nobody can act on it.
warnings.filterwarnings("ignore", "The 'strict' parameter is no longer needed", FutureWarning)

_CONNECT = 5.0
_SLACK = 5.0
"""Seconds that the node has beyond its own deadline to say that it gave up."""
_Result = TypeVar("_Result")
_BROKEN = (
    ipfshttpclient.exceptions.ConnectionError,
    ipfshttpclient.exceptions.TimeoutError,
    ipfshttpclient.exceptions.ProtocolError,
    OSError,
)
_TIMED_OUT = ("context deadline exceeded", "timeout", "timed out")


class KuboNode(Publisher):
    """`Publisher` over the RPC of one node; threads may share it."""

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 60.0,
        publish_timeout: float = 600.0,
        attempts: int = 3,
        headers: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use the node at a multiaddress such as /ip4/127.0.0.1/tcp/5001.

        Nothing is sent yet. `timeout` bounds the search for a block, in seconds, here and in the
        node; `headers` may carry a bearer token. Raises `StoreUnusable` for a bad address.
        """
        self.name = f"kubo:{address}"
        self._opts = {"timeout": f"{timeout:.3f}s"}
        self._publish_opts = {"timeout": f"{publish_timeout:.3f}s", "pin-roots": "true"}
        self._publish_wait = (_CONNECT, publish_timeout + _SLACK)
        self._attempts = attempts
        self._sleep = sleep
        try:
            # Client() makes no request; connect() would refuse every current node.
            self._client: Any = ipfshttpclient.Client(
                address, timeout=(_CONNECT, timeout + _SLACK), headers=dict(headers or {})
            )
        except Exception as error:  # the multiaddress parser has no common base class
            raise StoreUnusable(
                f"{address!r} is not an RPC address such as /ip4/127.0.0.1/tcp/5001"
            ) from error

    def get_version(self) -> str:
        """Return what the node calls its version; a cheap test that it answers."""
        return self._call(lambda: str(self._client.version()["Version"]))

    def fetch_block(self, cid: Cid) -> bytes:
        """Return the verified block; the node may search its peers for it."""
        data: bytes = self._find(
            cid, lambda: self._client.block.get(str(cid), opts=dict(self._opts))
        )
        verify_block_size(len(data))
        verify_block(cid, data, where=self.name, advice="run `ipfs repo verify` on that node")
        return data

    def fetch_car(self, cid: Cid, *, max_size: int) -> Iterator[Block]:
        """Yield the verified blocks of the tree in one attempt; see `Source`."""
        stream = self._find(
            cid, lambda: self._client.dag.export(str(cid), stream=True, opts=dict(self._opts))
        )
        with stream:
            source = io.BufferedReader(_PieceReader(stream))
            try:
                if decode_car_header(source) != (cid,):
                    raise InvalidCar(f"{self.name}: the archive's root is not {cid}")
                yield from iterate_car_blocks(source, max_size=max_size, where=self.name)
            except (ipfshttpclient.exceptions.Error, OSError) as error:
                raise self._explain(error) from error

    def has_block(self, cid: Cid) -> bool:
        """Return whether the node itself holds a block, without asking peers."""
        try:
            self._find(
                cid,
                lambda: self._client.block.stat(str(cid), offline=True, opts=dict(self._opts)),
            )
        except ContentUnavailable:
            return False
        return True

    def is_pinned(self, root: Cid) -> bool:
        """Return whether anybody pinned the tree on the node."""
        try:
            self._call(
                lambda: self._client.pin.ls(str(root), type="recursive", opts=dict(self._opts))
            )
        except _Refused as error:
            if "not pinned" in str(error):
                return False
            raise
        return True

    def publish(self, root: Cid, open_archive: Callable[[], Iterator[bytes]]) -> None:
        """Import and pin an archive; return when the node confirms the root."""
        answer = self._call(
            lambda: self._client.dag.imprt(
                io.BufferedReader(_PieceReader(open_archive())),
                opts=dict(self._publish_opts),
                timeout=self._publish_wait,
            )
        )
        try:
            got, problem = decode_cid(answer["Root"]["Cid"]["/"]), answer["Root"]["PinErrorMsg"]
        except (KeyError, TypeError, InvalidCid) as error:
            raise StoreUnreachable(f"{self.name} does not answer like a Kubo node") from error
        if (got.digest, got.codec) != (root.digest, root.codec) or problem:
            raise StoreUnreachable(
                f"{self.name} did not confirm {root} ({problem or got}); look at its log"
            )

    def pin(self, root: Cid) -> None:
        """Pin a tree that the node holds or finds."""
        self._find(root, lambda: self._client.pin.add(str(root), opts=dict(self._publish_opts)))

    def retract(self, root: Cid) -> None:
        """Remove the node's pin; a missing one is no error."""
        try:
            self._call(lambda: self._client.pin.rm(str(root), opts=dict(self._opts)))
        except _Refused as error:
            if "not pinned" not in str(error):
                raise

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def is_loopback(self) -> bool:
        """Return whether the RPC is reached without leaving the machine."""
        parts = self.name.split("/")
        try:
            return "unix" in parts or ipaddress.ip_address(parts[2]).is_loopback
        except (IndexError, ValueError):
            return "localhost" in parts

    def _find(self, cid: Cid, request: Callable[[], _Result]) -> _Result:
        """Run a request for content; what the node can't find is unavailable."""
        try:
            return self._call(request)
        except _Refused as error:
            raise ContentUnavailable(cid, f"{self.name} ({error})") from error

    def _call(self, request: Callable[[], _Result]) -> _Result:
        """Run a request, again after a broken connection; all requests may repeat."""
        for attempt in range(self._attempts):
            try:
                return request()
            except ipfshttpclient.exceptions.ErrorResponse as error:
                text = str(error).lower()
                is_timeout = any(words in text for words in _TIMED_OUT)
                raise _Refused(
                    f"{self.name}: {to_one_line(error)}", is_retryable=is_timeout
                ) from error
            except _BROKEN as error:
                if attempt + 1 == self._attempts:
                    raise self._explain(error) from error
                self._sleep(0.1 * 2**attempt)
            except (ipfshttpclient.exceptions.Error, AssertionError, LookupError) as error:
                raise self._explain(error, is_retryable=False) from error
        raise StoreUnreachable(f"{self.name}: no attempt is allowed")

    def _explain(self, error: Exception, *, is_retryable: bool = True) -> StoreUnreachable:
        return StoreUnreachable(
            f"{self.name} can't be used ({to_one_line(error)}); check the address and that it runs",
            is_retryable=is_retryable,
        )


class _Refused(StoreUnreachable):
    """The node answered that it will not or can not."""


class _PieceReader(io.RawIOBase):
    """A binary file over pieces that arrive one by one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

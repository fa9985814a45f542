"""Content stores that keep nothing on this machine: a gateway's, and one node's."""

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import BinaryIO, NoReturn

from flchain.storage.base import Collected, Publisher, Source, StoredBlock
from flchain.storage.car import (
    decode_car_header,
    encode_car_header,
    encode_car_section,
    iterate_car_blocks,
)
from flchain.storage.cid import Cid, compute_raw_cid
from flchain.storage.errors import InvalidCar, StoreUnusable
from flchain.storage.local import LocalStore
from flchain.storage.pins import PinTable
from flchain.storage.publication import Publications
from flchain.storage.unixfs import Block, build_blocks, verify_block_size, verify_complete

_IN_MEMORY = 8 << 20
_PIECE = 1 << 20


class SourceBlocks:
    """`BlockStore` view of a `Source`; writing raises `StoreUnusable`."""

    def __init__(self, source: Source) -> None:
        """Read through `source`."""
        self._source = source

    def get(self, cid: Cid) -> bytes:
        """Return the verified block."""
        return self._source.fetch_block(cid)

    def has(self, cid: Cid) -> bool:
        """Return whether the source says that it holds a block."""
        return self._source.has_block(cid)

    def put(self, cid: Cid, block: bytes, *, is_root: bool = False) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        raise StoreUnusable(
            f"{self._source.name} is read only; name a file: store before it, as in "
            "file:FOLDER,gateway:URL"
        )

    def delete(self, cid: Cid) -> None:
        """Leave the remote place alone."""

    def iterate(self) -> Iterator[StoredBlock]:
        """Yield nothing: what the place holds is not this store's to list."""
        return iter(())

    def lock(self, *, is_exclusive: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - port
        """Hold nothing."""
        return nullcontext()

    def close(self) -> None:
        """Release connections."""
        self._source.close()


def make_read_only_store(source: Source) -> LocalStore:
    """Return a content store that only reads, and keeps nothing."""
    return LocalStore(SourceBlocks(source), PinTable(None))


class RemoteStore(LocalStore):
    """`ContentStore` on one node; only the names of pins are kept here.

    With a pin table in memory the names are lost at the end of the process; the node then keeps
    the content for good. Processes that share a node should share the table.
    """

    def __init__(self, node: Publisher, pins: PinTable) -> None:
        """Join a node and a pin table; `close` closes both."""
        super().__init__(SourceBlocks(node), pins)
        self._node = node
        self._publications = Publications(pins, (node,))

    def add(self, src: bytes | BinaryIO, *, pin: str) -> Cid:
        """Build the tree here, send it as one archive, and wait for the node."""
        source = io.BytesIO(src) if isinstance(src, bytes) else src
        with _spool(build_blocks(source)) as (root, archive):
            self._publish(root, archive, pin)
        return root

    def put_block(self, block: bytes, pin: str) -> Cid:
        """Send one raw block and wait for the node."""
        verify_block_size(len(block))
        cid = compute_raw_cid(block)
        with _spool([Block(cid, block)]) as (root, archive):
            self._publish(root, archive, pin)
        return cid

    def import_car(self, src: BinaryIO, *, pin: str, max_size: int) -> tuple[Cid, ...]:
        """Verify an archive with one root, and send it on."""
        roots = decode_car_header(src)
        if len(roots) != 1:
            raise InvalidCar(f"the archive has {len(roots)} roots; a node takes one at a time")
        blocks = iterate_car_blocks(src, max_size=max_size, where="the archive")
        with _spool(verify_complete(roots[0], blocks), roots[0]) as (root, archive):
            self._publish(root, archive, pin)
        return roots

    def pin(self, cid: Cid, name: str) -> None:
        """Let the node keep, and if need be find, a tree under one more name."""
        self.pin_all((cid,), name)

    def pin_all(self, cids: Sequence[Cid], name: str) -> None:
        """Let the node keep, and if need be find, trees under one more name."""
        for cid in cids:
            self._publications.adopt(cid)
        self.pin_table.add(name, *cids)

    def unpin(self, name: str) -> None:
        """Forget a name; the node drops what no other name keeps."""
        self._publications.retract(name)
        self.pin_table.remove(name)

    def gc(self, min_age: float, now: float) -> Collected:  # noqa: ARG002 - port
        """Remove nothing: the node collects by its own rules."""
        return Collected(0, 0)

    def _publish(self, root: Cid, archive: BinaryIO, pin: str) -> None:
        self._publications.publish(root, lambda: _read_again(archive))
        self.pin_table.add(pin, root)


@contextmanager
def _spool(blocks: Iterable[Block], root: Cid | None = None) -> Iterator[tuple[Cid, BinaryIO]]:
    """Write an archive to a temporary file; without `root` the last block is it."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body, tempfile.TemporaryFile() as archive:
        last = root
        for block in blocks:
            body.write(encode_car_section(block))
            last = root or block.cid
        if last is None:
            raise InvalidCar("the archive holds no block")
        archive.write(encode_car_header((last,)))
        body.seek(0)
        shutil.copyfileobj(body, archive, _PIECE)
        yield last, archive


def _read_again(archive: BinaryIO) -> Iterator[bytes]:
    archive.seek(0)
    while piece := archive.read(_PIECE):
        yield piece

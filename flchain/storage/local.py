"""A content store over any block store: the memory and disk stores are this."""

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from flchain.protocol.types import Digest
from flchain.storage.base import BlockStore, Collected, Pin
from flchain.storage.car import decode_car_header, encode_car, iterate_car_blocks
from flchain.storage.cid import Cid, compute_raw_cid
from flchain.storage.errors import ContentCorrupt, ContentUnavailable
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import (
    Block,
    build_blocks,
    iterate_cids,
    iterate_dag,
    iterate_file,
)

NO_LIMIT = 1 << 62
"""A cap for content that this node pinned itself."""


class LocalStore:
    """`ContentStore` over blocks and pins that this machine holds."""

    def __init__(self, blocks: BlockStore, pins: PinTable) -> None:
        """Join a block store and a pin table; `close` closes both."""
        self.blocks = blocks
        self.pin_table = pins

    def add(self, src: bytes | BinaryIO, *, pin: str) -> Cid:
        """Keep a file under the name `pin`; see `ContentStore`."""
        source = io.BytesIO(src) if isinstance(src, bytes) else src
        with self.blocks.lock(is_exclusive=False):
            root = self._put_all(build_blocks(source))
            self.pin_table.add(pin, root)
        return root

    def _put_all(self, blocks: Iterator[Block]) -> Cid:
        """Put every block, the last one as the root; return its CID."""
        held = next(blocks)
        for block in blocks:
            self.blocks.put(*held)
            held = block
        self.blocks.put(*held, is_root=True)
        return held.cid

    def read(self, cid: Cid, *, max_size: int) -> bytes:
        """Return a whole file of at most `max_size` bytes."""
        return b"".join(self.iterate(cid, max_size=max_size))

    def iterate(self, cid: Cid, *, max_size: int) -> Iterator[bytes]:
        """Yield a file's verified bytes; see `ContentStore`."""
        return iterate_file(cid, self.blocks.get, max_size=max_size)

    def put_block(self, block: bytes, pin: str) -> Cid:
        """Keep one raw block under the name `pin`."""
        cid = compute_raw_cid(block)
        with self.blocks.lock(is_exclusive=False):
            self.blocks.put(cid, block, is_root=True)
            self.pin_table.add(pin, cid)
        return cid

    def get_block(self, cid: Cid) -> bytes:
        """Return the one verified block that `cid` names."""
        return self.blocks.get(cid)

    def has(self, cid: Cid) -> bool:
        """Return whether the whole tree is held, without reading leaves."""
        try:
            return all(
                data is not None or self.blocks.has(child)
                for child, data in iterate_cids(cid, self.blocks.get)
            )
        except (ContentUnavailable, ContentCorrupt):
            return False

    def pin(self, cid: Cid, name: str) -> None:
        """Keep a complete tree under one more name; else `ContentUnavailable`."""
        self.pin_all((cid,), name)

    def pin_all(self, cids: Sequence[Cid], name: str) -> None:
        """Keep complete trees under one more name, all or none."""
        with self.blocks.lock(is_exclusive=False):
            for cid in cids:
                self._verify_complete(cid)
            self.pin_table.add(name, *cids)

    def _verify_complete(self, root: Cid) -> None:
        for cid, data in iterate_cids(root, self.blocks.get):
            if data is None and not self.blocks.has(cid):
                raise ContentUnavailable(cid, "the local store")

    def unpin(self, name: str) -> None:
        """Forget a name; content with no name left may be collected."""
        self.pin_table.remove(name)

    def pins(self, prefix: str = "") -> Iterator[Pin]:
        """Yield the pins whose name starts with `prefix`, by name."""
        return self.pin_table.iterate(prefix)

    def gc(self, min_age: float, now: float) -> Collected:
        """Remove unpinned blocks of at least `min_age` seconds; see `ContentStore`.

        `now` is the wall clock, not block time. Marks every pinned tree first: when a parent of a
        pinned tree is missing or corrupt its children are unknown, so nothing is removed and that
        error is raised; fetch the tree again or unpin it. Raises `StoreUnusable` if the pin table
        was lost.
        """
        self.pin_table.verify_known()
        with self.blocks.lock(is_exclusive=True):
            kept = {
                cid.digest
                for root in self.pin_table.get_roots()
                for cid, _ in iterate_cids(root, self.blocks.get)
            }
            return self._sweep(kept, now - min_age)

    def _sweep(self, kept: set[Digest], limit: float) -> Collected:
        count = size = 0
        for block in list(self.blocks.iterate()):
            if block.digest not in kept and block.written_at <= limit:
                self.blocks.delete(Cid(block.digest))
                count, size = count + 1, size + block.size
        return Collected(count, size)

    def verify(self, cid: Cid) -> int:
        """Read and check the whole file; return its size in bytes."""
        return sum(len(piece) for piece in self.iterate(cid, max_size=NO_LIMIT))

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """Yield the tree as a CARv1 archive, parents first."""
        return encode_car((cid,), iterate_dag(cid, self.blocks.get))

    def import_car(self, src: BinaryIO, *, pin: str, max_size: int) -> tuple[Cid, ...]:
        """Keep the complete trees of an archive; return the roots.

        An archive that breaks off leaves unpinned blocks behind, which a collection removes.
        """
        with self.blocks.lock(is_exclusive=False):
            roots = decode_car_header(src)
            for block in iterate_car_blocks(src, max_size=max_size, where="the archive"):
                self.blocks.put(*block, is_root=block.cid in roots)
            for root in roots:
                self._verify_complete(root)
            for root in roots:
                self.pin_table.add(pin, root)
        return roots

    def close(self) -> None:
        """Release the folder and the pin table."""
        self.pin_table.close()
        self.blocks.close()

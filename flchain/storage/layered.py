"""A local store in front of remote places: read what is near, check and keep what is far.

Reads try the local store, then each source in order; a remote block is verified, written locally
and served from there on. Writes are kept locally first and count when every publisher confirmed.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO

from flchain.protocol.errors import AdapterError, FlchainError
from flchain.storage.base import BlockStore, Collected, Pin, Publisher, Source, StoredBlock
from flchain.storage.cid import Cid, Codec
from flchain.storage.dagpb import decode_node
from flchain.storage.errors import (
    ContentCorrupt,
    ContentTooLarge,
    ContentUnavailable,
    StoreUnreachable,
)
from flchain.storage.local import LocalStore
from flchain.storage.publication import OpenArchive, Publications
from flchain.storage.unixfs import iterate_cids, iterate_expected

_PARENTS = 1 << 20
"""Bytes that an archive may have beyond the file: its parents, and a 64th of the file."""


class LayeredBlocks:
    """`BlockStore` that fills itself from sources when a block is asked for."""

    def __init__(self, local: BlockStore, sources: Sequence[Source]) -> None:
        """Keep blocks in `local`; ask `sources` in order for what it lacks."""
        self._local = local
        self._sources = sources

    def get(self, cid: Cid) -> bytes:
        """Return the verified block, fetching it and mending a corrupt copy."""
        try:
            return self._local.get(cid)
        except (ContentUnavailable, ContentCorrupt) as error:
            block = self._fetch(cid, error)
        self._local.put(cid, block)
        return block

    def _fetch(self, cid: Cid, missing: ContentUnavailable | ContentCorrupt) -> bytes:
        reasons = []
        for source in self._sources:
            try:
                return source.fetch_block(cid)
            except FlchainError as error:
                reasons.append(_explain(source, error))
        if isinstance(missing, ContentCorrupt) or not reasons:
            raise missing
        raise ContentUnavailable(cid, ", ".join(["the local store", *reasons])) from missing

    def has(self, cid: Cid) -> bool:
        """Return whether the block is held locally."""
        return self._local.has(cid)

    def put(self, cid: Cid, block: bytes, *, is_root: bool = False) -> None:
        """Verify and keep a block locally."""
        self._local.put(cid, block, is_root=is_root)

    def delete(self, cid: Cid) -> None:
        """Drop the local copy."""
        self._local.delete(cid)

    def iterate(self) -> Iterator[StoredBlock]:
        """Yield the local blocks."""
        return self._local.iterate()

    def lock(self, *, is_exclusive: bool) -> AbstractContextManager[None]:
        """Hold the local store's lock."""
        return self._local.lock(is_exclusive=is_exclusive)

    def close(self) -> None:
        """Release the sources; the local store is closed by its owner."""
        for source in self._sources:
            source.close()


class LayeredStore:
    """`ContentStore` over a local store, sources and publishers.

    Every publisher is also among the sources. `has`, `gc` and the pins speak of the local
    store alone.
    """

    def __init__(
        self, local: LocalStore, sources: Sequence[Source], publishers: Sequence[Publisher] = ()
    ) -> None:
        """Join the layers; `close` closes all of them."""
        self._local = local
        self._sources = sources
        self._blocks = LayeredBlocks(local.blocks, sources)
        self._filling = LocalStore(self._blocks, local.pin_table)
        self._publications = Publications(local.pin_table, publishers)

    def add(self, src: bytes | BinaryIO, *, pin: str) -> Cid:
        """Keep a file, then publish it; see `publish_pending` for a dead node."""
        return self._publish(self._local.add(src, pin=pin))

    def put_block(self, block: bytes, pin: str) -> Cid:
        """Keep one raw block, then publish it."""
        return self._publish(self._local.put_block(block, pin))

    def import_car(self, src: BinaryIO, *, pin: str, max_size: int) -> tuple[Cid, ...]:
        """Keep the trees of an archive, then publish them."""
        roots = self._local.import_car(src, pin=pin, max_size=max_size)
        return tuple(self._publish(root) for root in roots)

    def publish_pending(self) -> int:
        """Publish what is kept here but was not confirmed; return how many roots."""
        return self._publications.publish_pending(self._open_archive)

    def read(self, cid: Cid, *, max_size: int) -> bytes:
        """Return a whole file of at most `max_size` bytes, from wherever it is."""
        return b"".join(self.iterate(cid, max_size=max_size))

    def iterate(self, cid: Cid, *, max_size: int) -> Iterator[bytes]:
        """Yield a file's verified bytes, from wherever they are."""
        self._fill(cid, max_size)
        yield from self._filling.iterate(cid, max_size=max_size)

    def get_block(self, cid: Cid) -> bytes:
        """Return one verified block, from wherever it is."""
        return self._filling.get_block(cid)

    def has(self, cid: Cid) -> bool:
        """Return whether the whole tree is held locally."""
        return self._local.has(cid)

    def pin(self, cid: Cid, name: str) -> None:
        """Fetch what is missing of a tree, keep it under `name`, and publish it."""
        self.pin_all((cid,), name)

    def pin_all(self, cids: Sequence[Cid], name: str) -> None:
        """Fetch what is missing of trees, keep them under `name`, and publish them."""
        for cid in cids:
            for child, data in iterate_cids(cid, self._filling.get_block):
                if data is None and not self._local.blocks.has(child):
                    self._filling.get_block(child)
        self._local.pin_all(cids, name)
        for cid in cids:
            self._publish(cid)

    def unpin(self, name: str) -> None:
        """Forget a name here and on the publishers."""
        self._publications.retract(name)
        self._local.unpin(name)

    def pins(self, prefix: str = "") -> Iterator[Pin]:
        """Yield the pins whose name starts with `prefix`, by name."""
        return self._local.pins(prefix)

    def gc(self, min_age: float, now: float) -> Collected:
        """Remove unpinned blocks of the local store."""
        return self._local.gc(min_age, now)

    def verify(self, cid: Cid) -> int:
        """Check the whole file, mending what can be fetched; return its size."""
        return self._filling.verify(cid)

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """Yield the tree as a CARv1 archive."""
        return self._filling.export_car(cid)

    def close(self) -> None:
        """Release every layer."""
        self._blocks.close()
        self._local.close()

    def _publish(self, root: Cid) -> Cid:
        try:
            self._publications.publish(root, self._open_archive(root))
        except AdapterError as error:
            raise StoreUnreachable(
                f"{root} is kept here, but not published: {error}", is_retryable=True
            ) from error
        return root

    def _open_archive(self, root: Cid) -> OpenArchive:
        return lambda: self._local.export_car(root)

    def _fill(self, root: Cid, max_size: int) -> None:
        """Fetch a tree in one piece where a source can; the rest comes singly."""
        if root.codec is not Codec.DAG_PB or self._local.has(root):
            return
        size = decode_node(root, self._filling.get_block(root)).size
        if size > max_size:
            raise ContentTooLarge(f"{root} declares {size} bytes; the limit is {max_size}")
        for source in self._sources:
            # Whatever this source can't give is asked for block by block afterwards.
            with suppress(FlchainError):
                blocks = source.fetch_car(root, max_size=size + size // 64 + _PARENTS)
                for block in iterate_expected(root, blocks):
                    self._local.blocks.put(*block)
                return


def _explain(source: Source, error: FlchainError) -> str:
    if isinstance(error, ContentUnavailable):
        return source.name
    if isinstance(error, ContentCorrupt):
        return f"{source.name} (which sent wrong bytes)"
    return f"{source.name} ({error})"

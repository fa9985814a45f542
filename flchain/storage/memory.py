"""Content in memory: for simulation, tests and throw-away caches."""

import io
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from flchain.protocol.types import Digest
from flchain.storage.base import Publisher, StoredBlock
from flchain.storage.car import decode_car_header, iterate_car_blocks
from flchain.storage.cid import Cid
from flchain.storage.errors import ContentCorrupt, ContentUnavailable, StoreUnreachable
from flchain.storage.local import NO_LIMIT, LocalStore
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import Block, verify_block, verify_block_size


class MemoryBlocks:
    """`BlockStore` in a dictionary; threads may share it."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        """Start empty; `clock` dates blocks, without one each counts as old."""
        self._clock = clock or (lambda: -math.inf)
        self._blocks: dict[Digest, tuple[bytes, float]] = {}
        self._mutex = threading.RLock()
        self.quarantine: list[tuple[Cid, bytes]] = []

    def get(self, cid: Cid) -> bytes:
        """Return the verified block; a corrupt one moves to `quarantine`."""
        held = self._blocks.get(cid.digest)
        if held is None:
            raise ContentUnavailable(cid, "memory")
        try:
            verify_block(cid, held[0], where="memory", advice="add it again")
        except ContentCorrupt:
            self.quarantine.append((cid, held[0]))
            self.delete(cid)
            raise
        return held[0]

    def has(self, cid: Cid) -> bool:
        """Return whether a block is held."""
        return cid.digest in self._blocks

    def put(self, cid: Cid, block: bytes, *, is_root: bool = False) -> None:  # noqa: ARG002 - port
        """Verify and keep a block; `is_root` means nothing here."""
        verify_block_size(len(block))
        verify_block(cid, block, where="memory", advice="compute its CID again")
        self._blocks[cid.digest] = bytes(block), self._clock()

    def delete(self, cid: Cid) -> None:
        """Drop a block; a missing one is no error."""
        self._blocks.pop(cid.digest, None)

    def iterate(self) -> Iterator[StoredBlock]:
        """Yield every block held."""
        for digest, (block, written_at) in list(self._blocks.items()):
            yield StoredBlock(digest, len(block), written_at)

    def lock(self, *, is_exclusive: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - port
        """Keep every other thread out, shared or not."""
        return self._hold()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        with self._mutex:
            yield

    def close(self) -> None:
        """Drop everything."""
        self._blocks.clear()

    def replace_unverified(self, cid: Cid, block: bytes) -> None:
        """Hold wrong bytes under `cid`, to rehearse a broken memory or disk."""
        self._blocks[cid.digest] = block, self._clock()


def make_memory_store(clock: Callable[[], float] | None = None) -> LocalStore:
    """Return an empty content store that dies with the process."""
    return LocalStore(MemoryBlocks(clock), PinTable(None))


class MemoryNode(Publisher):
    """A remote place in this process, with the ways in which real ones fail."""

    def __init__(self, name: str = "memory node", store: LocalStore | None = None) -> None:
        """Start reachable and honest, over `store` or an empty one."""
        self.name = name
        self.store = store or make_memory_store()
        self.is_reachable = True
        self.lies: dict[Cid, bytes] = {}
        """Bytes to send instead of a block's own; what arrives is still verified."""
        self.requests: list[str] = []

    def fetch_block(self, cid: Cid) -> bytes:
        """Return the verified block; a lie raises `ContentCorrupt`."""
        self._answer("block")
        block = self.lies.get(cid) or self.store.get_block(cid)
        verify_block(cid, block, where=self.name)
        return block

    def fetch_car(self, cid: Cid, *, max_size: int) -> Iterator[Block]:
        """Yield the verified blocks of a tree, up to the first lie."""
        self._answer("car")
        source = io.BytesIO(b"".join(self.store.export_car(cid)))
        decode_car_header(source)
        for block in iterate_car_blocks(source, max_size=max_size, where=self.name):
            verify_block(block.cid, self.lies.get(block.cid, block.data), where=self.name)
            yield block

    def has_block(self, cid: Cid) -> bool:
        """Return whether the node holds a block."""
        self._answer("has")
        return self.store.blocks.has(cid)

    def publish(self, root: Cid, open_archive: Callable[[], Iterator[bytes]]) -> None:
        """Import and pin an archive."""
        self._answer("publish")
        archive = io.BytesIO(b"".join(open_archive()))
        self.store.import_car(archive, pin=str(root), max_size=NO_LIMIT)

    def pin(self, root: Cid) -> None:
        """Pin a tree that the node holds."""
        self._answer("pin")
        self.store.pin(root, str(root))

    def is_pinned(self, root: Cid) -> bool:
        """Return whether the tree is pinned under any name."""
        self._answer("pinned")
        return self.store.pin_table.is_pinned(root)

    def retract(self, root: Cid) -> None:
        """Remove the pin that `publish` or `pin` made."""
        self._answer("retract")
        self.store.unpin(str(root))

    def close(self) -> None:
        """Do nothing: a node outlives those who talk to it."""

    def _answer(self, request: str) -> None:
        self.requests.append(request)
        if not self.is_reachable:
            raise StoreUnreachable(f"{self.name} is down; start it", is_retryable=True)

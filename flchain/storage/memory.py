"""Content in memory: for simulation, tests and throw-away caches."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from flchain.protocol.types import Digest
from flchain.storage.base import StoredBlock
from flchain.storage.cid import Cid
from flchain.storage.errors import ContentCorrupt, ContentUnavailable
from flchain.storage.local import LocalStore
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import verify_block, verify_block_size


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

"""The ports of content storage: blocks below, files and pins above.

`BlockStore` keeps verified blocks by digest. `ContentStore` is what the rest of flchain uses.
`Source` and `Publisher` are the remote places that a layered store reads from and writes to.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from flchain.protocol.types import Digest
from flchain.storage.cid import Cid
from flchain.storage.unixfs import Block


class StoredBlock(NamedTuple):
    """What is known of a block without reading it."""

    digest: Digest
    size: int
    written_at: float
    """Seconds since the Unix epoch, by the clock of the store, of the newest put."""


class Pin(NamedTuple):
    """A name that keeps a tree from collection; one name may hold several."""

    name: str
    cid: Cid


class Collected(NamedTuple):
    """What a collection removed."""

    blocks: int
    size: int


class BlockStore(Protocol):
    """Blocks by digest; the codec and version of a CID don't matter to it."""

    def get(self, cid: Cid) -> bytes:
        """Return the verified block; else `ContentUnavailable`, `ContentCorrupt`."""

    def has(self, cid: Cid) -> bool:
        """Return whether a block is held, without reading it."""

    def put(self, cid: Cid, block: bytes, *, is_root: bool = False) -> None:
        """Verify and keep a block; a root survives a power cut where promised.

        A block that is already held becomes young again. Raises `ContentCorrupt`,
        `ContentTooLarge`, `StoreFull`.
        """

    def delete(self, cid: Cid) -> None:
        """Drop a block; a missing one is no error."""

    def iterate(self) -> Iterator[StoredBlock]:
        """Yield every block held, in no order."""

    def lock(self, *, is_exclusive: bool) -> AbstractContextManager[None]:
        """Keep collections out (shared) or everybody else (exclusive).

        Raises `StoreLocked` when the lock can't be had in time. Not re-entrant.
        """

    def close(self) -> None:
        """Release what the store holds; it is not used afterwards."""


class ContentStore(Protocol):
    """Files and manifest blocks by CID, kept while a name pins them.

    Everything read is verified block by block. Every call may raise the classes of
    `flchain.storage.errors`.
    """

    def add(self, src: bytes | BinaryIO, *, pin: str) -> Cid:
        """Keep a file under the name `pin`; return when every place confirmed it."""

    def read(self, cid: Cid, *, max_size: int) -> bytes:
        """Return a whole file of at most `max_size` bytes."""

    def iterate(self, cid: Cid, *, max_size: int) -> Iterator[bytes]:
        """Yield a file's bytes; a later piece may still turn out wrong and raise."""

    def put_block(self, block: bytes, pin: str) -> Cid:
        """Keep one raw block, such as a manifest, under the name `pin`."""

    def get_block(self, cid: Cid) -> bytes:
        """Return the one block that `cid` names, whatever its codec."""

    def has(self, cid: Cid) -> bool:
        """Return whether the whole tree is held here, without reading leaves."""

    def pin(self, cid: Cid, name: str) -> None:
        """Keep a complete tree under one more name; repeating it is harmless."""

    def pin_all(self, cids: Sequence[Cid], name: str) -> None:
        """Keep complete trees under one more name, in one step where the place allows it."""

    def unpin(self, name: str) -> None:
        """Forget a name; content with no name left may be collected."""

    def pins(self, prefix: str = "") -> Iterator[Pin]:
        """Yield the pins whose name starts with `prefix`, by name."""

    def gc(self, min_age: float, now: float) -> Collected:
        """Remove unpinned blocks written `min_age` seconds or more before `now`."""

    def verify(self, cid: Cid) -> int:
        """Read and check the whole file; return its size in bytes."""

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """Yield the tree as a CARv1 archive."""

    def import_car(self, src: BinaryIO, *, pin: str, max_size: int) -> tuple[Cid, ...]:
        """Keep the complete trees of an archive; return the roots."""

    def close(self) -> None:
        """Release what the store holds; it is not used afterwards."""


class Source(Protocol):
    """A remote place that blocks can be read from."""

    name: str
    """The place, as errors name it."""

    def fetch_block(self, cid: Cid) -> bytes:
        """Return the verified block; else a storage error."""

    def fetch_car(self, cid: Cid, *, max_size: int) -> Iterator[Block]:
        """Yield verified blocks of what is said to be the tree under `cid`."""

    def has_block(self, cid: Cid) -> bool:
        """Return whether the place says that it holds a block."""

    def close(self) -> None:
        """Release connections."""


class Publisher(Source, Protocol):
    """A remote place that also takes content."""

    def publish(self, root: Cid, open_archive: Callable[[], Iterator[bytes]]) -> None:
        """Send a CAR and pin its root; return when the place confirms the root.

        `open_archive` is called again for each attempt.
        """

    def pin(self, root: Cid) -> None:
        """Pin a tree that the place holds or finds."""

    def is_pinned(self, root: Cid) -> bool:
        """Return whether anybody pinned the tree there."""

    def retract(self, root: Cid) -> None:
        """Remove the pin; a missing one is no error."""

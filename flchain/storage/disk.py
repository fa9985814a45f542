"""Content in a folder, shared by any number of processes on one machine.

    FOLDER/blocks/SHARDING, FOLDER/blocks/XX/KEY.data   exactly Kubo's flatfs layout
    FOLDER/quarantine/KEY-N.data                        corrupt blocks, kept for inspection
    FOLDER/pins.sqlite                                  the pin table
    FOLDER/lock                                         shared by writers, exclusive for collections

KEY is the upper-case base32 of the multihash and XX its next-to-last two letters
(https://github.com/ipfs/go-ds-flatfs). A block is written to a temporary file beside its place and
renamed, so a reader sees all of it or nothing. Only a root is forced to the disk: after a power
cut another block may be torn, which every read detects.
"""

import base64
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flchain.protocol.disk_errors import is_out_of_room
from flchain.protocol.types import Digest
from flchain.storage.base import Collected, StoredBlock
from flchain.storage.cid import DIGEST_SIZE, MULTIHASH, Cid
from flchain.storage.errors import (
    ContentCorrupt,
    ContentUnavailable,
    StoreFull,
    StoreLocked,
    StoreUnusable,
)
from flchain.storage.files import TEMPORARY, write_file
from flchain.storage.local import LocalStore
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import verify_block, verify_block_size

SHARDING = "/repo/flatfs/shard/v1/next-to-last/2\n"
_POLL = 0.01


class FlatBlocks:
    """`BlockStore` in a folder; safe for threads and processes."""

    def __init__(self, folder: Path, *, durable: bool = True, lock_timeout: float = 30.0) -> None:
        """Open or create `folder`; wait `lock_timeout` seconds for a lock.

        With `durable`, `put(is_root=True)` returns when the block is on the disk. Raises
        `StoreUnusable` when the folder can't be used or holds another layout.
        """
        self._folder = folder
        self._blocks = folder / "blocks"
        self._is_durable = durable
        self._lock_timeout = lock_timeout
        try:
            _prepare(folder)
        except OSError as error:
            raise _explain(folder, error) from error

    def get(self, cid: Cid) -> bytes:
        """Return the verified block; a corrupt one moves to quarantine."""
        path = self._get_path(cid)
        try:
            block = path.read_bytes()
        except FileNotFoundError:
            raise ContentUnavailable(cid, str(self._folder)) from None
        except OSError as error:
            raise _explain(path, error) from error
        try:
            verify_block(cid, block, where=str(path), advice="add or fetch it again")
        except ContentCorrupt:
            self._set_aside(cid, path)
            raise
        return block

    def has(self, cid: Cid) -> bool:
        """Return whether a block is held, without reading it."""
        return self._get_path(cid).is_file()

    def put(self, cid: Cid, block: bytes, *, is_root: bool = False) -> None:
        """Verify and write a block; see `BlockStore`."""
        verify_block_size(len(block))
        verify_block(cid, block, where="put", advice="compute its CID again")
        path = self._get_path(cid)
        try:
            if not self._refresh(cid, path, block):
                write_file(path, [block], is_synced=is_root and self._is_durable)
        except OSError as error:
            raise _explain(path, error) from error

    def delete(self, cid: Cid) -> None:
        """Drop a block; a missing one is no error."""
        path = self._get_path(cid)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _explain(path, error) from error

    def iterate(self) -> Iterator[StoredBlock]:
        """Yield every block held; files that are no blocks are left out."""
        for path in self._blocks.glob("??/*.data"):
            digest = _decode_key(path.stem)
            with suppress(FileNotFoundError):
                state = path.stat()
                if digest is not None:
                    yield StoredBlock(digest, state.st_size, state.st_mtime)

    @contextmanager
    def lock(self, *, is_exclusive: bool) -> Iterator[None]:
        """Hold the folder's lock; see `BlockStore`."""
        mode = fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH
        path = self._folder / "lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _explain(path, error) from error
        try:
            self._wait(handle, mode)
            yield
        finally:
            os.close(handle)

    def remove_leftovers(self, limit: float) -> None:
        """Remove temporary files last written before `limit`; needs the lock."""
        for path in self._blocks.glob(f"??/{TEMPORARY}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= limit:
                    path.unlink()

    def close(self) -> None:
        """Do nothing: no handle stays open between calls."""

    def _get_path(self, cid: Cid) -> Path:
        key = encode_key(cid.digest)
        return self._blocks / key[-3:-1] / f"{key}.data"

    def _refresh(self, cid: Cid, path: Path, block: bytes) -> bool:
        """Make an equal block young again; set a different one aside."""
        try:
            if path.read_bytes() == block:
                os.utime(path)
                return True
        except FileNotFoundError:
            return False
        self._set_aside(cid, path)
        return False

    def _set_aside(self, cid: Cid, path: Path) -> None:
        """Move a corrupt block to quarantine, unless it was mended meanwhile."""
        target = self._folder / "quarantine" / f"{path.stem}-{os.urandom(4).hex()}.data"
        with suppress(FileNotFoundError):
            path.replace(target)
            # Another process may have put a good block there after ours was read.
            try:
                verify_block(cid, target.read_bytes(), where=str(target))
            except ContentCorrupt:
                return
            target.replace(path)

    def _wait(self, handle: int, mode: int) -> None:
        end = time.monotonic() + self._lock_timeout
        while True:
            try:
                return fcntl.flock(handle, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise StoreLocked(
                        f"{self._folder} is held by another process; wait for it or stop it",
                        is_retryable=True,
                    ) from None
                time.sleep(_POLL)


class DiskStore(LocalStore):
    """`ContentStore` in a folder; the default of every role."""

    def __init__(self, folder: Path, *, durable: bool = True, lock_timeout: float = 30.0) -> None:
        """Open or create `folder`; see `FlatBlocks`."""
        self._flat = FlatBlocks(folder, durable=durable, lock_timeout=lock_timeout)
        path = folder / "pins.sqlite"
        is_lost = self._is_lost(path)
        pins = PinTable(path, timeout=lock_timeout, durable=durable, is_remade=is_lost)
        super().__init__(self._flat, pins)

    def _is_lost(self, pins: Path) -> bool:
        """Return whether there are blocks, but no pin table.

        A table is there before the first block, so looking for blocks between two looks for the
        table tells a lost one from one that another process is about to make.
        """
        has_blocks = not _has_bytes(pins) and next(self._flat.iterate(), None) is not None
        return has_blocks and not _has_bytes(pins)

    def _sweep(self, kept: set[Digest], limit: float) -> Collected:
        self._flat.remove_leftovers(limit)
        return super()._sweep(kept, limit)


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def encode_key(digest: Digest) -> str:
    """Return the flatfs file name, without suffix, of a block."""
    return base64.b32encode(MULTIHASH + digest).decode().rstrip("=")


def _decode_key(key: str) -> Digest | None:
    with suppress(ValueError):
        data = base64.b32decode(key + "=" * (-len(key) % 8))
        if data.startswith(MULTIHASH) and len(data) == len(MULTIHASH) + DIGEST_SIZE:
            return Digest(data[2:])
    return None


def _prepare(folder: Path) -> None:
    blocks = folder / "blocks"
    blocks.mkdir(parents=True, exist_ok=True)
    (folder / "quarantine").mkdir(exist_ok=True)
    sharding = blocks / "SHARDING"
    if not sharding.exists():
        write_file(sharding, [SHARDING.encode()], is_synced=False)
    if sharding.read_text() != SHARDING:
        raise StoreUnusable(
            f"{blocks} has another layout ({sharding.read_text()[:60]!r}); use another folder"
        )


def _explain(path: Path, error: OSError) -> Exception:
    if is_out_of_room(error):
        return StoreFull(
            f"no room for {path} ({error.strerror}); make room or raise the limit, then try again",
            is_retryable=True,
        )
    return StoreUnusable(f"{path} can't be used ({error.strerror}); check owner and permissions")

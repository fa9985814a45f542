"""What a role writes down before it sends anything: small files that survive a crash.

Everything else a role knows is rebuilt from the chain and from content addressed by CID.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from flchain.protocol.errors import AdapterError


class Journal(Protocol):
    """Named byte strings of one role."""

    def write(self, name: str, data: bytes) -> None:
        """Keep `data` durably before returning; replaces what `name` held."""

    def read(self, name: str) -> bytes | None:
        """Return what `name` holds, or None."""

    def names(self) -> Iterator[str]:
        """Yield every name, sorted."""

    def delete(self, name: str) -> None:
        """Forget `name`; a missing one is no error."""


class MemoryJournal:
    """A journal for simulations and tests."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[str, bytes] = {}

    def write(self, name: str, data: bytes) -> None:
        """Keep `data`."""
        self._entries[name] = data

    def read(self, name: str) -> bytes | None:
        """Return what `name` holds, or None."""
        return self._entries.get(name)

    def names(self) -> Iterator[str]:
        """Yield every name, sorted."""
        return iter(sorted(self._entries))

    def delete(self, name: str) -> None:
        """Forget `name`."""
        self._entries.pop(name, None)


class DiskJournal:
    """One file per name in a folder that only this role uses."""

    def __init__(self, folder: Path) -> None:
        """Create the folder; raises AdapterError if that is not possible."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise AdapterError(f"journal folder {folder}: {error.strerror}") from error
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        """Write a temporary file, sync it and put it in place."""
        path = self._folder / name
        draft = path.with_name(f".{name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise AdapterError(
                f"journal {path}: {error.strerror}; nothing was sent, make room and start again"
            ) from error

    def read(self, name: str) -> bytes | None:
        """Return the file's bytes, or None."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """Yield the files' names, sorted; drafts are left out."""
        return iter(sorted(p.name for p in self._folder.iterdir() if not p.name.startswith(".")))

    def delete(self, name: str) -> None:
        """Remove the file."""
        (self._folder / name).unlink(missing_ok=True)

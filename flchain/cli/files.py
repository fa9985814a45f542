"""Files that commands write for their user."""

import os
from collections.abc import Iterable
from pathlib import Path

from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import ConfigError


def write_file(path: Path, data: bytes) -> None:
    """Write a file in full or not at all; see `explained`."""
    write_pieces(path, (data,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file in full or not at all; return its size; see `explained`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    size = 0
    with explained(path):
        try:
            with draft.open("wb") as file:
                for piece in pieces:
                    size += file.write(piece)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return size


def verify_writable(path: Path) -> None:
    """Raise ConfigError unless a file can be written there, before work is done for it."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        draft.touch()
        draft.unlink()

"""Files that commands write for their user."""

import os
from collections.abc import Iterable
from pathlib import Path

from flchain.protocol.disk_errors import explained


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

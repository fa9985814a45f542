"""Files that commands write for their user."""

import os
from collections.abc import Iterable
from pathlib import Path

from flchain.protocol.errors import ConfigError


def write_file(path: Path, data: bytes) -> None:
    """Write a file in full or not at all. Raises ConfigError."""
    write_pieces(path, (data,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file in full or not at all; return its size. Raises ConfigError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    size = 0
    try:
        with draft.open("wb") as file:
            for piece in pieces:
                size += file.write(piece)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return size

"""Files that appear whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".put-"
"""How the names of unfinished files start."""


def write_file(path: Path, pieces: Iterable[bytes], *, is_synced: bool) -> None:
    """Write `pieces` beside `path` and rename; make its folder when missing.

    Whatever stops the writing, a wrong piece included, leaves `path` as it was and no other file.
    With `is_synced` the file and its name are on the disk when the call returns.
    """
    is_new_folder = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
    try:
        _write_new(temporary, pieces, is_synced=is_synced)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if is_synced:
        _sync_folder(path.parent)
        if is_new_folder:
            _sync_folder(path.parent.parent)


def _write_new(path: Path, pieces: Iterable[bytes], *, is_synced: bool) -> None:
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
        if is_synced:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""What the operating system says about files, as flchain's errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flchain.protocol.errors import AdapterError, ConfigError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_out_of_room(error: OSError) -> bool:
    """Return whether disk, quota or the limit of a file's size is used up."""
    return error.errno in _NO_ROOM


def explain_disk_error(path: Path, error: OSError) -> AdapterError | ConfigError:
    """Return the error to raise: AdapterError for want of room, else ConfigError."""
    if is_out_of_room(error):
        text = f"no room for {path} ({error.strerror}): make room or raise the limit, try again"
        return AdapterError(text, is_retryable=True)
    return ConfigError(f"{path} can't be used ({error.strerror}): check owner and permissions")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn any OSError inside into one that names `path` and says who must act."""
    try:
        yield
    except OSError as error:
        raise explain_disk_error(path, error) from error

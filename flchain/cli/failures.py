"""From exceptions to exit codes: one line on stderr, never a traceback."""

import errno
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click

from flchain.protocol.disk_errors import explain_disk_error, is_out_of_room
from flchain.protocol.errors import (
    AdapterError,
    ConfigError,
    EncodingError,
    FlchainError,
    ProofError,
    ProtocolError,
)

INTERRUPTED = 130
TERMINATED = 143
UNEXPECTED = 70

EXIT_CODES = {
    0: "done",
    FlchainError.exit_code: "failed for a reason that the message gives",
    2: "wrong option or argument",
    EncodingError.exit_code: "malformed bytes: whoever made them must make them again",
    ProofError.exit_code: "a digest, sum or signature does not match: cheating or lost data",
    ProtocolError.exit_code: "the chain refuses the call: the message says which rule",
    AdapterError.exit_code: "node, store or program outside failed: see to it, try again",
    ConfigError.exit_code: "settings or files must be corrected by the operator",
    UNEXPECTED: "a fault in flchain: the message names the file with the details",
    INTERRUPTED: "interrupted (Ctrl-C)",
    TERMINATED: "terminated (SIGTERM)",
}


class Terminated(BaseException):
    """SIGTERM arrived: like KeyboardInterrupt, so that everything started is stopped."""


def run_guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a click command; return the exit code after one line about what went wrong."""

    def invoke() -> object:
        with command.make_context("flchain", list(arguments)) as context:
            return command.invoke(context)

    return run_guarded_function(invoke)


def run_guarded_function(function: Callable[[], object]) -> int:
    """Call a program's own main function under the same rules.

    What it returns is the exit code if it is an int, and 0 stands for everything else.
    """
    try:
        with _terminable():
            result = function()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BaseException as error:  # noqa: BLE001 - the last place to keep a traceback off the screen
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: BaseException) -> int:
    """Say in one line what ended the command; return the exit code."""
    match error:
        case KeyboardInterrupt() | click.Abort():
            return _say("interrupted", INTERRUPTED)
        case Terminated():
            return _say("terminated", TERMINATED)
        case FlchainError():
            return _say(str(error), error.exit_code)
        case BrokenPipeError():
            # Whoever read the output has seen enough; nothing may be flushed into the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case OSError() if is_out_of_room(error) or error.errno == errno.EROFS:
            known = explain_disk_error(Path(error.filename or "a file"), error)
            return _say(str(known), known.exit_code)
        case _:
            return _say(_describe_fault(error), UNEXPECTED)


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception while a command runs."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may handle signals: whoever owns the process decides.
        yield
        return
    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(text: str, code: int) -> int:
    """Print one line; a broken stderr changes nothing."""
    line = " ".join(text.split()) or "unknown reason"
    with suppress(OSError):
        click.echo(f"error: {line}", err=True)
    return code


def _describe_fault(error: BaseException) -> str:
    """Write the traceback to a file that only the user can read; return the line for the screen."""
    text = "".join(traceback.format_exception(error))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    what = f"{type(error).__name__}: {error}; this is a fault in flchain, please report it"
    try:
        handle, name = tempfile.mkstemp(prefix=f"flchain-{stamp}-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return f"{what}; no folder for temporary files takes the details"
    return f"{what} with {name}"

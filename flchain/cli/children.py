"""Roles as processes of their own, which share nothing but the chain's RPC and the store.

The parent holds one end of each child's stdin: when the parent is gone, however it went, the
pipe closes and the children end by themselves.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from flchain.protocol.disk_errors import explain_disk_error, explained
from flchain.protocol.errors import AdapterError, FlchainError
from flchain.roles.context import Notice

_GRACE = 10.0
"""Seconds that children get to end after SIGTERM."""
_POLL = 0.05
_ERROR = "error: "
READY = "ready"


@dataclass(frozen=True)
class ChildSpec:
    """One process: a name for its files, and the arguments after `flchain`."""

    name: str
    arguments: tuple[str, ...]


@dataclass
class Child:
    """One process that was started."""

    spec: ChildSpec
    process: subprocess.Popen[bytes]
    log: Path
    is_ready: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread | None = None

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self.process.poll()

    def get_complaint(self) -> str:
        """Return the last error that the process wrote to its log, else the last line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
        return (errors or lines or ["no message; see whether the disk has room"])[-1]


class Children:
    """Starts processes, reads what they report, and ends every one of them on leaving."""

    def __init__(self, logs: Path, report: Callable[[Notice], None]) -> None:
        """Write one log for each child into `logs`; pass notices to `report`."""
        with explained(logs):
            logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._report = report
        self._failure: FlchainError | None = None
        self.all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, specs: Sequence[ChildSpec]) -> None:
        """Start processes side by side."""
        for spec in specs:
            log = self._logs / f"{spec.name}.log"
            with explained(log), log.open("ab") as errors:
                process = subprocess.Popen(
                    [sys.executable, "-m", "flchain.cli.main", *spec.arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    # Ctrl-C on the terminal is for the parent, which ends the children itself.
                    start_new_session=True,
                )
            child = Child(spec, process, log)
            self.all.append(child)
            child.reader = threading.Thread(target=self._read, args=(child,), daemon=True)
            child.reader.start()

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until every child is at work. Raises AdapterError if one ends or is too slow."""
        deadline = time.monotonic() + timeout
        for child in self.all:
            while not child.is_ready.wait(_POLL):
                self.verify_kept()
                if child.exit_code is not None:
                    raise AdapterError(f"{child.spec.name} did not start: {child.get_complaint()}")
                if time.monotonic() >= deadline:
                    raise AdapterError(
                        f"{child.spec.name} is not ready after {timeout:.0f} s; see {child.log}",
                        is_retryable=True,
                    )

    def verify_kept(self) -> None:
        """Raise the error that kept a child's report from its log, if there was one."""
        if self._failure is not None:
            raise self._failure

    def find_ended(self) -> list[Child]:
        """Return the children that have ended."""
        return [child for child in self.all if child.exit_code is not None]

    def kill(self, names: Sequence[str]) -> None:
        """End some children at once, without a chance to say or finish anything."""
        for child in self.all:
            if child.spec.name in names:
                _send(child, signal.SIGKILL)

    def wait(self, timeout: float) -> None:
        """Wait until every child has ended by itself, or the time is over."""
        deadline = time.monotonic() + timeout
        while len(self.find_ended()) < len(self.all) and time.monotonic() < deadline:
            time.sleep(_POLL)
        for child in self.find_ended():
            if child.reader is not None:
                child.reader.join(timeout=1.0)

    def stop(self) -> None:
        """End every child: SIGTERM, and after a while SIGKILL for its whole group."""
        for child in self.all:
            _send(child, signal.SIGTERM)
        self.wait(_GRACE)
        for child in self.all:
            _send(child, signal.SIGKILL)
            child.process.wait()
            for pipe in (child.process.stdin, child.process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _read(self, child: Child) -> None:
        """Pass on what a child reports, and keep it in its log folder."""
        if child.process.stdout is None:
            return
        for line in child.process.stdout:
            self._keep(self._logs / f"{child.spec.name}.jsonl", line)
            self._pass_on(child, line)

    def _keep(self, path: Path, line: bytes) -> None:
        # The reader goes on whatever happens: a child must never wait for a full pipe.
        try:
            with path.open("ab") as record:
                record.write(line)
        except OSError as error:
            self._failure = explain_disk_error(path, error)

    def _pass_on(self, child: Child, line: bytes) -> None:
        with suppress(ValueError, TypeError):
            notice = Notice(**json.loads(line))
            if notice.action == READY:
                child.is_ready.set()
            else:
                self._report(notice)


def _send(child: Child, signum: int) -> None:
    if child.exit_code is None:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signum)

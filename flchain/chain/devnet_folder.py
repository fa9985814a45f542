"""A devnet's folder: its lock, its saved chain and what is known about its process.

lock         held by Anvil itself for as long as it runs: no process can forget to release it
devnet.json  chain id and mnemonic, for ever; readable by the owner alone
process.json pid and port of the newest Anvil; true only while the lock is held
state.json   the chain, written by Anvil at intervals and when it stops; not atomically
backup.json  the chain as it was at the last start, or at the last `save`
bound.json   written by Anvil once it holds its port
anvil.log    what the newest Anvil complained about
"""

import fcntl
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import ConfigError

_TIMESTAMP = re.compile(rb'"timestamp":"(0x[0-9a-f]+)"')
_HEADER_BYTES = 4096
_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Process:
    """A running Anvil."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not change while a chain exists."""

    chain_id: int
    mnemonic: str


class DevnetFolder:
    """Paths and records of one devnet."""

    def __init__(self, path: Path) -> None:
        """Name a folder; it is made when something is written."""
        self.path = path
        self.state = path / "state.json"
        self.backup = path / "backup.json"
        self.bound = path / "bound.json"
        self.log = path / "anvil.log"
        self._lock = path / "lock"
        self._process = path / "process.json"
        self._identity = path / "devnet.json"

    def lock(self, patience: float = 2.0) -> int:
        """Return a descriptor that holds the lock; waits `patience` seconds for it.

        Raises ConfigError if another devnet runs here or the folder can't be written.
        """
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        # Whoever only asks whether the lock is free holds it for a moment, and an Anvil that was
        # told to stop holds it until its state is saved.
        deadline = time.monotonic() + patience
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise ConfigError(
                    f"a devnet is running in {self.path}: stop it, or use another folder"
                )
            time.sleep(0.02)
        return descriptor

    def is_locked(self) -> bool:
        """Return whether an Anvil runs here."""
        if not self._lock.exists():
            return False
        with explained(self._lock):
            descriptor = os.open(self._lock, os.O_RDONLY)
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def get_process(self) -> Process | None:
        """Return the Anvil that runs here; a record left by a dead one is ignored."""
        if not self.is_locked():
            return None
        return self.get_last_process()

    def get_last_process(self) -> Process | None:
        """Return the newest record, whether or not its process still runs."""
        advice = "end the Anvil that uses this folder, if one runs, and remove that file"
        record = _read_json(self._process, {"pid": int, "port": int}, advice)
        return Process(record["pid"], record["port"]) if record else None

    def set_process(self, process: Process | None) -> None:
        """Record the running Anvil, or that there is none."""
        if process is None:
            with explained(self.path):
                self._process.unlink(missing_ok=True)
        else:
            _write_json(self._process, {"pid": process.pid, "port": process.port})

    def get_identity(self) -> Identity | None:
        """Return what the chain in this folder was made with."""
        advice = (
            'the chain beside it may be whole: write {"chain_id": NUMBER, "mnemonic": "WORDS"} '
            "again with its own, or use another folder"
        )
        record = _read_json(self._identity, {"chain_id": int, "mnemonic": str}, advice)
        return Identity(record["chain_id"], record["mnemonic"]) if record else None

    def set_identity(self, identity: Identity) -> None:
        """Record what the chain is made with."""
        record = {"chain_id": identity.chain_id, "mnemonic": identity.mnemonic}
        _write_json(self._identity, record)

    def set_backup(self, state: bytes | None = None) -> None:
        """Keep a copy of the saved chain, or of `state`, should Anvil be killed while it writes."""
        part = self.backup.with_suffix(".part")
        with explained(self.backup):
            try:
                if state is None:
                    shutil.copyfile(self.state, part)
                else:
                    part.write_bytes(state)
                part.replace(self.backup)
            finally:
                part.unlink(missing_ok=True)

    def get_saved_time(self) -> int | None:
        """Return the saved head's time, or None if no chain was saved.

        Raises ConfigError if the file is damaged: Anvil was killed while it wrote it.
        """
        if not self.state.exists():
            return None
        with explained(self.state), self.state.open("rb") as file:
            found = _TIMESTAMP.search(file.read(_HEADER_BYTES))
            file.seek(max(self.state.stat().st_size - 2, 0))
            is_whole = file.read().rstrip().endswith(b"}")
        if not found or not is_whole:
            raise ConfigError(
                f"the saved chain {self.state} is damaged: Anvil was killed while it wrote, or had "
                f"no room; {self._advise()}"
            )
        return int(found[1], 16)

    def verify_saved(self) -> None:
        """Raise ConfigError if there is no saved chain to start again."""
        if not self.state.exists():
            raise ConfigError(f"the saved chain {self.state} is missing; {self._advise()}")

    def _advise(self) -> str:
        if self.backup.exists():
            return f"put {self.backup.name} beside it in its place, or start a new chain elsewhere"
        return "no copy of it was kept: start a new chain elsewhere"

    def get_complaint(self) -> str:
        """Return the last line of Anvil's log."""
        try:
            lines = self.log.read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_json(path: Path, kinds: dict[str, type], advice: str) -> dict[str, Any] | None:
    """Return a record whose values have their `kinds`; None if there is no file."""
    if not path.exists():
        return None
    with explained(path):
        data = path.read_bytes()
    try:
        record = json.loads(data)
        if all(isinstance(record[name], kind) for name, kind in kinds.items()):
            return dict(record)
    except (ValueError, TypeError, KeyError):
        pass
    raise ConfigError(f"{path} is damaged: {advice}")


def _write_json(path: Path, record: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
            with os.fdopen(descriptor, "w") as file:
                json.dump(record, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

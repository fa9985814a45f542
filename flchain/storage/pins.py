"""The pin table: which names keep which trees, in SQLite.

Safe for several processes and threads: each statement is one transaction, and the write-ahead log
lets readers go on. The folder must be on a local disk, as SQLite asks for that mode.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flchain.storage.base import Pin
from flchain.storage.cid import Cid, decode_cid
from flchain.storage.errors import StoreFull, StoreLocked, StoreUnusable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pins (
    name TEXT NOT NULL,
    cid TEXT NOT NULL,
    PRIMARY KEY (name, cid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pins_by_cid ON pins (cid);
CREATE TABLE IF NOT EXISTS publications (
    cid TEXT PRIMARY KEY,
    is_foreign INTEGER,
    is_confirmed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_REMADE = 1
"""`user_version` of a table that was made anew beside blocks."""
MAX_NAME = 512
_POLL = 0.01


class Publication(NamedTuple):
    """What is known of a root that was sent to remote places."""

    is_foreign: bool | None
    """Somebody else had pinned it there before, so their pin must stay; None before asking."""
    is_confirmed: bool


class PinTable:
    """Pins, and which roots were sent to remote places."""

    def __init__(
        self,
        path: Path | None,
        *,
        timeout: float = 30.0,
        durable: bool = True,
        is_remade: bool = False,
    ) -> None:
        """Open the table at `path`, or one in memory; wait `timeout` s for others.

        With `durable` each change is on the disk when the call returns. `is_remade` marks a table
        that is new beside old blocks, for good.
        """
        self._is_made_anew = is_remade
        self._path = path
        self._timeout = timeout
        self._synchronous = "FULL" if durable else "NORMAL"
        self._mutex = threading.Lock()
        self._connection = self._connect()
        self._process = os.getpid()

    def verify_known(self) -> None:
        """Raise `StoreUnusable` if the table began after the blocks, whose names are lost."""
        ((version,),) = self._run("PRAGMA user_version")
        if version == _REMADE:
            raise StoreUnusable(
                f"{self._path} was lost and begun again, so nobody knows what it kept; restore it "
                "from a copy, or move what you need to a new store with `flchain store export`"
            )

    def add(self, name: str, *cids: Cid) -> None:
        """Record that `name` keeps `cids`; all of them at once."""
        if not 0 < len(name) <= MAX_NAME:
            raise StoreUnusable(f"a pin's name has 1 to {MAX_NAME} characters, not {len(name)}")
        # As JSON, since the number of a statement's parameters is limited.
        listed = json.dumps([str(cid) for cid in cids])
        self._run("INSERT OR IGNORE INTO pins SELECT ?, value FROM json_each(?)", name, listed)

    def remove(self, name: str) -> None:
        """Forget a name; an unknown one is no error."""
        self._run("DELETE FROM pins WHERE name = ?", name)

    def iterate(self, prefix: str = "") -> Iterator[Pin]:
        """Yield the pins whose name starts with `prefix`, by name."""
        rows = self._run(
            "SELECT name, cid FROM pins WHERE substr(name, 1, ?) = ? ORDER BY name, cid",
            len(prefix),
            prefix,
        )
        return (Pin(name, decode_cid(cid)) for name, cid in rows)

    def get_cids(self, name: str) -> tuple[Cid, ...]:
        """Return what `name` keeps."""
        rows = self._run("SELECT cid FROM pins WHERE name = ? ORDER BY cid", name)
        return tuple(decode_cid(row[0]) for row in rows)

    def get_roots(self) -> tuple[Cid, ...]:
        """Return each CID that some name keeps."""
        rows = self._run("SELECT DISTINCT cid FROM pins ORDER BY cid")
        return tuple(decode_cid(row[0]) for row in rows)

    def is_pinned(self, cid: Cid) -> bool:
        """Return whether some name keeps exactly `cid`."""
        return bool(self._run("SELECT 1 FROM pins WHERE cid = ? LIMIT 1", str(cid)))

    def get_sole_cids(self, name: str) -> tuple[Cid, ...]:
        """Return what `name` keeps and no other name does."""
        rows = self._run(
            "SELECT cid FROM pins WHERE name = ? AND cid NOT IN"
            " (SELECT cid FROM pins WHERE name <> ?)",
            name,
            name,
        )
        return tuple(decode_cid(row[0]) for row in rows)

    def get_publication(self, cid: Cid) -> Publication | None:
        """Return how far the publication of `cid` is, or None before it began."""
        rows = self._run(
            "SELECT is_foreign, is_confirmed FROM publications WHERE cid = ?", str(cid)
        )
        if not rows:
            return None
        is_foreign, is_confirmed = rows[0]
        return Publication(None if is_foreign is None else bool(is_foreign), bool(is_confirmed))

    def add_publication(self, cid: Cid) -> None:
        """Queue a root, unless its publication has begun."""
        self._run("INSERT OR IGNORE INTO publications (cid) VALUES (?)", str(cid))

    def set_foreign(self, cid: Cid, *, is_foreign: bool) -> None:
        """Record whose pin a remote place held first; later answers don't count."""
        self._run(
            "UPDATE publications SET is_foreign = ? WHERE cid = ? AND is_foreign IS NULL",
            is_foreign,
            str(cid),
        )

    def confirm_publication(self, cid: Cid) -> None:
        """Record that every remote place confirmed `cid`."""
        self._run("UPDATE publications SET is_confirmed = 1 WHERE cid = ?", str(cid))

    def remove_publication(self, cid: Cid) -> None:
        """Forget a publication."""
        self._run("DELETE FROM publications WHERE cid = ?", str(cid))

    def get_unconfirmed(self) -> tuple[Cid, ...]:
        """Return the roots that some remote place has still to confirm."""
        rows = self._run("SELECT cid FROM publications WHERE NOT is_confirmed ORDER BY cid")
        return tuple(decode_cid(row[0]) for row in rows)

    def close(self) -> None:
        """Close the database; what was added stays."""
        with self._mutex:
            self._connection.close()

    def _run(self, statement: str, *values: object) -> list[Any]:
        with self._mutex:
            if self._process != os.getpid():
                # A connection must not cross a fork; the parent's stays open and unused here.
                self._connection, self._process = self._connect(), os.getpid()
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._explain(error) from error

    def _connect(self) -> sqlite3.Connection:
        end = time.monotonic() + self._timeout
        while True:
            try:
                return self._open()
            except sqlite3.Error as error:
                # SQLite does not wait by itself while another process turns the log mode on.
                if "locked" not in str(error) or time.monotonic() >= end:
                    raise self._explain(error) from error
                time.sleep(_POLL)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:" if self._path is None else self._path,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if self._is_made_anew:
                connection.execute(f"PRAGMA user_version={_REMADE}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _explain(self, error: sqlite3.Error) -> Exception:
        text = str(error)
        if "locked" in text:
            return StoreLocked(
                f"{self._path} is busy in another process; try again", is_retryable=True
            )
        if "full" in text:
            return StoreFull(f"{self._path}: no room on the disk; make room", is_retryable=True)
        if "readonly" in text or "unable to open" in text:
            return StoreUnusable(f"{self._path} can't be used ({text}); check owner, permissions")
        if "I/O" in text:
            return StoreFull(
                f"{self._path}: {text}; see to disk, quota and limits, then try again",
                is_retryable=True,
            )
        return StoreUnusable(
            f"{self._path} is not a usable pin table ({text}); restore it from a copy, "
            "or move it away and pin again"
        )

"""Run folders: one per local federation or devnet, never shared by two.

DATA/runs/20260101-120000-3f2a9c/
    run.json        what the run is: contracts, task, how to resume it
    chain/          Anvil's saved state
    store/          content by CID
    journals/       one folder per role process
    keys/, logs/    of a demo with processes
    summary.json
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import ConfigError

FORMAT = "flchain-run-v1"
RECORD = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says.

    `ledger` is "anvil" or "memory"; only the former can be resumed. `addresses` has the fields
    of `flchain.chain.base.Addresses`.
    """

    kind: str
    ledger: str
    chain_id: int
    addresses: dict[str, str]
    task: int = 0
    seed: int = 0
    dataset: str = ""
    format: str = FORMAT


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path
    record: RunRecord | None = field(default=None, compare=False)

    @property
    def is_resumable(self) -> bool:
        """Whether its chain outlives the process that ran it."""
        return self.record is not None and self.record.ledger == "anvil"

    @property
    def chain(self) -> Path:
        """Where Anvil's state is."""
        return self.folder / "chain"

    @property
    def store(self) -> Path:
        """Where content is."""
        return self.folder / "store"

    @property
    def summary(self) -> Path:
        """What the run came to."""
        return self.folder / "summary.json"

    def measure(self) -> int:
        """Return the bytes that the run's files take on disk."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)


def create_run(data_dir: Path, stamp: str) -> Run:
    """Make a new folder; `stamp` is its time, which sorts. Raises ConfigError."""
    folder = data_dir / "runs" / f"{stamp}-{os.urandom(3).hex()}"
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"data folder {data_dir}: {error.strerror}; name another with --data-dir"
        ) from error
    return Run(folder)


def save_record(run: Run, record: RunRecord) -> Run:
    """Write `run.json` in full or not at all; from then on the run is found."""
    write_json(run.folder / RECORD, asdict(record))
    return Run(run.folder, record)


def discard_run(run: Run) -> None:
    """Remove the folder of a run that failed before it had a record: nothing would find it."""
    if not (run.folder / RECORD).exists():
        shutil.rmtree(run.folder, ignore_errors=True)


def load_run(folder: Path) -> Run:
    """Read a run's folder. Raises ConfigError if it is none."""
    path = folder / RECORD
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Run(folder, RunRecord(**document))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is no {FORMAT} document; chain and store beside it may be whole: to use them, "
            f"copy another run's {RECORD} there and enter chain_id and addresses of deployment.json"
        ) from error


def find_runs(data_dir: Path) -> list[Run]:
    """Return the runs that were begun, oldest first; a note on stderr names what can't be read."""
    found = sorted((data_dir / "runs").glob(f"*/{RECORD}"))
    return [run for path in found if (run := _try_run(path.parent))]


def _try_run(folder: Path) -> Run | None:
    # One damaged record must not keep anybody from the other runs.
    try:
        return load_run(folder)
    except ConfigError as error:
        click.echo(f"note: run left out: {error}", err=True)
        return None


def find_newest(data_dir: Path) -> Run:
    """Return the newest run whose chain was saved. Raises ConfigError if there is none."""
    runs = find_runs(data_dir)
    for run in reversed(runs):
        if run.is_resumable:
            return run
    ended = f"{len(runs)} runs in memory left no chain; " if runs else ""
    raise ConfigError(
        f"no saved chain in {data_dir}: {ended}run `flchain demo` over Anvil first, "
        "or name a node with --rpc and --addresses"
    )


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document in full or not at all. Raises ConfigError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def find_newest_store(data_dir: Path) -> Path:
    """Return the newest run's store, whatever its ledger was. Raises ConfigError."""
    for run in reversed(find_runs(data_dir)):
        if run.is_resumable or run.store.is_dir():
            return run.store
    raise ConfigError(f"no store in {data_dir}: run `flchain demo` first, or name one with --store")

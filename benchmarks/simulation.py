"""A federation in memory beside Flower's simulation engine and a plain torch loop.

The same rows, models, batches, seeds and weights in three programs that take turns, each a process
of its own with one thread: the plain loop (the limit), flchain with every role on the in-memory
ledger (one validator executes each round again and tests the model), and Flower with one worker.
CPU seconds count imports and all child processes, also those whose parent has ended: this process
is their reaper (prctl(2), PR_SET_CHILD_SUBREAPER). Memory is the peak of the process tree's
proportional set size. A run that takes too long is ended and has no figure, and its engine no
further turn in that case.
"""

import argparse
import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engines.job import write_job
from table import Row, write_results

ROOT = Path(__file__).parents[1]
ENGINES = Path(__file__).parent / "engines"
FLOWER = ROOT / "build" / "peers" / "flwr" / "bin" / "python"
CASES = {
    "10 x 105,866": {"model": "cnn", "clients": 10, "rows": 1_000, "rounds": 10, "cohort": 10},
    "100 x 7,850": {"model": "softmax", "clients": 100, "rows": 100, "rounds": 5, "cohort": 100},
    "1,000 x 7,850": {
        "model": "softmax",
        "clients": 1_000,
        "rows": 60,
        "rounds": 5,
        "cohort": 100,
    },
}
SET_CHILD_SUBREAPER = 36
LINGER = 20.0
"""Seconds that processes may go on after the engine that started them has ended."""
LIMITS = {"cpu": {"10 x 105,866": 1.15, "100 x 7,850": 1.0}, "first": 5.0, "peak": 700.0}


@dataclass(frozen=True)
class Measured:
    """What one process took. `beside` is seconds per client-round outside training."""

    cpu: float
    wall: float
    first: float
    peak: float
    beside: float
    curve: tuple[float, ...]


class OverdueError(Exception):
    """An engine took longer than it may."""


def measure(command: list[str], folder: Path, most: float) -> Measured:
    """Run one engine on a job. Raises OverdueError after `most` seconds."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    before, begun = os.times(), time.time()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command, str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )
        peak, watch = Peak(process.pid), Deadline(process.pid, most)
        lines = [json.loads(x) for x in process.stdout or () if x.startswith('{"')]
        process.wait()
        reap_orphans()
        if watch.stop():
            peak.stop()
            raise OverdueError
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{command} failed:\n{errors.read()[-2000:]}")
    after, ended = os.times(), time.time()
    rounds = [line for line in lines if "round" in line]
    return Measured(
        cpu=after.children_user + after.children_system - before[2] - before[3],
        wall=ended - begun,
        first=rounds[0]["time"] - begun,
        peak=peak.stop(),
        beside=next(line["beside"] for line in lines if "beside" in line),
        curve=tuple(line["accuracy"] for line in rounds),
    )


def adopt_orphans() -> None:
    """Become the parent of processes below this one whose own parent ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: this system cannot count orphans' CPU")


def reap_orphans() -> None:
    """Wait for what an engine has left behind, and end what goes on for too long."""
    deadline = time.monotonic() + LINGER
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    for pid in list_tree(os.getpid())[1:]:
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)


class Deadline:
    """Kills a process and all below it once it has taken too long."""

    def __init__(self, pid: int, most: float) -> None:
        """Begin to count."""
        self._pid, self._is_over = pid, False
        self._timer = threading.Timer(most, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> bool:
        """Count no longer; return whether the process was killed."""
        self._timer.cancel()
        return self._is_over

    def _end(self) -> None:
        self._is_over = True
        for pid in list_tree(self._pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Peak:
    """Watches the proportional set size of a process and all below it."""

    def __init__(self, pid: int) -> None:
        """Begin to watch."""
        self._pid, self._most, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Return the highest sum in MiB."""
        self._ended.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._most = max(self._most, sum(read_pss(pid) for pid in list_tree(self._pid)))


def list_tree(root: int) -> list[int]:
    """Return a process and all below it; those whose parent has ended are lost from sight."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def read_pss(pid: int) -> float:
    """Return a process' proportional set size in MiB; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    lines = [line.split() for line in text.splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1024


def compare(name: str, turns: int, most: float, *, with_flower: bool) -> list[Row]:
    """Return one case's rows: medians over the turns."""
    case = CASES[name]
    runs: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_job(folder, **case, is_batched=case["model"] == "softmax")
        commands = {
            "plain": [sys.executable, str(ENGINES / "loop.py")],
            "ours": [sys.executable, str(ENGINES / "ours.py")],
        }
        if with_flower:
            commands["flower"] = [str(FLOWER), str(ENGINES / "flower.py")]
        for _ in range(turns):
            for engine, command in list(commands.items()):
                try:
                    found = measure(command, folder, most)
                except OverdueError:
                    print(f"{name}: {engine} took more than {most:.0f} s and was ended", flush=True)
                    del commands[engine]
                    continue
                runs.setdefault(engine, []).append(found)
                print(name, engine, found, flush=True)
    return build_rows(name, runs)


def build_rows(name: str, runs: dict[str, list[Measured]]) -> list[Row]:
    """Return the table's rows of one case."""

    def take(engine: str, what: str) -> float | None:
        values = [getattr(run, what) for run in runs.get(engine, [])]
        return statistics.median(values) if values else None

    if not {"plain", "ours"} <= set(runs):
        return []
    plain, ours = take("plain", "cpu") or 1.0, take("ours", "cpu") or 0.0
    flower = take("flower", "cpu")
    limit = LIMITS["cpu"].get(name)
    ratio = flower / plain if flower else None
    gaps = zip(runs["ours"][0].curve, runs["plain"][0].curve, strict=True)
    rows = [
        Row(f"{name}: CPU of the plain loop", "s", plain),
        Row(f"{name}: CPU", "s", ours, flower),
        Row(f"{name}: CPU / plain loop", "", ours / plain, ratio, limit),
        Row(f"{name}: largest gap to the plain curve", "", max(abs(a - b) for a, b in gaps)),
        Row(f"{name}: last accuracy", "", runs["ours"][0].curve[-1], take_last(runs)),
    ]
    for what, unit, scale, most in (
        ("beside", "ms per client-round", 1000.0, 5.0),
        ("first", "s", 1.0, LIMITS["first"]),
        ("peak", "MiB", 1.0, LIMITS["peak"]),
        ("wall", "s", 1.0, None),
    ):
        own, peer = take("ours", what) or 0.0, take("flower", what)
        is_limited = name == "10 x 105,866"
        figure = Row(
            f"{name}: {NAMES[what]}",
            unit,
            own * scale,
            None if peer is None else peer * scale,
            most if is_limited else None,
        )
        rows.append(figure)
    return rows


def take_last(runs: dict[str, list[Measured]]) -> float | None:
    """Return Flower's last accuracy."""
    return runs["flower"][0].curve[-1] if "flower" in runs else None


NAMES = {
    "beside": "outside training",
    "first": "process start to the first round's result",
    "peak": "peak memory",
    "wall": "whole run",
}


def main() -> None:
    """Measure the cases; Flower's environment is made first if it is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--most", type=float, default=600.0, help="seconds that one run may take")
    parser.add_argument("--without-flower", action="store_true")
    arguments = parser.parse_args()
    if not arguments.without_flower:
        subprocess.run(["bash", str(ROOT / "tools" / "peers.sh"), "flwr"], check=True)
    adopt_orphans()
    rows = [
        row
        for name in arguments.cases
        for row in compare(
            name, arguments.turns, arguments.most, with_flower=not arguments.without_flower
        )
    ]
    setting = {
        "turns": arguments.turns,
        "seconds a run may take": arguments.most,
        "threads": 1,
        "flower": "1.41.0, one worker",
        "validators": 1,
        "softmax": "agents trained together",
        "peer": "Flower",
        "limit of CPU / plain loop": "target",
    }
    write_results("simulation", rows, setting)


if __name__ == "__main__":
    main()

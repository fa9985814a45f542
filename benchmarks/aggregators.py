"""CPU time and memory of the robust rules beside ByzFL's, on one thread.

    python benchmarks/aggregators.py [--peers FOLDER] [--large]

Both get the same updates, ours as int32 and ByzFL's as float32, one after the other; a figure
is the median of three calls' CPU seconds, of one call where there are 10^8 values. Memory is what
the process held more at most during the calls than before them. Without --peers the figures stand
alone; --large adds 100 updates of a million values.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from byzfl_peers import PREFIX, build_peer_rules, load_peers
from table import Row, write_results

from flchain.learning.aggregators import build_aggregator, build_rule, find_centre

SIZES = ((20, 100_000), (100, 100_000))
LARGE = ((100, 1_000_000),)
BATCHES, LARGE_BATCHES = 3, 1
MEMORY = 12 << 30
"""Bytes of address space that a rule may take."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PAIRS = {
    "median": "median",
    "trimmed-mean": "trimmed mean",
    "geometric-median": "geometric median",
    "krum": "krum",
    "multikrum": "multikrum",
    "nnm/trimmed-mean": "nnm + trimmed mean",
    "nnm/geometric-median": "nnm + geometric median",
    "centred-clipping": "centred clipping",
    "bulyan": "",
    "crowds/geometric-median": "",
}
"""Ours, and the peer's of the same kind."""


def draw_rows(count: int, size: int) -> list[np.ndarray[Any, np.dtype[np.int32]]]:
    """Return the updates of one round, alike enough to have neighbours."""
    rng = np.random.Generator(np.random.PCG64(3))
    middle = rng.integers(-(2**15), 2**15, size, np.int32)
    return [middle + rng.integers(-(2**15), 2**15, size, np.int32) for _ in range(count)]


def build_own(name: str, count: int) -> Callable[[list[Any]], object]:
    """Return our rule for a fifth of malicious updates."""
    rule = build_aggregator(name)
    settings = dict(build_rule(rule, count // 5, count).parameters)
    return lambda rows: find_centre(rule, rows, settings)


def measure(folder: Path | None, names: list[str], count: int, size: int, results: Any) -> None:
    """Put CPU milliseconds and MiB of each rule into the queue; None for one that failed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rows = draw_rows(count, size)
    if folder is None:
        calls = [partial(build_own(name, count), rows) for name in names]
    else:
        floats = np.array(rows, np.float32)
        rules = build_peer_rules(load_peers(folder), count // 5)
        calls = [partial(rules[PREFIX + name], floats) for name in names]
    batches = LARGE_BATCHES if (count, size) in LARGE else BATCHES
    results.put([time_call(call, batches) for call in calls])


def time_call(call: Callable[[], object], batches: int) -> tuple[float, float] | None:
    """Return the median CPU milliseconds of a call, and the MiB by which memory grew at most."""
    # Linux forgets the process's peak and starts from what it holds now.
    Path("/proc/self/clear_refs").write_text("5")
    before, times = read_peak(), []
    try:
        for _ in range(batches):
            start = time.process_time()
            call()
            times.append(1e3 * (time.process_time() - start))
    except MemoryError:
        return None
    return statistics.median(times), read_peak() - before


def read_peak() -> float:
    """Return the most MiB that the process held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run_apart(
    folder: Path | None, names: list[str], count: int, size: int
) -> list[tuple[float, float] | None]:
    """Measure in a process of its own, which reads the number of threads anew."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=measure, args=(folder, names, count, size, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"measuring {count} x {size} failed")
    found: list[tuple[float, float] | None] = results.get()
    return found


def measure_size(peers: Path | None, count: int, size: int) -> tuple[list[Row], list[str]]:
    """Return the rows of one size, and the peers' rules that found no memory."""
    own = run_apart(None, list(PAIRS), count, size)
    others = [other for other in PAIRS.values() if other]
    found = run_apart(peers, others, count, size) if peers else []
    figures = dict(zip(others, found, strict=False))
    rows = []
    for (name, other), figure in zip(PAIRS.items(), own, strict=True):
        peer = figures.get(other)
        for place, (what, unit) in enumerate((("CPU", "ms"), ("memory", "MiB"))):
            if figure is not None:
                beside = None if peer is None else round(peer[place], 2)
                label = f"{name}, {count} x {size}: {what}"
                rows.append(Row(label, unit, round(figure[place], 2), beside))
    return rows, [f"{name}, {count} x {size}" for name, pair in figures.items() if pair is None]


def main() -> None:
    """Measure every size and rule, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peers", type=Path, help="folder with ByzFL")
    parser.add_argument("--large", action="store_true", help="100 updates of a million values too")
    options = parser.parse_args()
    # Each measuring process reads these when it imports NumPy.
    os.environ.update(ONE_THREAD)
    rows, failed = [], []
    for count, size in (*SIZES, *(LARGE if options.large else ())):
        found, without_memory = measure_size(options.peers, count, size)
        rows += found
        failed += without_memory
    setting = {
        "peer": "byzfl 0.0.11",
        "f": "n / 5",
        "threads": 1,
        "bytes allowed": MEMORY,
        "peer without memory": failed,
    }
    write_results("aggregators", rows, setting)


if __name__ == "__main__":
    main()

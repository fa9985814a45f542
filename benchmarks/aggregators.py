"""CPU time and memory of the robust rules beside ByzFL's, on one thread.

    python benchmarks/aggregators.py [--peers FOLDER] [--large]

Both get the same updates, ours as int32 and ByzFL's as float32, and are timed in turn; a figure
is the median of three calls' CPU seconds, of one call where there are 10^8 values. Memory is what
the process's peak grew by during the call, each in a process of its own. Without --peers the times
stand alone; --large adds 100 updates of a million values.
"""

import argparse
import json
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


def build_call(folder: Path | None, name: str, count: int, size: int) -> Callable[[], object]:
    """Return a call of one rule on its rows, with everything loaded and built."""
    rows = draw_rows(count, size)
    if not name.startswith(PREFIX):
        return partial(build_own(name, count), rows)
    rule = build_peer_rules(load_peers(folder or Path()), count // 5)[name]
    floats = np.array(rows, np.float32)
    rows.clear()
    return lambda: rule(floats)


def measure(folder: Path | None, name: str, count: int, size: int, results: Any) -> None:
    """Put CPU milliseconds and MiB of one rule into the queue."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    call = build_call(folder, name, count, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(LARGE_BATCHES if (count, size) in LARGE else BATCHES):
        start = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - start))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    results.put((statistics.median(times), grown))


def run_apart(folder: Path | None, name: str, count: int, size: int) -> tuple[float, float] | None:
    """Measure in a process of its own; None if it did not come back, as without memory."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=measure, args=(folder, name, count, size, results))
    process.start()
    process.join()
    return results.get() if process.exitcode == 0 else None


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
        for name, other in PAIRS.items():
            own = run_apart(None, name, count, size)
            has_peer = options.peers is not None and other
            peer = run_apart(options.peers, PREFIX + other, count, size) if has_peer else None
            label = f"{name}, {count} x {size}"
            if has_peer and peer is None:
                failed.append(f"{PREFIX}{other}, {count} x {size}")
            for place, (what, unit) in enumerate((("CPU", "ms"), ("memory", "MiB"))):
                if own is not None:
                    figure = None if peer is None else round(peer[place], 2)
                    rows.append(Row(f"{label}: {what}", unit, round(own[place], 2), figure))
            print(json.dumps([label, own, peer]), flush=True)
    setting = {
        "peer": "byzfl 0.0.11",
        "f": "n / 5",
        "threads": 1,
        "peer failed": failed,
        "bytes allowed": MEMORY,
    }
    write_results("aggregators", rows, setting)


if __name__ == "__main__":
    main()

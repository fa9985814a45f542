"""Secure aggregation beside Flower's SecAgg+, stage by stage, and far beyond its sizes.

The peer is flwr 1.41.0 by its own functions (`benchmarks/peers`), in an environment of its own that
`make bench-peers` makes, as a second process that runs while this one waits. Both do the same case
in turn, each in one thread, with the same graph degree and threshold; figures are medians. "core"
is masking by all clients, quantisation included, the server's sum and unmasking; "whole" adds keys,
sharing and opening of shares. Flower checks no share and proves no key, so that its "whole" does
less.

At 200 and 1,000 agents everything is real but the masked vectors, of which the aggregator gets
random ones; a round of short vectors with the same graph shows that its sum is right. Masks are
applied in one thread and, where a row says so, in two. Processor time beside the time says how much
of it the machine was busy with something else. Peak memory is what Python and NumPy
allocate; the key streams, of which 64 are open in a thread, have about 1 kB each beside that.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from secagg_round import (
    RULES,
    Case,
    Stages,
    check_sum,
    found_federation,
    make_pool,
    mask_update,
    prepare_client,
    run_aggregator,
    run_ours,
    tell_all,
)
from table import Row, write_results

from flchain.crypto.secagg import unmasking
from flchain.crypto.secagg.parameters import compute_parameters

PEER = Path(__file__).parent / "peers" / "flwr_secagg.py"
PEER_PYTHON = Path(__file__).parent.parent / "build" / "peers" / "flwr" / "bin" / "python"
CORE, WHOLE = ("mask", "sum", "unmask"), ("setup", "share", "check", "mask", "sum", "unmask")
SPEED_UP = {100_000: 10, 1_000_000: 7}
"""How many times faster than the peer the core is to be, by size."""
CLIENT_LIMIT, SERVER_LIMIT = 0.2, 5.0
MEGABYTE = 1_000_000
THREADS = {1: "", 2: ", 2 threads"}


class Cost(NamedTuple):
    """Seconds that passed, and seconds that this process's threads were running."""

    seconds: float
    processor: float


CASES = tuple(
    Case(agents, degree, threshold, size, dropped)
    for agents, degree, threshold, most in ((10, 9, 6, 1), (50, 20, 13, 5))
    for size in (100_000, 1_000_000)
    for dropped in (0, most)
)


def open_peer() -> subprocess.Popen[str]:
    """Start the peer's process. Exits with advice if its environment is missing."""
    if not PEER_PYTHON.exists():
        sys.exit("benchmarks/secagg.py: run `make bench-peers` first, or give --alone")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        [str(PEER_PYTHON), str(PEER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=alone,
        text=True,
    )


def ask_peer(peer: subprocess.Popen[str], case: Case) -> dict[str, float]:
    """Return the peer's seconds by stage."""
    assert peer.stdin is not None  # noqa: S101 - opened with pipes
    assert peer.stdout is not None  # noqa: S101
    fields = ("agents", "degree", "threshold", "size", "dropped", "seed")
    peer.stdin.write(json.dumps({name: getattr(case, name) for name in fields}) + "\n")
    peer.stdin.flush()
    answer: dict[str, float] = json.loads(peer.stdout.readline())
    return answer


def compare(case: Case, peer: subprocess.Popen[str] | None, repeats: int) -> Iterator[Row]:
    """Yield the rows of one case, each side timed in turn."""
    ours, theirs = [], []
    for number in range(repeats):
        each = replace(case, seed=number)
        ours.append(run_ours(each))
        if peer:
            theirs.append(ask_peer(peer, each))
    limit = compute_median(theirs, CORE)
    yield Row(
        f"core, {case.label}",
        "s",
        compute_median(ours, CORE) or 0.0,
        limit,
        limit and limit / SPEED_UP[case.size],
    )
    yield Row(
        f"whole, {case.label}",
        "s",
        compute_median(ours, WHOLE) or 0.0,
        compute_median(theirs, WHOLE),
    )
    clients = case.agents - case.dropped
    for name, stages, unit, scale in (
        ("  mask, per client", ("mask",), "ms", 1000 / clients),
        ("  sum and unmask", ("sum", "unmask"), "ms", 1000),
        (
            "  keys, shares and checks, per client",
            ("setup", "share", "check"),
            "ms",
            1000 / case.agents,
        ),
        ("  bytes per parameter", ("bytes",), "B", 1),
        ("  largest error of the mean", ("error",), "1e-6", 1e6),
    ):
        mine, other = compute_median(ours, stages) or 0.0, compute_median(theirs, stages)
        yield Row(name, unit, mine * scale, other and other * scale)


def compute_median(runs: list[dict[str, float]], stages: tuple[str, ...]) -> float | None:
    """Return the median over runs of the stages' sum, None without runs."""
    if not runs:
        return None
    return statistics.median(sum(run[stage] for stage in stages) for run in runs)


def simulate(agents: int, sizes: tuple[int, ...], repeats: int) -> Iterator[Row]:
    """Yield a client's and the aggregator's figures at the degree that the bounds ask for."""
    found = compute_parameters(agents, 2000, 1000)
    case = Case(agents, found.degree, found.lowest, 1000, agents // 20)
    federation = found_federation(case, Stages())
    ordered = federation.roster.graph.agents
    survivors = frozenset(ordered[case.dropped :])
    told = tell_all(federation, survivors)
    check_sum(federation, survivors, told)
    client = ordered[-1]
    setup = measure(lambda: prepare_client(federation, client), repeats)
    for size in sizes:
        vector = np.random.default_rng(1).standard_normal(size, np.float32)
        rng = np.random.default_rng(2)
        label = replace(case, size=size, dropped=0).label
        mask = partial(mask_update, federation, client, vector, RULES, rng)
        yield from show_client(label, mask, setup, repeats)
        aggregate = partial(run_aggregator, federation, survivors, told, make_pool(size))
        yield from show_aggregator(label, aggregate, repeats)
    ending = unmasking.Unmasking(federation.roster, federation.sharings, survivors)
    checked = measure(lambda: unmasking.find_bad_shares(ending, told), 1)
    yield Row(f"checking every released share, n {agents}", "s", checked.seconds)


def show_client(label: str, mask: Any, setup: Cost, repeats: int) -> Iterator[Row]:
    """Yield a client's seconds and memory by number of threads; `setup` takes one."""
    for threads, suffix in THREADS.items():
        run = partial(mask, threads=threads)
        masked = measure(run, repeats)
        seconds, processor = setup.seconds + masked.seconds, setup.processor + masked.processor
        yield Row(f"client, {label}{suffix}", "s", seconds, None, CLIENT_LIMIT)
        yield Row("  of it keys, shares and checks", "s", setup.seconds)
        yield Row("  of it quantising and masking", "s", masked.seconds)
        yield Row("  processor time", "s", processor)
        yield Row("  peak memory beside its vector", "MB", measure_peak(run))


def show_aggregator(label: str, aggregate: Any, repeats: int) -> Iterator[Row]:
    """Yield the aggregator's seconds and memory by number of threads."""
    for threads, suffix in THREADS.items():
        run = partial(aggregate, threads=threads)
        cost = measure(run, repeats)
        yield Row(f"aggregator, {label}{suffix}", "s", cost.seconds, None, SERVER_LIMIT)
        yield Row("  processor time", "s", cost.processor)
        yield Row("  peak memory beside the vector it reads", "MB", measure_peak(run))


def measure(run: Any, repeats: int) -> Cost:
    """Return the medians of a few runs."""
    seconds, processor = [], []
    for _ in range(repeats):
        begun, busy = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - busy)
    return Cost(statistics.median(seconds), statistics.median(processor))


def measure_peak(run: Any) -> float:
    """Return megabytes allocated at the worst moment beyond those at the start."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / MEGABYTE


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="leave the peer out")
    parser.add_argument("--quick", action="store_true", help="the smallest cases only")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    peer = None if arguments.alone else open_peer()
    cases = CASES[:2] if arguments.quick else CASES
    rows = [row for case in cases for row in compare(case, peer, arguments.repeats)]
    if peer:
        peer.communicate()
    rows += simulate(200, (100_000, 1_000_000), arguments.repeats)
    if not arguments.quick:
        rows += simulate(1000, (1_000_000,), arguments.repeats)
    setting = {
        "peer": "none" if arguments.alone else "flwr 1.41.0",
        "numpy": np.__version__,
        "repeats": arguments.repeats,
        "threads": "1 where a row says nothing else",
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "processor": platform.processor() or platform.machine(),
    }
    write_results("secagg", rows, setting)


if __name__ == "__main__":
    main()

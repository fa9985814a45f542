"""Run the test suites and print one summary.

Without arguments all of them, else the ones named. pytest's processes are separate on purpose:
Ape's pytest plugin opens a network in every run that loads it, so only Ape's own suite does.
Exit code 1 when anything failed.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "test-results"
# Forge spends most of its time in a compiler that uses one core.
BESIDE_COMPILER = ("model", "ape")
FORGE_TOTALS = re.compile(r"(\d+) tests passed, (\d+) failed, (\d+) skipped \(")
PYTEST = (sys.executable, "-m", "pytest", "-q")
WITHOUT_APE = ("-p", "no:ape_test")
# A module stays in one worker: its tests share what is slow to import, or a chain.
IN_PARALLEL = ("-n", "2", "--dist", "loadfile")


@dataclass(frozen=True)
class Suite:
    """A command and the folders whose tests it runs."""

    name: str
    folders: tuple[str, ...]
    pattern: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """Counts of one suite; `failed` includes errors outside tests."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float


SUITES = (
    Suite(
        "unit",
        ("tests/unit", "tests/properties"),
        "test_*.py",
        (*PYTEST, *WITHOUT_APE, *IN_PARALLEL),
    ),
    Suite("solidity", ("tests/contracts",), "*.t.sol", ("forge", "test")),
    Suite("model", ("tests/model",), "test_*.py", (*PYTEST, *WITHOUT_APE, *IN_PARALLEL)),
    Suite("ape", ("tests/ape",), "test_*.py", ("ape", "test")),
    Suite("e2e", ("tests/e2e",), "test_*.py", (*PYTEST, *WITHOUT_APE, *IN_PARALLEL)),
)


def get_folders(suite: Suite) -> list[str]:
    """Return the suite's folders that hold tests."""
    return [folder for folder in suite.folders if any((ROOT / folder).rglob(suite.pattern))]


def get_environment() -> dict[str, str]:
    """Return the environment with one thread per worker, as many workers as there are cores."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # Without bytecode every worker and every child compiles everything again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def run_forge(command: Sequence[str]) -> tuple[int, int, int]:
    """Run forge, print its output at the end, and return passed, failed and skipped.

    Gas that differs from the committed snapshots is a failure; `forge test` alone rewrites them.
    """
    env = os.environ | {"FORGE_SNAPSHOT_CHECK": "true"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, check=False, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="", flush=True)
    totals = [tuple(map(int, found.groups())) for found in FORGE_TOTALS.finditer(done.stdout)]
    passed, failed, skipped = totals[-1] if totals else (0, 0, 0)
    return passed, failed or int(not totals or done.returncode != 0), skipped


def run_pytest(command: Sequence[str], report: Path) -> tuple[int, int, int]:
    """Run pytest and return passed, failed and skipped from its report."""
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    status = subprocess.run(
        [*command, f"--junitxml={report}"], cwd=ROOT, check=False, env=get_environment()
    ).returncode
    if not report.exists():
        return 0, 1, 0
    suite = next(ET.parse(report).iter("testsuite")).attrib  # noqa: S314  # written by our own pytest
    skipped = int(suite["skipped"])
    failed = int(suite["failures"]) + int(suite["errors"])
    passed = max(int(suite["tests"]) - failed - skipped, 0)
    return passed, failed or int(status != 0), skipped


def run_suite(suite: Suite) -> Result:
    """Run one suite to its end and count."""
    print(f"== {suite.name}", flush=True)
    start = time.monotonic()
    if suite.name == "solidity":
        counts = run_forge(suite.command)
    else:
        command = [*suite.command, *get_folders(suite)]
        counts = run_pytest(command, RESULTS / f"{suite.name}.xml")
    return Result(suite.name, *counts, time.monotonic() - start)


def run_suites(chosen: Sequence[Suite]) -> list[Result]:
    """Run suites one after another, but what watches no clock beside the compiler of Solidity."""
    results: dict[str, Result] = {}
    with ThreadPoolExecutor(1) as pool:
        compiling = None
        for suite in chosen:
            if suite.name == "solidity":
                compiling = pool.submit(run_suite, suite)
                continue
            if suite.name not in BESIDE_COMPILER and compiling:
                compiling.result()
            results[suite.name] = run_suite(suite)
        if compiling:
            results["solidity"] = compiling.result()
    return [results[suite.name] for suite in chosen]


def get_summary(results: Sequence[Result], seconds: float) -> str:
    """Return a table with one line per suite and pytest's kind of closing line."""
    lines = [f"{'suite':<10}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    lines += [
        f"{r.name:<10}{r.passed:>8}{r.failed:>8}{r.skipped:>9}{r.seconds:>9.1f}" for r in results
    ]
    failed, passed, skipped = (
        sum(getattr(r, name) for r in results) for name in ("failed", "passed", "skipped")
    )
    counts = (
        [f"{failed} failed"] * bool(failed)
        + [f"{passed} passed"]
        + [f"{skipped} skipped"] * bool(skipped)
    )
    return "\n".join([*lines, f"==== {', '.join(counts)} in {seconds:.2f}s ===="])


def main() -> int:
    """Run the suites named on the command line, or all."""
    parser = argparse.ArgumentParser(description="Run the test suites and print one summary.")
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=", ".join(s.name for s in SUITES)
    )
    names = parser.parse_args().suites
    if unknown := set(names) - {suite.name for suite in SUITES}:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    start = time.monotonic()
    results = run_suites([suite for suite in chosen if get_folders(suite)])
    print(get_summary(results, time.monotonic() - start))
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())

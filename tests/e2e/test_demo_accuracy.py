"""The demonstration learns what it says it learns, in one process and in many."""

import json
from pathlib import Path

import pytest

from tests.e2e import cli

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.timeout(900)]

WANTED = 0.95
LIMIT_SECONDS = 600
"""A guard against hanging, not a measurement: benchmarks measure."""


@pytest.mark.parametrize("mode", [(), ("--processes",)], ids=["one-process", "processes"])
def test_demo__ten_agents_on_mnist__reaches_95_percent(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    process = cli.start(tmp_path, "demo", *mode, "--summary", "summary.json")
    output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, output + errors
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [row["outcome"] for row in summary["rounds"]] == ["FINALIZED"] * 10
    assert summary["final_accuracy"] >= WANTED
    assert cli.find_processes(str(tmp_path)) == []

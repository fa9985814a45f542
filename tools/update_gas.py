"""Measure the gas of every action again and write the committed file.

Prints what changed. The limits hold all the same: a file beyond them fails the gas tests.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/e2e/test_gas.py"
MEASURED = ROOT / "build" / "test-results" / "gas.json"
COMMITTED = ROOT / "tests" / "e2e" / "gas.json"


def get_changes(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return one line for each action whose gas is another, new or gone."""
    return [
        f"{label}: {before.get(label, '-')} -> {after.get(label, '-')}"
        for label in sorted(before.keys() | after.keys())
        if before.get(label) != after.get(label)
    ]


def main() -> int:
    """Run the measurement, replace the file and say what is different."""
    MEASURED.unlink(missing_ok=True)
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:ape_test", "-k", "measured", TEST)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if not MEASURED.exists():
        print("update_gas: the measurement failed: see pytest's report above", file=sys.stderr)
        return status or 1
    text = MEASURED.read_text()
    before = json.loads(COMMITTED.read_text())["gas"] if COMMITTED.exists() else {}
    COMMITTED.write_text(text)
    print("\n".join(get_changes(before, json.loads(text)["gas"])) or "update_gas: nothing changed")
    return status


if __name__ == "__main__":
    sys.exit(main())

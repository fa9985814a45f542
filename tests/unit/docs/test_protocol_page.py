"""The protocol's page says what the specification does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_protocol_page__is_what_the_specification_gives() -> None:
    command = [sys.executable, str(ROOT / "tools" / "write_protocol.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr

"""The README's gas table says what the committed file says."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = {
    "submit an update": "submit",
    "submit the round's last update": "submit: last of the round",
    "attest a round's blobs": "attest",
    "attest as the round's last": "attest: last of the round",
    "vote": "vote",
    "settle a round": "settle",
    "claim a reward": "claim",
    "register with stake": "register",
}


def read_table() -> dict[str, int]:
    """Return the numbers of the README's table by what stands before them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| action | gas |") :].partition("\n\n")[0]
    cells = re.findall(r"\| ([a-z][^|]*) \| ([\d,]+) \|", table)
    return {name: int(number.replace(",", "")) for name, number in cells}


def test_readme__gas_table__equals_the_committed_file() -> None:
    gas = json.loads((ROOT / "tests" / "e2e" / "gas.json").read_text())["gas"]
    assert read_table() == {name: gas[label] for name, label in ROWS.items()}

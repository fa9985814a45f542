"""What the README and the pages say of gas is in the committed file."""

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


def load_gas() -> dict[str, int]:
    gas: dict[str, int] = json.loads((ROOT / "tests" / "e2e" / "gas.json").read_text())["gas"]
    return gas


def test_readme__gas_table__equals_the_committed_file() -> None:
    gas = load_gas()
    assert read_table() == {name: gas[label] for name, label in ROWS.items()}


def test_secure_mode__gas_table__equals_the_committed_file() -> None:
    gas = load_gas()
    text = (ROOT / "docs" / "secure_mode.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]+) \|(.*)\|$", text[text.index("## Gas") :], re.MULTILINE)
    assert [name for name, _ in rows] == ["JOIN", "SHARES", "CHECK", "SUBMIT", "ATTEST", "UNMASK"]
    for name, cells in rows:
        phase = name.lower()
        batch = gas.get(f"relayRecords: 100, {phase}", 0)
        voided = gas.get(f"voidRecord: {phase}") or gas.get(f"voidRecord: submit, in {phase}", 0)
        expected = [
            gas.get(f"postRecord: {phase}", 0),
            gas.get(f"postRecord: {phase}, last of all", 0),
            *(batch, round(batch / 100), voided),
            gas.get(f"attestRecords: {phase}", 0),
            gas.get(f"attestRecords: {phase}, last of all", 0),
        ]
        assert [int(cell.replace(",", "").strip() or 0) for cell in cells.split("|")] == expected


def test_committee__gas_of_draws__is_in_the_committed_file() -> None:
    text = (ROOT / "docs" / "committee.md").read_text(encoding="utf-8")
    section = text[text.index("A proof verified in") :].partition("\n\n")[0]
    said = {int(number.replace(",", "")) for number in re.findall(r"\d{2,3},\d{3}", section)}
    assert said - {51_000, 32_000} <= set(load_gas().values())
    assert len(said) > 7

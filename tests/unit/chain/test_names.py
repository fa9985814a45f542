"""Errors and events have one home: one merged table decodes them all."""

import re
from collections import Counter
from pathlib import Path

import pytest

INTERFACES = Path(__file__).parents[3] / "contracts" / "interfaces"


@pytest.mark.parametrize("kind", ["error", "event"])
def test_names__across_all_interfaces__are_unique(kind: str) -> None:
    pattern = re.compile(rf"^\s*{kind} (\w+)\(", re.MULTILINE)
    found = Counter(
        name
        for path in sorted(INTERFACES.glob("*.sol"))
        for name in pattern.findall(path.read_text(encoding="utf-8"))
    )
    assert len(found) > 10
    assert [name for name, count in found.items() if count > 1] == []

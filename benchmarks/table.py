"""What every benchmark does with its figures: print a table, keep them as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure beside a peer's and a limit; `ratio` is ours / peer, None where there is none."""

    what: str
    unit: str
    ours: float
    peer: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return ours / peer."""
        return round(self.ours / self.peer, 3) if self.peer else None


def write_results(name: str, rows: Sequence[Row], setting: Mapping[str, object]) -> None:
    """Print the rows and write `results/NAME.json`."""
    table = Table("what", "unit", "ours", "peer", "limit", "ours/peer", title=name)
    for row in rows:
        figures = (row.ours, row.peer, row.limit, row.ratio)
        table.add_row(row.what, row.unit, *("" if f is None else f"{f:.4g}" for f in figures))
    Console().print(table)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    document = {
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
        "setting": {**machine, **setting},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

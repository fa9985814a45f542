"""Rows of columns with names: CSV files, and what makes numbers of them.

Each agent fits its own pipeline: medians, means and deviations stay where the rows are. Only the
schema is common, so that all agents' inputs have the same columns.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flchain.learning.data.dataset import Dataset
from flchain.protocol.errors import ConfigError

_MAX_ROWS = 10_000_000


@dataclass(frozen=True)
class TableSchema:
    """Which columns are read, and as what.

    `classes` maps values of the column `label` to classes; `site` is the column that names the
    origin of a row, "" if there is none.
    """

    name: str
    numbers: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    label: str
    classes: Mapping[str, int]
    site: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that a row must have but the label's and the site's."""
        return (*self.numbers, *self.categories)

    @property
    def width(self) -> int:
        """How many inputs a row becomes."""
        return len(self.numbers) + sum(map(len, self.categories.values()))


@dataclass(frozen=True)
class Table:
    """Rows as they came: cells are text, "" where nothing is known."""

    schema: TableSchema
    cells: NDArray[np.str_]
    labels: NDArray[np.int64]
    sites: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64] | slice) -> "Table":
        """Return the given rows, in their order."""
        return Table(self.schema, self.cells[rows], self.labels[rows], self.sites[rows])


def load_table(path: Path, schema: TableSchema) -> Table:
    """Read a CSV file with a header line. Raises ConfigError naming line and column."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            wanted = {*schema.columns, schema.label, *filter(None, [schema.site])}
            missing = sorted(wanted - set(reader.fieldnames or ()))
            if missing:
                raise ConfigError(f"table {path} has no column {missing[0]!r}; see {schema.name}")
            rows = [_read_row(row, path, reader.line_num, schema) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"table {path} cannot be read ({error}); name a CSV file") from error
    if not 0 < len(rows) <= _MAX_ROWS:
        raise ConfigError(f"table {path} has {len(rows)} rows; 1 to {_MAX_ROWS} can be read")
    cells, labels, sites = zip(*rows, strict=True)
    return Table(schema, np.array(cells), np.array(labels, np.int64), np.array(sites))


def prepare_table(table: Table) -> Dataset:
    """Return the rows as numbers, by a pipeline that is fitted to these rows alone.

    Numbers: median for the unknown, then mean 0 and deviation 1. Categories: one column each; an
    unknown one is zero in all of them.
    """
    columns = _build_pipeline(table.schema).fit_transform(_convert(table))
    schema = table.schema
    classes = max(schema.classes.values()) + 1
    return Dataset(schema.name, np.asarray(columns, np.float32), table.labels, classes)


def _build_pipeline(schema: TableSchema) -> Any:
    # Two seconds of imports that only tables need.
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    # A column that nobody filled in at one site is zero there, not missing.
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    known = [list(values) for values in schema.categories.values()]
    encode = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
    count = len(schema.numbers)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(fill, StandardScaler()), slice(0, count)),
            ("categories", encode, slice(count, len(schema.columns))),
        ]
    )


def _convert(table: Table) -> NDArray[Any]:
    """Return the cells as objects: floats and NaN first, then text."""
    count = len(table.schema.numbers)
    numbers = np.where(table.cells[:, :count] == "", "nan", table.cells[:, :count])
    converted = np.empty(table.cells.shape, object)
    converted[:, :count] = numbers.astype(np.float64)
    converted[:, count:] = table.cells[:, count:]
    return converted


def _read_row(
    row: Mapping[str, str], path: Path, line: int, schema: TableSchema
) -> tuple[list[str], int, str]:
    """Return cells, class and site of one row."""
    cells = [_clean(row[name]) for name in schema.columns]
    for name, cell in zip(schema.numbers, cells, strict=False):
        if cell and not _is_number(cell):
            raise ConfigError(f"table {path}, line {line}: {name} is {cell[:40]!r}, no number")
    label = _clean(row[schema.label])
    if label not in schema.classes:
        known = ", ".join(schema.classes)
        raise ConfigError(
            f"table {path}, line {line}: {schema.label} is {label[:40]!r}, not one of {known}"
        )
    return cells, schema.classes[label], _clean(row[schema.site]) if schema.site else ""


def _clean(cell: str | None) -> str:
    text = (cell or "").strip()
    return "" if text.lower() in {"", "na", "nan", "?"} else text


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False

"""Rows as a table for people or as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, Any]
_WIDE = 200


def print_rows(rows: Sequence[Row], title: str, *, is_json: bool) -> None:
    """Print rows that all have the same keys; columns whose name starts with _ are JSON only."""
    if is_json:
        documents = [{key.lstrip("_"): value for key, value in row.items()} for row in rows]
        click.echo(json.dumps(documents, indent=2))
        return
    if not rows:
        click.echo(f"{title}: none")
        return
    _print_table(rows, title)


def print_facts(facts: Row, *, is_json: bool) -> None:
    """Print one record."""
    if is_json:
        click.echo(json.dumps(dict(facts), indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {_show(value)}")


def _print_table(rows: Sequence[Row], title: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON
    from rich.table import Table  # noqa: PLC0415

    columns = [name for name in rows[0] if not name.startswith("_")]
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in columns:
        is_number = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_show(row[name]) for name in columns))
    console = Console()
    if not console.is_terminal:
        # Whoever reads a file or a pipe wants whole lines.
        console = Console(width=_WIDE)
    console.print(table, highlight=False)


def _show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)

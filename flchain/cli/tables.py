"""A summary document as tables on the screen."""

from typing import Any

from rich.console import Console
from rich.table import Table

_UNIT = 10**18
_MEBI = 1 << 20
_SHOWN = 8
"""Hex digits of an output."""
_COLUMNS = {
    "plain": ("loss", "updates", "votes", "submit", "attest", "propose", "vote", "total"),
    "secure": ("updates", "votes", "keys", "submit", "attest", "unmask", "vote", "total"),
}
"""After round, outcome and accuracy: what fits 80 columns."""
_KEYS = ("join", "shares", "check")
"""Phases of secure mode that come before anybody trains, shown as one."""


def print_summary(console: Console, summary: dict[str, Any], hints: list[str]) -> None:
    """Print the tables and the closing lines; `hints` are commands to go on with."""
    console.print(_build_rounds(summary))
    drawn = [row for row in summary["rounds"] if row["draw"]]
    if drawn:
        console.print(_build_draw(drawn[-1]))
    if summary["gas"]:
        console.print(_build_gas(summary))
    for name, value in _list_facts(summary):
        console.print(f"{name:<12} {value}", highlight=False, soft_wrap=True, markup=False)
    for hint in hints:
        console.print(f"{'':<12} {hint}", highlight=False, soft_wrap=True, markup=False)


def format_amount(wei: int) -> str:
    """Return an amount in whole tokens, with six decimals at most."""
    text = f"{wei // _UNIT:,}.{wei % _UNIT:018d}"[:-12].rstrip("0").rstrip(".")
    return text if wei else "0"


def _build_rounds(summary: dict[str, Any]) -> Table:
    table, names = _build_table("Rounds (seconds by phase)"), _COLUMNS[summary["run"]["mode"]]
    for name in ("round", "outcome", "accuracy", *names):
        table.add_column(name, justify="left" if name == "outcome" else "right", no_wrap=True)
    for row in summary["rounds"]:
        table.add_row(
            str(row["round"]),
            row["outcome"],
            _show(row["accuracy"], 4),
            *(_show_column(row, name) for name in names),
        )
    return table


def _show_column(row: dict[str, Any], name: str) -> str:
    match name:
        case "loss":
            return _show(row["loss"], 4)
        case "updates":
            return f"{row['participants']}/{row['members']}"
        case "votes":
            return f"{row['votes']}/{row['seats']}"
        case _:
            return _show(_add_up(row["seconds"], name), 1)


def _add_up(seconds: dict[str, float], name: str) -> float:
    """Return the seconds of a phase, or of those that are shown as one."""
    names = _KEYS if name == "keys" else (name,)
    return sum(seconds.get(each, 0.0) for each in names)


def _build_draw(row: dict[str, Any]) -> Table:
    title = f"Draw of round {row['round']}: the lowest hashes of VRF outputs sit"
    table = _build_table(title)
    for name in ("validator", "output", "score", "seats"):
        table.add_column(name, justify="left" if name in ("validator", "output") else "right")
    last = row["draw"][-1]["attempt"]
    for proof in (proof for proof in row["draw"] if proof["attempt"] == last):
        output = proof["output"][:_SHOWN]
        table.add_row(proof["validator"], output, str(proof["score"]), str(proof["seats"]))
    return table


def _build_gas(summary: dict[str, Any]) -> Table:
    table = _build_table("Gas by action (later: the most after round 1)")
    table.add_column("action", min_width=12)
    for name in ("count", "least", "mean", "most", "later"):
        table.add_column(name, justify="right", min_width=7)
    for action, use in sorted(summary["gas"].items(), key=lambda item: -item[1]["total"]):
        later = f"{use['most_after_round_1']:,}" if use["most_after_round_1"] else ""
        figures = (f"{use[name]:,}" for name in ("count", "least", "mean", "most"))
        table.add_row(action, *figures, later)
    return table


def _build_table(title: str) -> Table:
    # Narrow enough for 80 columns.
    return Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))


def _list_facts(summary: dict[str, Any]) -> list[tuple[str, str]]:
    totals, run = summary["totals"], summary["run"]
    quality = f"{_show(summary['final_accuracy'], 4)} (loss {_show(summary['final_loss'], 4)})"
    paid = format_amount(int(totals["rewards_wei"]))
    return [
        ("federation", _describe(run)),
        ("accuracy", f"{quality} after {totals['finalized']} of {totals['rounds']} rounds"),
        ("model", f"{summary['model_cid']} (version {summary['final_version']})"),
        ("digest", summary["final_state_digest"]),
        ("rewards", f"{paid} tokens paid to {len(summary['rewards'])} accounts"),
        ("gas", _describe_gas(totals)),
        ("disk", f"{totals['disk_bytes'] / _MEBI:.1f} MiB"),
        ("seconds", _describe_seconds(summary)),
        *_describe_groups(summary),
        *_describe_killed(summary),
    ]


def _describe_groups(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return, of each masked round that was divided, how many groups counted and why not others."""
    rows = [(row["round"], row["groups"]) for row in summary["rounds"] if row["groups"]]
    return [("groups", "; ".join(_count_good(*row) for row in rows))] if rows else []


def _count_good(number: int, groups: list[dict[str, Any]]) -> str:
    faults = [group["fault"] for group in groups if group["fault"]]
    why = f" ({', '.join(faults)})" if faults else ""
    return f"round {number}: {len(groups) - len(faults)} of {len(groups)} counted{why}"


def _describe_killed(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how many agents were killed and how long they were waited for, if any were."""
    if not summary["run"]["killed"]:
        return []
    waited = summary["totals"]["waited_seconds"]
    return [("killed", f"{summary['run']['killed']} agents; {waited} s in windows that ran out")]


def _describe(run: dict[str, Any]) -> str:
    where = " in separate processes" if run["is_multiprocess"] else ""
    groups = f" in {run['groups']} groups" if run["groups"] > 1 else ""
    return (
        f"{run['agents']} agents, {run['validators']} validators{where}; {run['dataset']}, "
        f"{run['strategy']}, mode {run['mode']}{groups}, ledger {run['ledger']}, seed {run['seed']}"
    )


def _describe_gas(totals: dict[str, Any]) -> str:
    if not totals["gas"]:
        return "none: the ledger in memory takes no gas"
    return f"{totals['gas']:,} in {totals['transactions']:,} transactions"


def _describe_seconds(summary: dict[str, Any]) -> str:
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary["seconds"].items())
    return f"{summary['totals']['seconds']:.1f} ({stages})"


def _show(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

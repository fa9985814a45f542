"""The tables of `robustness.py`, as Markdown."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from byzfl_peers import PREFIX
from robustness_rules import RECOMMENDED

Line = dict[str, Any]
SPLITS = ("iid", "dirichlet")
NONE = "none"


def collect(lines: Iterable[Line], field: str = "accuracy") -> dict[tuple[Any, ...], float | None]:
    """Return the mean over the seeds by (agents, f, split, rule, attack); None is refused."""
    found: dict[tuple[Any, ...], list[float | None]] = defaultdict(list)
    for line in lines:
        if field in line:
            cell = line["cell"]
            key = tuple(cell[name] for name in ("agents", "f", "split", "rule", "attack"))
            found[key].append(line[field])
    means: dict[tuple[Any, ...], float | None] = {}
    for key, values in found.items():
        numbers = [value for value in values if value is not None]
        means[key] = sum(numbers) / len(numbers) if numbers else None
    return means


def print_gate(lines: Sequence[Line], attacks: Sequence[str], adaptive: Sequence[str]) -> None:
    """Print the table at 4 of 10 and what the recommended rule has to reach."""
    means = collect(lines)
    worst: dict[tuple[str, str], float] = {}
    for split in SPLITS:
        print(f"\n4 of 10 malicious, {split}\n")
        columns = (NONE, *attacks)
        print_header((*columns, "worst", *adaptive))
        for rule in list_names(means, 3):
            values = [means.get((10, 4, split, rule, attack)) for attack in columns]
            if None not in values:
                worst[split, rule] = min(v for v in values[1:] if v is not None)
            extra = [means.get((10, 4, split, rule, attack)) for attack in adaptive]
            print_row(rule, [*values, worst.get((split, rule)), *extra])
    for split in SPLITS:
        print_verdict(split, means, worst)


def print_verdict(
    split: str, means: dict[tuple[Any, ...], float | None], worst: dict[tuple[str, str], float]
) -> None:
    """Print how the recommended rule stands beside the best of the peers."""
    peers = {r: value for (s, r), value in worst.items() if s == split and r.startswith(PREFIX)}
    own, honest = worst.get((split, RECOMMENDED)), means.get((10, 4, split, RECOMMENDED, NONE))
    plain = means.get((10, 4, split, PREFIX + "average", NONE))
    if own is None or honest is None or plain is None or not peers:
        return
    best = max(peers, key=lambda rule: peers[rule])
    verdict = "passed" if own >= peers[best] - 0.01 else "missed"
    print(
        f"\n{split}: {RECOMMENDED} {own:.3f} on its worst row, {best} {peers[best]:.3f}: {verdict};"
        f" without attack {honest:.3f}, average {plain:.3f}"
    )


def print_table(lines: Sequence[Line]) -> None:
    """Print a table for each split and share of malicious clients, the worst case of each rule."""
    means, doors = collect(lines), collect(lines, "backdoor")
    for agents, f, split in sorted({key[:3] for key in means}, reverse=True):
        rows = {key: value for key, value in means.items() if key[:3] == (agents, f, split)}
        attacks = [name for name in list_names(rows, 4) if name != NONE]
        print(f"\n{f} of {agents} malicious, {split}\n")
        print_header((NONE, *attacks, "worst", "backdoor's success"))
        for rule in list_names(rows, 3):
            values = [rows.get((agents, f, split, rule, attack)) for attack in (NONE, *attacks)]
            known = [value for value in values[1:] if value is not None]
            door = doors.get((agents, f, split, rule, "backdoor"))
            print_row(rule, [*values, min(known) if known else None, door])


def list_names(means: dict[tuple[Any, ...], float | None], place: int) -> list[str]:
    """Return the rules or attacks in the order in which they were run."""
    return list(dict.fromkeys(key[place] for key in means))


def print_header(columns: Sequence[str]) -> None:
    """Print the head of a Markdown table."""
    print(f"| rule | {' | '.join(columns)} |")
    print("|---|" + "---:|" * len(columns))


def print_row(rule: str, values: Sequence[float | None]) -> None:
    """Print one rule's accuracies."""
    cells = ("n/a" if value is None else f"{value:.3f}" for value in values)
    print(f"| {rule} | {' | '.join(cells)} |")

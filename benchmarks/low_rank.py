"""Where a low rank can stand for an update: the best approximation there is, by SVD.

No algorithm of rank r beats these errors, so they say what "11.77x smaller with 0.1 % error" can
mean and what it can't.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from table import Row

from flchain.learning.data import load_mnist, partition_dirichlet
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.parameters import NamedArrays, to_float, unflatten
from flchain.learning.presets import load_preset
from flchain.learning.training import build_plan, get_trainer
from flchain.learning.training.dense import DenseTrainer
from flchain.protocol.policy import Layer, ModelSpec

CLAIMED_RATIO, CLAIMED_ERROR = 11.77, 0.1
AGENTS, ROWS, SEED = 10, 3_000, 1
MLP = (
    Layer("fc1.weight", (128, 784)),
    Layer("fc1.bias", (128,)),
    Layer("fc2.weight", (10, 128)),
    Layer("fc2.bias", (10,)),
)


def measure_low_rank(folder: Path) -> Iterator[Row]:
    """Yield what low ranks make of a network's updates, their sum, and a small gradient."""
    start, updates = train_agents(folder)
    mean = {name: np.mean([u[name] for u in updates], axis=0) for name in updates[0]}
    subjects = {"update after one epoch": updates[0], f"mean of {AGENTS} updates": mean}
    for what, arrays in subjects.items():
        yield from describe(what, arrays)
    rank = find_rank(updates[0], CLAIMED_RATIO)
    yield from describe_small_figures(updates[0], start, rank)
    gradient = compute_gradient(folder, rows=4)
    yield Row("MLP, gradient of 4 rows, rank 4: fewer bytes", "x", compute_ratio(gradient, 4))
    error = 100 * compute_error(gradient, 4)
    yield Row("MLP, gradient of 4 rows, rank 4: error", "%", error, None, CLAIMED_ERROR)


def describe(what: str, arrays: NamedArrays) -> Iterator[Row]:
    """Yield the error at the claimed ratio, and the ratio at the claimed error."""
    rank = find_rank(arrays, CLAIMED_RATIO)
    error = 100 * compute_error(arrays, rank)
    yield Row(f"{what}, rank {rank}: fewer bytes", "x", compute_ratio(arrays, rank))
    yield Row(f"{what}, rank {rank}: error", "% of it", error, None, CLAIMED_ERROR)
    exact = next(r for r in range(1, 2_000) if 100 * compute_error(arrays, r) <= CLAIMED_ERROR)
    yield Row(f"{what}, error 0.1 %: rank needed", "", exact)
    ratio = compute_ratio(arrays, exact)
    yield Row(f"{what}, error 0.1 %: fewer bytes", "x", ratio, None, CLAIMED_RATIO)


def describe_small_figures(update: NamedArrays, start: NamedArrays, rank: int) -> Iterator[Row]:
    """Yield two figures that are small for the same loss, because of what they divide by."""
    lost = {name: array - approximate(array, rank) for name, array in update.items()}
    weights = {name: start[name] + update[name] for name in update}
    error = 100 * compute_norm(lost) / compute_norm(weights)
    yield Row(f"the same loss, rank {rank}: beside the model's weights", "%", error)
    count = sum(array.size for array in lost.values())
    yield Row(f"the same loss, rank {rank}: mean square", "", compute_norm(lost) ** 2 / count)


def train_agents(folder: Path) -> tuple[NamedArrays, Sequence[NamedArrays]]:
    """Return the network's first version and ten agents' updates of it."""
    policy, data = load_preset("mnist"), load_mnist(folder, "train", 0, ROWS)
    rng = np.random.default_rng(SEED)
    shares = partition_dirichlet(data.labels, AGENTS, 0.5, rng)
    first = to_float(compute_initial_parameters(policy.model, policy.seed))
    start, trainer = unflatten(first, policy.model.layers), get_trainer(policy.model)
    plan = build_plan(policy.training)
    results = [
        trainer.train(start, data.select(share), plan, index).parameters
        for index, share in enumerate(shares)
    ]
    return start, [{name: result[name] - start[name] for name in start} for result in results]


def compute_gradient(folder: Path, rows: int) -> NamedArrays:
    """Return the gradient of a plain network on a few rows."""
    model = ModelSpec("mlp", sum(layer.size for layer in MLP), MLP)
    start = unflatten(to_float(compute_initial_parameters(model, "07" * 32)), MLP)
    data = load_mnist(folder, "train", 0, rows)
    return DenseTrainer(MLP).compute_gradient(start, data)


def find_rank(arrays: NamedArrays, ratio: float) -> int:
    """Return the largest rank that is at least `ratio` times smaller."""
    return max(rank for rank in range(1, 64) if compute_ratio(arrays, rank) >= ratio)


def compute_ratio(arrays: NamedArrays, rank: int) -> float:
    """Return how many times fewer values factors of a rank are; small layers are sent whole."""
    sent = sum(min(a.size, rank * sum(get_sides(a))) for a in arrays.values())
    return sum(array.size for array in arrays.values()) / sent


def compute_error(arrays: NamedArrays, rank: int) -> float:
    """Return the relative Frobenius error of the best approximation of a rank."""
    lost = {name: array - approximate(array, rank) for name, array in arrays.items()}
    return compute_norm(lost) / compute_norm(arrays)


def compute_norm(arrays: NamedArrays) -> float:
    """Return the L2 norm over all arrays."""
    return math.sqrt(
        sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays.values())
    )


def approximate(array: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """Return the best approximation of a rank, or the array itself if that is no larger."""
    if rank * sum(get_sides(array)) >= array.size:
        return array
    left, values, right = np.linalg.svd(array.reshape(len(array), -1), full_matrices=False)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank]).reshape(array.shape)


def get_sides(array: NDArray[np.float32]) -> tuple[int, int]:
    """Return rows and columns of the matrix that an array is."""
    return len(array), array.size // len(array)

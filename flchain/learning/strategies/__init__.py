"""Federated strategies by the name that a policy uses."""

from flchain.learning.strategies.base import ClientTask, Parameter, Step, Strategy
from flchain.learning.strategies.fedavg import FEDAVG
from flchain.learning.strategies.fedavgm import FEDAVGM
from flchain.learning.strategies.fednova import FEDNOVA
from flchain.learning.strategies.fedopt import FEDADAGRAD, FEDADAM, FEDYOGI
from flchain.learning.strategies.fedprox import FEDPROX
from flchain.learning.strategies.mimelite import MIMELITE
from flchain.learning.strategies.scaffold import SCAFFOLD
from flchain.learning.strategies.worker_momentum import WORKER_MOMENTUM
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy

_ALL = (
    *(FEDAVG, FEDAVGM, FEDPROX, SCAFFOLD, FEDNOVA),
    *(FEDADAM, FEDYOGI, FEDADAGRAD, MIMELITE, WORKER_MOMENTUM),
)
STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in _ALL}

DEFAULTS: dict[str, dict[str, int]] = {
    "fedavg": {},
    "fedavgm": {"beta_micros": 500_000},
    "fedprox": {"mu_micros": 10_000},
    "scaffold": {"participation_micros": 1_000_000},
    "fednova": {"max_steps": 4_096, "reference_steps": 256},
    "fedadam": {
        "beta1_micros": 900_000,
        "beta2_micros": 990_000,
        "rate_micros": 30_000,
        "tau_micros": 1_000,
    },
    "fedyogi": {
        "beta1_micros": 900_000,
        "beta2_micros": 990_000,
        "rate_micros": 30_000,
        "tau_micros": 1_000,
    },
    "fedadagrad": {"beta1_micros": 0, "rate_micros": 100_000, "tau_micros": 1_000},
    "mimelite": {"beta_micros": 900_000},
    "worker-momentum": {"beta_micros": 500_000},
}
"""Parameters that a strategy gets where it is asked for by name alone."""

__all__ = [
    "DEFAULTS",
    "FEDADAGRAD",
    "FEDADAM",
    "FEDAVG",
    "FEDAVGM",
    "FEDNOVA",
    "FEDPROX",
    "FEDYOGI",
    "MIMELITE",
    "SCAFFOLD",
    "STRATEGIES",
    "WORKER_MOMENTUM",
    "ClientTask",
    "Parameter",
    "Step",
    "Strategy",
    "get_strategy",
]


def get_strategy(policy: Policy) -> Strategy:
    """Return the policy's strategy. Raises ConfigError on an unknown name or parameter."""
    rule = policy.strategy
    if rule.name not in STRATEGIES:
        known = ", ".join(sorted(STRATEGIES))
        raise ConfigError(f"policy: strategy.name is {rule.name!r}; choose one of {known}")
    strategy = STRATEGIES[rule.name]
    _check_parameters(strategy, dict(rule.parameters))
    return strategy


def _check_parameters(strategy: Strategy, given: dict[str, int]) -> None:
    known = {parameter.name: parameter for parameter in strategy.parameters}
    for name in sorted(set(given) ^ set(known)):
        fix = f"remove {name!r}" if name in given else f"add {name!r}"
        raise ConfigError(f"policy: strategy.parameters do not suit {strategy.name}; {fix}")
    for name, parameter in known.items():
        if not parameter.low <= given[name] <= parameter.high:
            raise ConfigError(
                f"policy: strategy.parameters.{name} is {given[name]}; "
                f"write an integer from {parameter.low} to {parameter.high}"
            )

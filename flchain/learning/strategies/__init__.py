"""Federated strategies by the name that a policy uses."""

from flchain.learning.strategies.base import ClientTask, Parameter, Step, Strategy
from flchain.learning.strategies.fedavg import FEDAVG
from flchain.learning.strategies.fedavgm import FEDAVGM
from flchain.learning.strategies.mimelite import MIMELITE
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (FEDAVG, FEDAVGM, MIMELITE)
}

__all__ = [
    "FEDAVG",
    "FEDAVGM",
    "MIMELITE",
    "STRATEGIES",
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

"""Robust aggregation rules by the name that a policy uses.

A name is a rule, or stages and a rule with slashes between: `nnm/trimmed-mean`. The parameters
are `f`, the number of Byzantine updates to withstand, and those of the parts.
"""

from dataclasses import dataclass

from flchain.learning.aggregators.base import Aggregator, Reducer, Settings, Stage
from flchain.learning.aggregators.centres import CENTRED_CLIPPING, GEOMETRIC_MEDIAN
from flchain.learning.aggregators.columns import (
    AROUND_MEDIAN,
    MEDIAN,
    SINGLE,
    TRIMMED_MEAN,
)
from flchain.learning.aggregators.crowds import CROWDS
from flchain.learning.aggregators.defaults import build_rule
from flchain.learning.aggregators.detectors import (
    DETECTORS,
    SCORES,
    compute_median_scores,
    select_by_scores,
    select_scored,
)
from flchain.learning.aggregators.pipeline import Centre, find_centre
from flchain.learning.aggregators.preparation import BUCKETING, MEAN, NNM, NORM_CLIPPING
from flchain.learning.aggregators.selection import BULYAN, KRUM, MULTIKRUM
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import RuleSpec

AGGREGATORS: dict[str, Aggregator] = {
    rule.name: rule
    for rule in (
        Aggregator("mean", (MEAN,), SINGLE),
        Aggregator("median", (), MEDIAN),
        Aggregator("trimmed-mean", (), TRIMMED_MEAN),
        Aggregator("krum", (KRUM,), SINGLE),
        Aggregator("multikrum", (MULTIKRUM,), SINGLE),
        Aggregator("bulyan", (BULYAN,), AROUND_MEDIAN),
        Aggregator("geometric-median", (GEOMETRIC_MEDIAN,), SINGLE),
        Aggregator("centred-clipping", (CENTRED_CLIPPING,), SINGLE),
    )
}
"""Rules that can stand last in a name."""

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (CROWDS, NNM, BUCKETING, NORM_CLIPPING, DETECTORS, SCORES)
}
"""Stages that can stand before a rule."""

__all__ = [
    "AGGREGATORS",
    "STAGES",
    "Aggregator",
    "Centre",
    "Reducer",
    "Rows",
    "Settings",
    "Stage",
    "build_aggregator",
    "build_rule",
    "compute_median_scores",
    "find_centre",
    "get_aggregator",
    "select_by_scores",
    "select_scored",
    "uses_scores",
]


def build_aggregator(name: str) -> Aggregator:
    """Return the rule of a name such as "nnm/krum". Raises ConfigError on an unknown part."""
    *before, last = name.split("/")
    if last not in AGGREGATORS:
        known = ", ".join(sorted(AGGREGATORS))
        raise ConfigError(
            f"policy: aggregator.name ends in {last!r}; choose weighted-mean or one of {known}"
        )
    for part in before:
        if part not in STAGES:
            known = ", ".join(sorted(STAGES))
            raise ConfigError(
                f"policy: aggregator.name has {part!r} before the rule; choose of {known}"
            )
    if len(set(before)) < len(before):
        raise ConfigError(f"policy: aggregator.name {name!r} has a stage twice; remove one")
    if SCORES.name in before[1:]:
        raise ConfigError(f"policy: aggregator.name {name!r}: scores is a stage for the beginning")
    rule = AGGREGATORS[last]
    return Aggregator(name, (*(STAGES[part] for part in before), *rule.stages), rule.reducer)


def uses_scores(name: str) -> bool:
    """Return whether a rule leaves out updates by the scores that validators sign."""
    return name.split("/", maxsplit=1)[0] == SCORES.name


@dataclass(frozen=True)
class Rows:
    """What a rule gets rows of, and the policy's key for the fewest, as errors name them."""

    key: str = "min_survivors"
    unit: str = "updates"


UPDATES = Rows()


def get_aggregator(spec: RuleSpec, least: int, most: int, rows: Rows = UPDATES) -> Aggregator:
    """Return a policy's rule for `least` to `most` rows a round.

    Raises ConfigError on an unknown name or parameter, or if `least` rows are too few to
    withstand `f` Byzantine ones.
    """
    aggregator = build_aggregator(spec.name)
    settings = dict(spec.parameters)
    _check_parameters(aggregator, settings)
    if not aggregator.is_enough(least, settings):
        needed = aggregator.compute_least(settings, most)
        fix = f"raise {rows.key} to {needed} or lower f" if needed else "lower f"
        raise ConfigError(
            f"policy: {spec.name} cannot withstand f = {settings['f']} among {least} {rows.unit}; "
            f"{fix}"
        )
    return aggregator


def _check_parameters(aggregator: Aggregator, given: dict[str, int]) -> None:
    known = {parameter.name: parameter for parameter in aggregator.parameters}
    for name in sorted(set(given) ^ set(known)):
        fix = f"remove {name!r}" if name in given else f"add {name!r}"
        raise ConfigError(f"policy: aggregator.parameters do not suit {aggregator.name}; {fix}")
    for name, parameter in known.items():
        if not parameter.low <= given[name] <= parameter.high:
            raise ConfigError(
                f"policy: aggregator.parameters.{name} is {given[name]}; "
                f"write an integer from {parameter.low} to {parameter.high}"
            )

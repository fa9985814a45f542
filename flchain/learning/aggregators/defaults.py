"""Parameters for a rule that is asked for by name alone."""

from flchain.learning.aggregators.base import Aggregator
from flchain.protocol.policy import RuleSpec


def build_rule(aggregator: Aggregator, f: int, agents: int) -> RuleSpec:
    """Return the rule of a policy in which `f` of `agents` may be Byzantine."""
    usual = {
        "f": f,
        "iterations": 3,
        "radius_bps": 10_000,
        "bucket": 2,
        "closeness_bps": 7_000,
        "norm_bps": 20_000,
        "cosine_bps": 0,
        "min_clients": max(1, agents - f),
        "score_bps": 5_000,
        "probe_size": 200,
    }
    wanted = sorted(parameter.name for parameter in aggregator.parameters)
    return RuleSpec(aggregator.name, tuple((name, usual[name]) for name in wanted))

"""Parameters for a compression that is asked for by name alone."""

from flchain.learning.compression.registry import ADAPTIVE, get_compressor
from flchain.protocol.policy import NO_COMPRESSION, RuleSpec

USUAL = {
    "bits": 32,
    "error_feedback": 1,
    "keep_bps": 500,
    "levels": 15,
    "minimum_ratio_bps": 20_000,
    "power_iterations": 1,
    "rank": 8,
    "ratio": 10,
    "warm_start": 1,
}


def build_compression(name: str) -> RuleSpec:
    """Return the rule of a policy. Raises ConfigError on an unknown name."""
    if name in (NO_COMPRESSION.name, ADAPTIVE):
        return RuleSpec(name)
    wanted = sorted(parameter.name for parameter in get_compressor(name).parameters)
    return RuleSpec(name, tuple((key, USUAL[key]) for key in wanted))

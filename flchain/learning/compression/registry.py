"""Compressors by the name that a policy uses: `int8`, `powersgd/zlib`, `zstd`, and so on.

A name is a compressor, or a lossless coder, or both with a stroke between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.learning.compression.base import Compressor, Parameter
from flchain.learning.compression.coders import CODERS, Coder, check_coder
from flchain.learning.compression.integers import INTEGERS
from flchain.learning.compression.levels import FEEDBACK, INT3, INT4, INT8
from flchain.learning.compression.powersgd import POWERSGD
from flchain.learning.compression.sparse import BITS, RANDOM_K, TOP_K
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import NO_COMPRESSION, RuleSpec

ADAPTIVE = "adaptive"
_WHOLE_BITS = 32


@dataclass(frozen=True)
class Scheme:
    """A compressor, the coder behind it, and the rule that named them."""

    rule: RuleSpec
    compressor: Compressor
    coder: Coder

    @property
    def feeds_back(self) -> bool:
        """Whether what a round leaves out is added to the next."""
        return bool(dict(self.rule.parameters).get(FEEDBACK.name))


_COMPRESSORS = {item.name: item for item in (INT8, INT4, INT3, TOP_K, RANDOM_K, POWERSGD)}
_PARTS: dict[str, tuple[Compressor, Coder]] = {
    **{name: (INTEGERS, coder) for name, coder in CODERS.items() if name},
    **{
        f"{name}/{coder.name}" if coder.name else name: (compressor, coder)
        for name, compressor in _COMPRESSORS.items()
        for coder in CODERS.values()
    },
}
SCHEMES = tuple(sorted(_PARTS))
"""Every name but "none", which stands for uncompressed updates, and "adaptive"."""

CHOICES: tuple[RuleSpec, ...] = (
    RuleSpec("zlib"),
    RuleSpec("int8/zlib", (("error_feedback", 1),)),
    *(
        RuleSpec(
            "powersgd/zlib",
            (
                ("error_feedback", 1),
                ("levels", 15),
                ("minimum_ratio_bps", 20_000),
                ("power_iterations", 1),
                ("rank", rank),
                ("warm_start", 1),
            ),
        )
        for rank in (8, 4)
    ),
    RuleSpec("top-k/zlib", (("error_feedback", 1), ("keep_bps", 100))),
)
"""What an agent may choose from under "adaptive", most faithful first; append only."""


def is_lossless(rule: RuleSpec) -> bool:
    """Return whether every integer comes out as it went in."""
    if rule == NO_COMPRESSION:
        return True
    return rule.name != ADAPTIVE and get_scheme(rule).compressor is INTEGERS


def check_compression(rule: RuleSpec, mode: str) -> None:
    """Raise ConfigError, with the way out, if this version cannot run a policy's compression."""
    if rule == NO_COMPRESSION:
        return
    if rule.name != ADAPTIVE:
        check_coder(get_scheme(rule).coder.name)
    elif rule.parameters:
        raise ConfigError("policy: compression.parameters do not suit adaptive; leave them out")
    if mode == "secure" and not is_linear(rule):
        raise ConfigError(
            f"policy: {rule.name} does not commute with masked sums; in mode secure choose "
            "random-k with bits = 32, or none"
        )


def is_linear(rule: RuleSpec) -> bool:
    """Return whether sums of masked compressed vectors can be decoded.

    Only random-k with whole integers: its places are the same for all agents of a round.
    """
    return rule.name == RANDOM_K.name and dict(rule.parameters).get(BITS.name) == _WHOLE_BITS


def get_scheme(rule: RuleSpec) -> Scheme:
    """Return what a rule names. Raises ConfigError on an unknown name or parameter."""
    compressor = get_compressor(rule.name)
    _check_parameters(rule, compressor.parameters)
    return Scheme(rule, compressor, _PARTS[rule.name][1])


def get_compressor(name: str) -> Compressor:
    """Return the compressor in a name. Raises ConfigError on an unknown one."""
    if name not in _PARTS:
        known = ", ".join((NO_COMPRESSION.name, ADAPTIVE, *_COMPRESSORS, *filter(None, CODERS)))
        raise ConfigError(
            f"policy: compression.name is {name!r}; choose one of {known}, "
            'or a compressor with a coder, such as "powersgd/zlib"'
        )
    return _PARTS[name][0]


def _check_parameters(rule: RuleSpec, parameters: Sequence[Parameter]) -> None:
    known = {parameter.name: parameter for parameter in parameters}
    given = dict(rule.parameters)
    for name in sorted(set(given) ^ set(known)):
        fix = f"remove {name!r}" if name in given else f"add {name!r}"
        raise ConfigError(f"policy: compression.parameters do not suit {rule.name}; {fix}")
    for name, parameter in known.items():
        if not parameter.low <= given[name] <= parameter.high:
            raise ConfigError(
                f"policy: compression.parameters.{name} is {given[name]}; "
                f"write an integer from {parameter.low} to {parameter.high}"
            )

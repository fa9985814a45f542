"""How finely updates may be quantised so that no sum of them overflows 32 bits."""

from flchain.protocol.errors import ConfigError
from flchain.protocol.policy.records import MICROS

MIN_SHIFT = 12
MAX_SHIFT = 30
_CAPACITY = 2**31


def compute_shift(n_max: int, w_max: int, bound_micros: int) -> int:
    """Return the largest s with n_max * w_max * bound * 2^s < 2^31, at most 30.

    `bound_micros` is the largest change of one parameter, in millionths. Where the quotient
    is a power of two this is one less than floor(log2(2^31 / (n_max * w_max * bound))),
    since a sum of exactly 2^31 would not fit. Raises ConfigError if s < 12.
    """
    if min(n_max, w_max, bound_micros) < 1:
        raise ConfigError("policy: max_agents, w_max and coordinate_bound must be positive")
    quotient = (_CAPACITY * MICROS - 1) // (n_max * w_max * bound_micros)
    shift = min(quotient.bit_length() - 1, MAX_SHIFT)
    if shift < MIN_SHIFT:
        raise ConfigError(
            f"policy: {n_max} agents x weight {w_max} x bound {bound_micros / MICROS:g} leave "
            f"{max(shift, 0)} fractional bits and {MIN_SHIFT} are needed; lower max_agents, "
            "update.w_max or update.coordinate_bound"
        )
    return shift


def is_within_capacity(max_agents: int, w_max: int, coordinate_bound: int) -> bool:
    """Return whether the largest possible sum of quantised updates fits in 32 bits."""
    return max_agents * w_max * coordinate_bound < _CAPACITY

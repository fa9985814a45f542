"""Compression and privacy of a federation that is run by options alone."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flchain.learning.aggregation import check_rules
from flchain.learning.budgets import compute_spent_epsilon, verify_rounds
from flchain.learning.compression import build_compression
from flchain.learning.privacy import MECHANISMS
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import MICROS, Policy

Load = Callable[[Mapping[str, object]], Policy]
"""Makes a policy with values replaced by their full key."""

MECHANISM = "skellam"
"""Noise that also adds up under masks."""
CLIPS = {1: 1.0, 2: 0.1}
"""Of an update, by the norm that is clipped."""
DELTA_INVERSE = 100_000
MOST_EPSILON = 10_000.0
MOST_CLIP = 256
"""The largest `update.clip` of a policy."""
_MARGIN = 1.05
_TAIL = 6


@dataclass(frozen=True)
class Noise:
    """What was asked for. Without an epsilon the budget is what the rounds cost."""

    mechanism: str | None = None
    multiplier: float | None = None
    epsilon: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether any of it was asked for."""
        return any(item is not None for item in (self.mechanism, self.multiplier, self.epsilon))


NO_NOISE = Noise()


def load_ruled(
    load: Load, overrides: Mapping[str, object], compression: str, noise: Noise, rounds: int
) -> Policy:
    """Return a policy with the compression and the noise that were asked for.

    Raises ConfigError if the two do not go with the rest, or the privacy budget ends before so
    many rounds.
    """
    rule = build_compression(compression)
    table = {"name": rule.name, "parameters": dict(rule.parameters)}
    ruled = {**overrides, "compression": table}
    if noise.is_wanted:
        plain, epsilon = load(ruled), noise.epsilon
        if epsilon is None:
            noised = load(ruled | _build_noise(plain, noise, MOST_EPSILON))
            epsilon = _compute_cost(noised, rounds)
        ruled |= _build_noise(plain, noise, epsilon)
    policy = load(ruled)
    check_rules(policy)
    verify_rounds(policy, rounds)
    return policy


def _build_noise(preset: Policy, noise: Noise, epsilon: float) -> dict[str, object]:
    """Return the privacy table, and bounds of updates that leave the noise as it is."""
    if not epsilon:
        return {"privacy": {"mechanism": "none"}}
    mechanism = MECHANISMS[noise.mechanism or MECHANISM]
    multiplier, own = 1.0 if noise.multiplier is None else noise.multiplier, CLIPS[mechanism.norm]
    deviation = mechanism.compute_deviation(multiplier * own)
    length = math.hypot(own, deviation * math.sqrt(preset.model.parameters))
    unit = 1 << preset.update.shift
    bound = max(preset.update.coordinate_bound / unit, _TAIL * _MARGIN * deviation)
    clip = max(preset.update.clip / unit, _MARGIN * length)
    if clip > MOST_CLIP:
        raise ConfigError(
            f"so much noise on {preset.model.parameters:,} parameters has a norm of {length:.0f}, "
            f"and an update's may be {MOST_CLIP}: lower --noise-multiplier"
        )
    return {
        "privacy": {
            "mechanism": mechanism.name,
            "clip": _write(own),
            "noise_multiplier": _write(multiplier),
            "delta_inverse": DELTA_INVERSE,
            "epsilon": _write(epsilon),
        },
        "update.coordinate_bound": _write(bound),
        "update.clip": _write(clip),
    }


def _compute_cost(policy: Policy, rounds: int) -> float:
    """Return the least budget, in whole millionths, that pays for so many rounds."""
    epsilon = math.ceil(compute_spent_epsilon(policy, rounds) * MICROS) / MICROS
    if epsilon > MOST_EPSILON:
        raise ConfigError(
            f"{rounds} rounds with so little noise cost epsilon {epsilon:.0f}: raise "
            "--noise-multiplier"
        )
    return epsilon


def _write(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")

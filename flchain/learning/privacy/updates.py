"""A task's privacy: bounded, rounded, noised, in this order, before anything is compressed.

1. The float update is clipped and rounded so that its integer norm is at most the policy's
   privacy clip: the noise hides integers, and rounding is part of what they are.
2. Noise is added to the integers.
3. In plain mode the policy's bounds and a compressor come after the noise and depend on nothing
   else, not even through error feedback: they cost no privacy.
4. Under masks nothing comes after it. What cut single vectors would not be a function of the
   noised sum, and the sum is all that the promise is about.

Compressing first would need fewer noisy values, but error feedback would then carry
un-noised remains from round to round, and no sensitivity could be stated.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from flchain.learning.integers import centre, clip_norm, saturate
from flchain.learning.parameters import Float32, FloatUpdate, Int32, QuantizedUpdate
from flchain.learning.privacy.accounting import Loss, build_loss, compute_epsilon, count_rounds
from flchain.learning.privacy.clipping import clip_l1
from flchain.learning.privacy.curves import (
    build_gaussian_curve,
    build_laplace_curve,
    build_skellam_curve,
)
from flchain.learning.privacy.mechanisms import MECHANISMS, Mechanism
from flchain.learning.quantisation import quantise
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import MICROS, NO_COMPRESSION, Policy, PrivacySpec

_ROUNDING_SHARE = 4
_TAIL = 6
_INT32_LIMIT = 2**31 - 1
_FLOAT_SHARE = 1 - 2**-20


@dataclass(frozen=True)
class Release:
    """One round's release as an accountant sees it, in quantised units.

    Plain mode publishes each agent's own update: `noise` is what that agent adds, and two
    updates within the clip may differ by twice the clip. Masked mode publishes the sum alone:
    the noise of all agents counts together, against one update that is there or not.
    """

    mechanism: str
    noise: float
    l2: float
    l1: float


def privatise_update(
    update: FloatUpdate, policy: Policy, rounding: np.random.Generator, noise: np.random.Generator
) -> QuantizedUpdate:
    """Return a bounded, rounded and noised update. Raises EncodingError on NaN or infinity.

    `rounding` may be public; `noise` must be secret and used for nothing else.
    """
    sections = {
        name: _privatise(vector, policy, rounding, noise)
        for name, vector in update.sections.items()
    }
    return QuantizedUpdate(sections, {"samples": update.samples})


def is_private(policy: Policy) -> bool:
    """Return whether the task's updates are noised."""
    return policy.privacy.mechanism != "none"


def check_privacy(policy: Policy, sections: int) -> None:
    """Raise ConfigError, with the way out, if noise would not fit the policy's other bounds."""
    privacy, update = policy.privacy, policy.update
    if not is_private(policy):
        return
    mechanism, parameters = MECHANISMS[privacy.mechanism], policy.model.parameters
    least = _ROUNDING_SHARE * parameters
    if (privacy.clip if mechanism.norm == 1 else privacy.clip**2) < least:
        raise ConfigError(
            "policy: privacy.clip is lost in rounding; raise it, or update.shift by lowering "
            "max_agents, update.w_max or update.coordinate_bound"
        )
    deviation = mechanism.compute_deviation(_compute_scale(privacy))
    if deviation * _TAIL > update.coordinate_bound:
        raise ConfigError(
            f"policy: update.coordinate_bound would cut the noise, whose deviation is "
            f"{deviation / (1 << update.shift):.3g}; write at least "
            f"{_TAIL * deviation / (1 << update.shift):.3g}, or lower privacy.clip"
        )
    norm = math.hypot(privacy.clip if mechanism.norm == 2 else 0, deviation * parameters**0.5)  # noqa: PLR2004  # L2
    if norm > update.clip:
        raise ConfigError(
            f"policy: update.clip would shorten most updates, whose noise has a norm of "
            f"{norm / (1 << update.shift):.3g}; write more than that, or lower privacy.clip"
        )
    build_release(policy, sections)


def count_contributors(policy: Policy) -> int:
    """Return how many agents' noise certainly hides an update.

    In plain mode its own agent's alone; under masks that of all honest survivors, its own agent's
    included. The corrupt may add none, or know what they added.
    """
    return policy.min_survivors - policy.masking.max_corrupt if policy.is_secure else 1


def build_release(policy: Policy, sections: int) -> Release:
    """Return what a round of a task releases, of which an update has `sections`.

    Raises ConfigError if the policy's mode cannot be accounted for.
    """
    privacy = policy.privacy
    if not is_private(policy):
        raise ConfigError("policy: privacy.mechanism is none; there is nothing to account for")
    mechanism = MECHANISMS[privacy.mechanism]
    if policy.is_secure:
        _check_masked(policy, mechanism)
    clip = privacy.clip * (1 if policy.is_secure else 2)
    noise = _compute_scale(privacy) * math.sqrt(count_contributors(policy))
    values = policy.model.parameters * sections
    if mechanism.norm == 1:
        return Release(mechanism.name, noise, math.inf, float(clip * sections))
    l2 = clip * math.sqrt(sections)
    return Release(mechanism.name, noise, l2, min(math.sqrt(values) * l2, l2 * l2))


def _check_masked(policy: Policy, mechanism: Mechanism) -> None:
    """Raise ConfigError unless a masked sum is what the accountant takes it for."""
    if not mechanism.is_summable:
        raise ConfigError(
            f"policy: {mechanism.name} noise does not add up under masks; choose skellam"
        )
    if policy.update.w_max != 1:
        raise ConfigError("policy: noised masked updates must weigh the same: update.w_max = 1")
    if policy.compression != NO_COMPRESSION:
        raise ConfigError(
            "policy: compression cuts noised updates one by one, which no promise about their "
            "masked sum allows; leave compression out, or choose mode plain"
        )


def compute_loss(release: Release) -> Loss:
    """Return what a release costs."""
    if release.mechanism == "laplace":
        multiplier = release.noise / release.l1
        return build_loss(build_laplace_curve(multiplier), pure=1 / multiplier)
    if release.mechanism == "skellam":
        return build_loss(build_skellam_curve(release.noise**2, release.l1, release.l2))
    return build_loss(build_gaussian_curve(release.noise / release.l2))


def get_delta(privacy: PrivacySpec) -> float:
    """Return delta."""
    return 1 / privacy.delta_inverse


def count_private_rounds(policy: Policy, sections: int) -> int:
    """Return how many rounds a task's budget allows, whoever takes part in them."""
    privacy = policy.privacy
    loss = compute_loss(build_release(policy, sections))
    return count_rounds(loss, get_delta(privacy), privacy.budget_micros / MICROS)


def explain_privacy(policy: Policy, sections: int, rounds: int) -> str:
    """Return in a sentence what a task promises after some rounds, or that it promises nothing."""
    if not is_private(policy):
        return "privacy is off (epsilon = 0): no noise is added and nothing is promised"
    privacy = policy.privacy
    loss = compute_loss(build_release(policy, sections))
    spent = compute_epsilon(loss, get_delta(privacy), rounds)
    figures = (
        f"epsilon {spent:.3f} of {privacy.budget_micros / MICROS:g} at delta "
        f"1/{privacy.delta_inverse} after {rounds} rounds (Renyi accountant)"
    )
    if not policy.is_secure:
        return (
            f"{privacy.mechanism} noise on each agent's whole update: {figures}; sample counts "
            "are public"
        )
    return (
        f"{privacy.mechanism} noise on an agent's part of the sum: {figures}, given the noise of "
        f"{count_contributors(policy)} honest survivors"
    )


def _privatise(
    vector: Float32, policy: Policy, rounding: np.random.Generator, noise: np.random.Generator
) -> Int32:
    privacy, update = policy.privacy, policy.update
    mechanism = MECHANISMS[privacy.mechanism]
    if mechanism.norm == 1:
        # Rounding moves each coordinate by less than one unit, and float32 the sum by 2^-24.
        limit = (privacy.clip - len(vector)) * _FLOAT_SHARE / (1 << update.shift)
        bounded = quantise(clip_l1(vector, limit), update, rounding)
    else:
        rules = replace(update, clip=min(update.clip, privacy.clip))
        bounded = quantise(vector, rules, rounding)
    noised = bounded + mechanism.draw(len(bounded), _compute_scale(privacy), noise)
    if policy.is_secure:
        # As the sum: modulo 2^32.
        return centre(noised).astype(np.int32)
    kept = saturate(noised, min(update.coordinate_bound, _INT32_LIMIT))
    return clip_norm(kept, update.clip).astype(np.int32)


def _compute_scale(privacy: PrivacySpec) -> float:
    return privacy.noise_micros * privacy.clip / MICROS

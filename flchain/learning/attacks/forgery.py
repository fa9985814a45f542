"""Attacks on the update itself.

IPM: Xie et al. 2020, https://arxiv.org/abs/1903.03936. ALIE: Baruch et al. 2019,
https://arxiv.org/abs/1902.06156. Mimic: Karimireddy et al. 2022,
https://arxiv.org/abs/2006.09365. The sign flip is that of the mean, which colluders can do and
which hurts more than that of each one's own update.
"""

from collections.abc import Callable

import numpy as np

from flchain.learning.attacks.base import Scene
from flchain.learning.parameters import Float32

_NOISE = 0.05
"""A free rider's noise, as a part of an honest update's length."""


def add_noise(deviation: float) -> Callable[[Scene], Float32]:
    """Return the attack that sends Gaussian noise alone."""

    def forge(scene: Scene) -> Float32:
        noise = scene.rng.standard_normal(scene.own.shape, np.float32)
        scaled: Float32 = noise * np.float32(deviation)
        return scaled

    return forge


def send_random(length: float) -> Callable[[Scene], Float32]:
    """Return the attack that sends a random direction, `length` times as long as honest ones."""

    def forge(scene: Scene) -> Float32:
        return _draw_direction(scene, length)

    return forge


def scale_mean(factor: float) -> Callable[[Scene], Float32]:
    """Return the attack that sends `factor` times the honest mean: IPM and sign flips."""

    def forge(scene: Scene) -> Float32:
        return _compute_mean(scene) * np.float32(factor)

    return forge


def shift_mean(deviations: float) -> Callable[[Scene], Float32]:
    """Return the attack that sends the mean moved by so many standard deviations (ALIE)."""

    def forge(scene: Scene) -> Float32:
        # One update has no deviation.
        if len(scene.honest) == 1:
            return scene.own
        spread = scene.honest.std(axis=0, ddof=1, dtype=np.float32)
        shifted: Float32 = _compute_mean(scene) + np.float32(deviations) * spread
        return shifted

    return forge


def spread_mean(factor: float) -> Callable[[Scene], Float32]:
    """Return IPM for rules that look for crowds: each colluder adds a spread of its own.

    It is that of a random mixture of the honest updates around their mean.
    """

    def forge(scene: Scene) -> Float32:
        centred = scene.honest - _compute_mean(scene)
        signs = scene.rng.standard_normal(len(centred), np.float32)
        signs /= np.float32(np.sqrt(len(centred)))
        spread: Float32 = signs @ centred
        return _compute_mean(scene) * np.float32(factor) + spread

    return forge


def mimic(scene: Scene) -> Float32:
    """Send the same honest agent's update, every colluder alike: the first that is seen."""
    first: Float32 = scene.honest[0].copy()
    return first


def copy_random(scene: Scene) -> Float32:
    """Send another agent's update, to be paid for it."""
    chosen: Float32 = scene.honest[int(scene.rng.integers(len(scene.honest)))].copy()
    return chosen


def ride_free(scene: Scene) -> Float32:
    """Send a little noise instead of training."""
    return _draw_direction(scene, _NOISE)


def send_nan(scene: Scene) -> Float32:
    """Send what is no number."""
    return np.full_like(scene.own, np.nan)


def send_infinity(scene: Scene) -> Float32:
    """Send infinity."""
    return np.full_like(scene.own, np.inf)


def _compute_mean(scene: Scene) -> Float32:
    mean: Float32 = scene.honest.mean(axis=0, dtype=np.float32)
    return mean


def _draw_direction(scene: Scene, length: float) -> Float32:
    direction = scene.rng.standard_normal(scene.own.shape, np.float32)
    honest = np.linalg.norm(scene.honest, axis=1).mean()
    scaled: Float32 = direction * np.float32(length * honest / np.linalg.norm(direction))
    return scaled

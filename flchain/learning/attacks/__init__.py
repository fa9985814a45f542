"""Attacks by name: what malicious agents may send."""

from flchain.learning.attacks.base import Attack, Scene, keep_rows, send_own
from flchain.learning.attacks.forgery import (
    add_noise,
    copy_random,
    mimic,
    ride_free,
    scale_mean,
    send_infinity,
    send_nan,
    send_random,
    shift_mean,
    spread_mean,
)
from flchain.learning.attacks.poisoning import (
    flip_labels,
    plant_backdoor,
    select_victims,
    stamp_trigger,
)
from flchain.protocol.errors import ConfigError

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Attack("gaussian", add_noise(1.0), keep_rows),
        Attack("random", send_random(10.0), keep_rows),
        Attack("sign-flip", scale_mean(-1.0), keep_rows),
        Attack("sign-flip-5", scale_mean(-5.0), keep_rows),
        Attack("label-flip", send_own, flip_labels),
        Attack("backdoor", send_own, plant_backdoor),
        Attack("ipm-0.5", scale_mean(-0.5), keep_rows),
        Attack("ipm-2", scale_mean(-2.0), keep_rows),
        Attack("ipm-spread", spread_mean(-0.5), keep_rows),
        Attack("ipm-spread-2", spread_mean(-2.0), keep_rows),
        Attack("alie", shift_mean(1.5), keep_rows),
        Attack("mimic", mimic, keep_rows),
        Attack("nan", send_nan, keep_rows),
        Attack("infinity", send_infinity, keep_rows),
        Attack("free-rider", ride_free, keep_rows),
        Attack("copy", copy_random, keep_rows),
    )
}

__all__ = ["ATTACKS", "Attack", "Scene", "get_attack", "select_victims", "stamp_trigger"]


def get_attack(name: str) -> Attack:
    """Return an attack. Raises ConfigError on an unknown name."""
    if name not in ATTACKS:
        raise ConfigError(f"no attack {name!r}; choose one of {', '.join(sorted(ATTACKS))}")
    return ATTACKS[name]

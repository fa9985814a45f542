"""FedOpt with Adam, Yogi and Adagrad: Reddi et al. 2020, https://arxiv.org/abs/2003.00295.

    client k:  as FedAvg
    server:    D = mean_k delta_k;  m <- beta1 m + (1 - beta1) D
               Adagrad  v <- v + D^2
               Yogi     v <- v - (1 - beta2) D^2 sign(v - D^2)
               Adam     v <- beta2 v + (1 - beta2) D^2
               w <- w + eta m / (sqrt(v) + tau)

All of it in integers: `server/momentum` is m in units of 2^-32, `server/variance` is v in units
of 2^-56, so that its integer square root is in units of 2^-28. |D| counts as at most 8 in D^2,
which is then at most 2^62, and v stays there too. m / (sqrt(v) + tau) saturates at 256.

`rate_micros`, `tau_micros` and the betas are in millionths. v begins at zero, not at tau^2, and
as in the paper there is no correction of the bias that comes of it.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from flchain.learning.integers import (
    compute_isqrt,
    divide_half_up,
    divide_vectors,
    multiply_fraction,
    saturate,
)
from flchain.learning.parameters import STATE_LIMIT, Int64, State
from flchain.learning.strategies import fedavg
from flchain.learning.strategies.base import Parameter, Step, Strategy, add_step
from flchain.protocol.policy import MICROS, Policy

MOMENTUM = "server/momentum"
VARIANCE = "server/variance"
_ROOT_BITS = 28
_SQUARED_LIMIT = 1 << 31
_RATIO_LIMIT = 1 << 40

VarianceRule: TypeAlias = Callable[[Int64, Int64, Policy], Int64]
"""Maps v, D^2 and the policy to the next v; all in units of 2^-56, from 0 to 2^62."""


def apply(state: State, step: Step, policy: Policy, *, rule: VarianceRule) -> State:
    """Move both moments by the mean update, and the parameters along their ratio."""
    beta = policy.strategy.get("beta1_micros")
    # |m| and |D| are at most 2^40 and the betas below 2^20: this is below 2^61.
    blend = beta * state.sections[MOMENTUM] + (MICROS - beta) * step["delta"]
    momentum = divide_half_up(blend, MICROS)
    variance = rule(state.sections[VARIANCE], _square(step["delta"]), policy)
    moved = _compute_move(momentum, variance, policy)
    parameters = add_step(state.sections["params"], moved)
    return State({"params": parameters, MOMENTUM: momentum, VARIANCE: variance})


def accumulate_adam(variance: Int64, squared: Int64, policy: Policy) -> Int64:
    """Return beta2 v + (1 - beta2) D^2."""
    fresh = MICROS - policy.strategy.get("beta2_micros")
    moved: Int64 = variance + multiply_fraction(squared - variance, fresh, MICROS)
    return moved


def accumulate_yogi(variance: Int64, squared: Int64, policy: Policy) -> Int64:
    """Return v - (1 - beta2) D^2 sign(v - D^2), at least 0 by its own rule."""
    fresh = MICROS - policy.strategy.get("beta2_micros")
    change = multiply_fraction(squared, fresh, MICROS) * np.sign(variance - squared)
    moved: Int64 = np.clip(variance - change, 0, STATE_LIMIT)
    return moved


def accumulate_adagrad(variance: Int64, squared: Int64, policy: Policy) -> Int64:
    """Return v + D^2."""
    del policy
    moved: Int64 = variance + np.minimum(squared, STATE_LIMIT - variance)
    return moved


def _square(delta: Int64) -> Int64:
    """Return the squares of values in units of 2^-32, in units of 2^-56."""
    short = saturate(divide_half_up(delta, 1 << (32 - _ROOT_BITS)), _SQUARED_LIMIT)
    squared: Int64 = short * short
    return squared


def _compute_move(momentum: Int64, variance: Int64, policy: Policy) -> Int64:
    """Return eta m / (sqrt(v) + tau) in units of 2^-32."""
    tau = policy.strategy.get("tau_micros")
    # At least one unit, so that nothing is divided by zero.
    floor = max(1, (tau << _ROOT_BITS) // MICROS)
    root = compute_isqrt(variance) + floor
    ratio = divide_vectors(momentum, root, _ROOT_BITS, _RATIO_LIMIT)
    return multiply_fraction(ratio, policy.strategy.get("rate_micros"), MICROS)


def _build(name: str, rule: VarianceRule, *, decays: bool) -> Strategy:
    betas = ("beta1_micros", "beta2_micros") if decays else ("beta1_micros",)
    return Strategy(
        name=name,
        parameters=(
            *(Parameter(beta, 0, MICROS - 1) for beta in betas),
            Parameter("rate_micros", 1, 10 * MICROS),
            Parameter("tau_micros", 1, MICROS),
        ),
        update_sections=("delta",),
        server_sections=(MOMENTUM, VARIANCE),
        train=fedavg.train,
        apply=partial(apply, rule=rule),
    )


FEDADAM = _build("fedadam", accumulate_adam, decays=True)
FEDYOGI = _build("fedyogi", accumulate_yogi, decays=True)
FEDADAGRAD = _build("fedadagrad", accumulate_adagrad, decays=False)

"""FedNova: Wang et al. 2020, https://arxiv.org/abs/2007.07481.

    client i:  a_i = worth of its local steps in plain SGD steps;  delta_i = (w_i - w) r / a_i
    server:    tau = sum_i n_i a_i / sum_i n_i;  w <- w + tau/r sum_i n_i delta_i / sum_i n_i

Clients with more rows make more steps and would pull the common model towards their own optimum;
here each counts by its direction per step. `reference_steps` is r, a scale without effect but on
rounding: choose about the number of steps of one client, so that a normalised update uses the
integers as well as a plain one. a_i travels as one integer beside the update, and more than
`max_steps` does not count.
"""

import numpy as np

from flchain.learning.parameters import (
    STATE_BITS,
    FloatUpdate,
    Int64,
    QuantizedUpdate,
    State,
)
from flchain.learning.strategies import fedavg
from flchain.learning.strategies.base import ClientTask, Parameter, Step, Strategy, add_step
from flchain.learning.training.base import build_plan, compute_step_weight
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import Policy

STEPS = "steps"
MOST_STEPS = 1 << 12
"""Largest `max_steps`: what the narrowest policy can carry as a coordinate."""
_FACTOR_BITS = 16
_HALF_BITS = 20
_FACTOR_LIMIT = 1 << 36
_STEP_LIMIT = 1 << 40


def train(task: ClientTask) -> FloatUpdate:
    """Train locally; return the normalised difference and the worth of the steps.

    Raises ConfigError if this client's data take more steps than the policy allows.
    """
    plan, rules = build_plan(task.policy.training), task.policy.strategy
    steps = max(1, round(compute_step_weight(plan, len(task.data))))
    if steps > rules.get("max_steps"):
        raise ConfigError(
            f"local training is worth {steps} steps, the task allows {rules.get('max_steps')}; "
            "train on fewer rows, or ask its sponsor for a task that allows more"
        )
    update = fedavg.train_plan(task, plan)
    delta = update.sections["delta"] * np.float32(rules.get("reference_steps") / steps)
    # In the update's own units, so that rounding leaves the integer as it is.
    count = np.array([steps * 2.0**-task.policy.update.shift], np.float32)
    return FloatUpdate({"delta": delta, STEPS: count}, update.samples)


def verify(update: QuantizedUpdate, policy: Policy) -> None:
    """Raise EncodingError unless the steps are in the policy's range."""
    steps, most = int(update.sections[STEPS][0]), policy.strategy.get("max_steps")
    if not 1 <= steps <= most:
        raise EncodingError(f"update: it is worth {steps} steps, from 1 to {most} are allowed")


def apply(state: State, step: Step, policy: Policy) -> State:
    """Add the mean direction, as long as the mean of the steps makes it."""
    mean = int(step[STEPS][0])
    unit = policy.strategy.get("reference_steps") << (STATE_BITS - policy.update.shift)
    factor = (2 * (mean << _FACTOR_BITS) + unit) // (2 * unit)
    moved = _scale(step["delta"], min(max(factor, 0), _FACTOR_LIMIT))
    return State({"params": add_step(state.sections["params"], moved)})


def _scale(vector: Int64, factor: int) -> Int64:
    """Return vector * factor / 2^16, rounded down and saturated at 2^40.

    The vector's values are at most 2^40: their halves of 20 bits times a factor of at most 2^36
    fit, and so does their sum.
    """
    high, low = vector >> _HALF_BITS, vector & ((1 << _HALF_BITS) - 1)
    scaled = (high * factor << (_HALF_BITS - _FACTOR_BITS)) + (low * factor >> _FACTOR_BITS)
    return np.clip(scaled, -_STEP_LIMIT, _STEP_LIMIT)


FEDNOVA = Strategy(
    name="fednova",
    parameters=(
        Parameter("max_steps", 1, MOST_STEPS),
        Parameter("reference_steps", 1, MOST_STEPS),
    ),
    update_sections=("delta", STEPS),
    server_sections=(),
    train=train,
    apply=apply,
    counts=(STEPS,),
    verify=verify,
)

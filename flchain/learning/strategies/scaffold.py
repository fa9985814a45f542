"""SCAFFOLD, option II: Karimireddy et al. 2019, https://arxiv.org/abs/1910.06378.

    client i:  y <- y - eta (grad_i(y) - c_i + c) from y = x, for K steps
               c_i+ = c_i - c + (x - y) / (K eta)
               delta_i = y - x;  control_i = c_i+ - c_i
    server:    x <- x + mean_i delta_i;  c <- c + |S|/N mean_i control_i

The server's control variate c is the section `server/control` of the state; a client keeps its
own c_i. Three deviations, all of them the paper's rule where the federation is as it assumes:
the means are weighted by samples, so c stays the weighted mean of the c_i; K is the sum of the
local steps' weights, which with local momentum is more than their number; and c_i grows by what
was published of control_i after clipping and rounding, so that c and the c_i cannot drift apart.
`participation_micros` is |S|/N, the part of the clients that a round is expected to have.
"""

import numpy as np

from flchain.learning.integers import multiply_fraction
from flchain.learning.parameters import (
    STATE_LIMIT,
    Float32,
    FloatUpdate,
    NamedArrays,
    QuantizedUpdate,
    State,
    to_float,
    unflatten,
)
from flchain.learning.strategies import fedavg
from flchain.learning.strategies.base import ClientTask, Parameter, Step, Strategy, add_step
from flchain.learning.training.base import build_plan, compute_step_weight
from flchain.protocol.policy import MICROS, Policy

CONTROL = "server/control"
OWN = "control"


def train(task: ClientTask) -> FloatUpdate:
    """Train along the corrected gradients; report the change of the own control variate too."""
    layers, training = task.policy.model.layers, task.policy.training
    correction = to_float(task.state.sections[CONTROL]) - _get_own(task)
    plan = build_plan(training, gradient_offset=unflatten(correction, layers))
    update = fedavg.train_plan(task, plan)
    scale = compute_step_weight(plan, len(task.data)) * plan.learning_rate
    # c_i+ - c_i = -c + (x - y) / (K eta): the own control variate cancels out of the difference.
    control = -to_float(task.state.sections[CONTROL]) - update.sections["delta"] / np.float32(scale)
    return FloatUpdate({"delta": update.sections["delta"], "control": control}, update.samples)


def keep(memory: NamedArrays, update: QuantizedUpdate, policy: Policy) -> NamedArrays:
    """Return the client's control variate after a round that counted its update."""
    change = update.sections["control"] * np.float32(2.0**-policy.update.shift)
    return {OWN: memory[OWN] + change if OWN in memory else change}


def apply(state: State, step: Step, policy: Policy) -> State:
    """Add the mean update, and the clients' part of the mean change to the control variate."""
    part = policy.strategy.get("participation_micros")
    change = multiply_fraction(step["control"], part, MICROS)
    control = np.clip(state.sections[CONTROL] + change, -STATE_LIMIT, STATE_LIMIT)
    return State({"params": add_step(state.sections["params"], step["delta"]), CONTROL: control})


def _get_own(task: ClientTask) -> Float32:
    """Return c_i, which is zero at first."""
    if OWN in task.memory:
        return task.memory[OWN]
    return np.zeros(task.policy.model.parameters, np.float32)


SCAFFOLD = Strategy(
    name="scaffold",
    parameters=(Parameter("participation_micros", 1, MICROS),),
    update_sections=("delta", "control"),
    server_sections=(CONTROL,),
    train=train,
    apply=apply,
    keep=keep,
)

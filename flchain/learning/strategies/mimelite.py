"""MimeLite with SGD momentum: Karimireddy et al. 2020, https://arxiv.org/abs/2008.03606.

    client k:  y <- y - eta ((1 - beta) grad_k(y) + beta m)   from y = x, m fixed for the round
               delta_k = y - x;  control_k = full-batch grad_k(x)
    server:    x <- x + mean_k delta_k;  m <- (1 - beta) mean_k control_k + beta m

The server's momentum `m` steers every local step, which keeps clients with different data
together. It is the section `server/momentum` of the state; clients keep nothing between
rounds. `beta_micros` is beta in millionths.
"""

import numpy as np

from flchain.learning.integers import divide_half_up
from flchain.learning.parameters import FloatUpdate, State, flatten, to_float, unflatten
from flchain.learning.strategies.base import ClientTask, Parameter, Step, Strategy, add_step
from flchain.learning.training.base import build_plan
from flchain.protocol.policy import MICROS, Policy

MOMENTUM = "server/momentum"


def train(task: ClientTask) -> FloatUpdate:
    """Train with the server's momentum; report the difference and the gradient at the start."""
    layers = task.policy.model.layers
    start = to_float(task.state.sections["params"])
    beta = task.policy.strategy.get("beta_micros") / MICROS
    momentum = to_float(task.state.sections[MOMENTUM]) * np.float32(beta)
    plan = build_plan(
        task.policy.training,
        gradient_scale=1.0 - beta,
        gradient_offset=unflatten(momentum, layers),
    )
    arrays = unflatten(start, layers)
    gradient = task.trainer.compute_gradient(arrays, task.data)
    result = task.trainer.train(arrays, task.data, plan, task.seed)
    delta = flatten(result.parameters, layers) - start
    return FloatUpdate({"delta": delta, "control": flatten(gradient, layers)}, result.samples)


def apply(state: State, step: Step, policy: Policy) -> State:
    """Add the mean update and fold the mean gradient into the momentum."""
    beta = policy.strategy.get("beta_micros")
    # |momentum| and |control| are at most 2^40 and beta is below 2^20: this is below 2^61.
    blend = beta * state.sections[MOMENTUM] + (MICROS - beta) * step["control"]
    return State(
        {
            "params": add_step(state.sections["params"], step["delta"]),
            MOMENTUM: divide_half_up(blend, MICROS),
        }
    )


MIMELITE = Strategy(
    name="mimelite",
    parameters=(Parameter("beta_micros", 0, MICROS - 1),),
    update_sections=("delta", "control"),
    server_sections=(MOMENTUM,),
    train=train,
    apply=apply,
)

"""FedAvg: McMahan et al. 2017, https://arxiv.org/abs/1602.05629.

client k:  w_k = local SGD from w;  delta_k = w_k - w
server:    w <- w + sum_k n_k delta_k / sum_k n_k
"""

from flchain.learning.parameters import FloatUpdate, State, flatten, to_float, unflatten
from flchain.learning.strategies.base import ClientTask, Step, Strategy, add_step
from flchain.learning.training.base import LocalPlan, build_plan
from flchain.protocol.policy import Policy


def train(task: ClientTask) -> FloatUpdate:
    """Train locally and return the difference to the model that the round began with."""
    return train_plan(task, build_plan(task.policy.training))


def train_plan(task: ClientTask, plan: LocalPlan) -> FloatUpdate:
    """Train as `plan` says and return the difference to the round's first model."""
    layers = task.policy.model.layers
    start = to_float(task.state.sections["params"])
    result = task.trainer.train(unflatten(start, layers), task.data, plan, task.seed)
    return FloatUpdate({"delta": flatten(result.parameters, layers) - start}, result.samples)


def apply(state: State, step: Step, policy: Policy) -> State:
    """Add the mean update to the parameters."""
    del policy  # no parameter of the policy changes plain averaging
    return State({"params": add_step(state.sections["params"], step["delta"])})


FEDAVG = Strategy(
    name="fedavg",
    parameters=(),
    update_sections=("delta",),
    server_sections=(),
    train=train,
    apply=apply,
)

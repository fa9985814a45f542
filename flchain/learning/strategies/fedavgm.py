"""FedAvg with server momentum: Hsu et al. 2019, https://arxiv.org/abs/1909.06335.

client k:  as in FedAvg
server:    m <- beta m + (1 - beta) step;  w <- w + m

The momentum averages over rounds what a robust rule lets through in each, so that small biases
of changing direction cancel. It is normalised, unlike in the paper, so that the state stays
bounded: a step of theirs is 1 / (1 - beta) times as long. `beta_micros` is beta in millionths.
"""

from flchain.learning.integers import divide_half_up
from flchain.learning.parameters import State
from flchain.learning.strategies.base import Parameter, Step, Strategy, add_step
from flchain.learning.strategies.fedavg import train
from flchain.protocol.policy import MICROS, Policy

MOMENTUM = "server/momentum"


def apply(state: State, step: Step, policy: Policy) -> State:
    """Fold the step into the momentum and add that to the parameters."""
    beta = policy.strategy.get("beta_micros")
    # |momentum| and |step| are at most 2^40 and beta is below 2^20: this is below 2^61.
    blend = beta * state.sections[MOMENTUM] + (MICROS - beta) * step["delta"]
    momentum = divide_half_up(blend, MICROS)
    return State({"params": add_step(state.sections["params"], momentum), MOMENTUM: momentum})


FEDAVGM = Strategy(
    name="fedavgm",
    parameters=(Parameter("beta_micros", 0, MICROS - 1),),
    update_sections=("delta",),
    server_sections=(MOMENTUM,),
    train=train,
    apply=apply,
)

"""FedProx: Li et al. 2018, https://arxiv.org/abs/1812.06127.

    client k:  w_k = local SGD from w on F_k(y) + mu/2 |y - w|^2;  delta_k = w_k - w
    server:    w <- w + sum_k n_k delta_k / sum_k n_k

The proximal term holds clients with unlike data near the common model. `mu_micros` is mu in
millionths; 0 is FedAvg. The term's gradient is added to every local step, before momentum.
"""

from flchain.learning.parameters import FloatUpdate
from flchain.learning.strategies import fedavg
from flchain.learning.strategies.base import ClientTask, Parameter, Strategy
from flchain.learning.training.base import build_plan
from flchain.protocol.policy import MICROS


def train(task: ClientTask) -> FloatUpdate:
    """Train with the proximal term and return the difference to the common model."""
    mu = task.policy.strategy.get("mu_micros") / MICROS
    return fedavg.train_plan(task, build_plan(task.policy.training, proximal=mu))


FEDPROX = Strategy(
    name="fedprox",
    parameters=(Parameter("mu_micros", 0, 100 * MICROS),),
    update_sections=("delta",),
    server_sections=(),
    train=train,
    apply=fedavg.apply,
)

"""FedAvg with clients' momentum: Karimireddy et al. 2020, https://arxiv.org/abs/2012.10333.

    client k:  m_k <- beta m_k + (1 - beta) delta_k, with delta_k as in FedAvg;  sends m_k
    server:    w <- w + sum_k n_k m_k / sum_k n_k

An average over a client's own rounds varies less than one update, so that honest clients are
closer to each other and a robust rule sees more of those who are not. A client's momentum is what
was published of it in the newest round that counted it; in the first it is the update itself.
`beta_micros` is beta in millionths.
"""

import numpy as np

from flchain.learning.parameters import FloatUpdate, NamedArrays, QuantizedUpdate
from flchain.learning.strategies import fedavg
from flchain.learning.strategies.base import ClientTask, Parameter, Strategy
from flchain.protocol.policy import MICROS, Policy

OWN = "momentum"


def train(task: ClientTask) -> FloatUpdate:
    """Train locally and fold the difference into the own momentum."""
    update = fedavg.train(task)
    if OWN not in task.memory:
        return update
    beta = np.float32(task.policy.strategy.get("beta_micros") / MICROS)
    blend = beta * task.memory[OWN] + (1 - beta) * update.sections["delta"]
    return FloatUpdate({"delta": blend}, update.samples)


def keep(memory: NamedArrays, update: QuantizedUpdate, policy: Policy) -> NamedArrays:
    """Return the momentum as it was published."""
    del memory
    return {OWN: update.sections["delta"] * np.float32(2.0**-policy.update.shift)}


WORKER_MOMENTUM = Strategy(
    name="worker-momentum",
    parameters=(Parameter("beta_micros", 0, MICROS - 1),),
    update_sections=("delta",),
    server_sections=(),
    train=train,
    apply=fedavg.apply,
    keep=keep,
)

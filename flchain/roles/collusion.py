"""Malicious agents for simulations: they keep to the protocol and send what an attack makes.

Updates are secret until all are in, so the colluders see their own honest updates alone. One of
them trains all of these, whoever comes first.
"""

import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np

from flchain.learning.attacks import Attack, Scene
from flchain.learning.data import Dataset
from flchain.learning.parameters import Float32, FloatUpdate, Int32, QuantizedUpdate
from flchain.learning.quantisation import quantise
from flchain.learning.randomness import derive_seed
from flchain.learning.strategies import get_strategy
from flchain.learning.strategies.base import ClientTask
from flchain.protocol.policy import UpdateSpec


class Collusion:
    """The attackers of one task; safe to be used by threads."""

    def __init__(self, attack: Attack, shares: Sequence[Dataset]) -> None:
        """Let the owners of `shares` attack."""
        self._attack = attack
        self._shares = [attack.poison(share) for share in shares]
        self._lock = threading.Lock()
        self._trained: tuple[str, list[FloatUpdate]] = ("", [])

    def produce(self, index: int, task: ClientTask, rng: np.random.Generator) -> QuantizedUpdate:
        """Return what colluder `index` sends instead of its update."""
        with self._lock:
            honest = self._train(task)
        own = honest[index]
        sections: Mapping[str, Int32] = {
            name: _publish(
                self._attack.forge(Scene(_stack(honest, name), vector, rng)),
                task.policy.update,
                rng,
            )
            for name, vector in own.sections.items()
        }
        return QuantizedUpdate(sections, {"samples": own.samples})

    def _train(self, task: ClientTask) -> list[FloatUpdate]:
        """Return every colluder's honest update of a model, trained once."""
        model = sha256(task.state.sections["params"].tobytes()).hexdigest()
        if self._trained[0] != model:
            train, seed = get_strategy(task.policy).train, task.policy.seed
            updates = [
                train(
                    ClientTask(
                        task.state,
                        share,
                        task.policy,
                        task.trainer,
                        derive_seed(seed, "collusion", model, place),
                    )
                )
                for place, share in enumerate(self._shares)
            ]
            self._trained = (model, updates)
        return self._trained[1]


def _stack(updates: Sequence[FloatUpdate], name: str) -> Float32:
    return np.stack([update.sections[name] for update in updates])


def _publish(vector: Float32, rules: UpdateSpec, rng: np.random.Generator) -> Int32:
    """Return the vector as an honest agent would round it; what can't be, as its bits."""
    if np.isfinite(vector).all():
        return quantise(vector, rules, rng)
    return vector.astype(np.float32).view(np.int32)

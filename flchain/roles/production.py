"""How an agent makes its update: train, bound, add noise, compress, encode.

Everything that lasts between rounds is in the journal before the update is: an update made again
after a crash starts from the same memories as the first time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from flchain.learning.compression import (
    CHOICES,
    compress_update,
    decompress_update,
    is_compressed,
)
from flchain.learning.data import Dataset
from flchain.learning.parameters import FloatUpdate, QuantizedUpdate, State
from flchain.learning.personalisation import build_personal_trainer, keep_local_layers
from flchain.learning.privacy import is_private, privatise_update
from flchain.learning.quantisation import quantise_update
from flchain.learning.randomness import derive_generator, derive_seed
from flchain.learning.schemas import encode_update, get_update_schema
from flchain.learning.strategies import get_strategy
from flchain.learning.strategies.base import ClientTask
from flchain.learning.training import Trainer
from flchain.protocol.errors import EncodingError, FlchainError
from flchain.protocol.policy import Policy, RuleSpec
from flchain.protocol.types import Address, RoundId
from flchain.roles.context import Context
from flchain.roles.feedback import load_memories, save_memories
from flchain.roles.history import TaskPast
from flchain.roles.memories import load_memory, save_memory

_ENTROPY = 32

Produce = Callable[[ClientTask, np.random.Generator], QuantizedUpdate]
"""Makes an update; the generator is for rounding."""


def derive_batch_seed(policy: Policy, number: RoundId, agent: Address) -> int:
    """Return the seed of an agent's training in one round."""
    return derive_seed(policy.seed, "batches", number, agent.lower())


@dataclass(frozen=True)
class Produced:
    """An update: its bytes, and what they stand for."""

    payload: bytes
    published: QuantizedUpdate
    seconds: float
    """Time spent on training."""


@contextmanager
def _blame_training() -> Iterator[None]:
    """Turn what a model of the user's raises into an EncodingError."""
    try:
        yield
    except FlchainError:
        raise
    except Exception as error:
        raise EncodingError(f"its training raised {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Production:
    """What one agent makes its updates of one task with."""

    context: Context
    policy: Policy
    trainer: Trainer
    data: Dataset
    choice: RuleSpec = CHOICES[0]
    """How to compress where the policy leaves that to the agent."""
    entropy: Callable[[int], bytes] = os.urandom
    """Gives secret bytes for noise that nobody else may know."""
    produce: Produce | None = None
    """Takes the place of training, rounding and noise: simulations have malicious agents."""

    def make_update(self, past: TaskPast, number: RoundId, state: State) -> Produced:
        """Return the update of a round."""
        agent = self.context.signer.address
        memory = load_memory(self.context, past, number)
        trainer = build_personal_trainer(self.trainer, self.policy.model, memory)
        seed = derive_batch_seed(self.policy, number, agent)
        task = ClientTask(state, self.data, self.policy, trainer, seed, memory)
        rng = derive_generator(self.policy.seed, "rounding", number, agent.lower())
        update, seconds = self._train(task, rng)
        payload, published = self._encode(update, number, rng)
        kept = get_strategy(self.policy).keep(memory, published, self.policy)
        save_memory(self.context, past, number, {**kept, **keep_local_layers(trainer)})
        return Produced(payload, published, seconds)

    def _train(self, task: ClientTask, rng: np.random.Generator) -> tuple[QuantizedUpdate, float]:
        start = self.context.stopwatch()
        with _blame_training():
            if self.produce is not None:
                update = self.produce(task, rng)
                return update, self.context.stopwatch() - start
            trained = get_strategy(self.policy).train(task)
        seconds = self.context.stopwatch() - start
        return self._bound(trained, rng), seconds

    def _bound(self, trained: FloatUpdate, rng: np.random.Generator) -> QuantizedUpdate:
        """Return the update as bounded integers, with noise where the policy wants it."""
        if not is_private(self.policy):
            return quantise_update(trained, self.policy, rng)
        # What follows from the public seed could be taken off again.
        secret = int.from_bytes(self.entropy(_ENTROPY), "big")
        noise = np.random.Generator(np.random.Philox(secret))
        return privatise_update(trained, self.policy, rng, noise)

    def _encode(
        self, update: QuantizedUpdate, number: RoundId, rng: np.random.Generator
    ) -> tuple[bytes, QuantizedUpdate]:
        """Return the bytes, and the update that they stand for.

        What a lossy compression leaves out is kept for the next round.
        """
        agent, key = self.context.signer.address, self.context.get_round_key(number)
        if not is_compressed(self.policy):
            return encode_update(update, self.policy, round_key=key, agent=agent), update
        schema = get_update_schema(self.policy)
        compressed = compress_update(
            update,
            self.policy,
            schema,
            round_key=key,
            agent=agent,
            memories=load_memories(self.context, number, schema),
            rng=rng,
            choice=self.choice,
        )
        save_memories(self.context, number, compressed.memories)
        payload = compressed.payload
        return payload, decompress_update(payload, self.policy, schema, round_key=key, agent=agent)

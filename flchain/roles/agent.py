"""The agent: trains on its own data, submits the update's digest, then serves the update.

The update is in the journal before its digest is sent, and in the store only after SUBMIT has
closed, so that nobody can copy it in time. Killed at any point and started again, the agent
finds in chain and journal what is left to do.
"""

from dataclasses import dataclass, field

from flchain.learning.aggregation import compute_weight
from flchain.learning.cohorts import is_in_cohort
from flchain.learning.data import Dataset
from flchain.learning.payloads import compute_shape_digest
from flchain.learning.personalisation import build_personal_trainer, keep_local_layers
from flchain.learning.quantisation import quantise_update
from flchain.learning.randomness import derive_generator, derive_seed
from flchain.learning.schemas import encode_update, get_update_schema
from flchain.learning.strategies import get_strategy
from flchain.learning.strategies.base import ClientTask
from flchain.learning.training import Trainer
from flchain.protocol.calls import Submit
from flchain.protocol.errors import ProtocolError
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Phase, Role, RoundId
from flchain.roles.archive import Sealed, seal_payload
from flchain.roles.assembly import fetch_state
from flchain.roles.context import Context
from flchain.roles.duties import was_entitled
from flchain.roles.memories import load_memory, save_memory
from flchain.roles.observation import Observation, is_overtaken
from flchain.roles.payouts import claim_rewards
from flchain.roles.retention import name_round_pin, release_old
from flchain.roles.terms import Terms
from flchain.roles.upkeep import Upkeep

_SERVED = "served"


def derive_batch_seed(policy: Policy, number: RoundId, agent: Address) -> int:
    """Return the seed of an agent's training in one round."""
    return derive_seed(policy.seed, "batches", number, agent.lower())


@dataclass
class Agent:
    """One participant with data. `upkeep` lets it step in for a silent orchestrator."""

    context: Context
    terms: Terms
    trainer: Trainer
    data: Dataset
    upkeep: Upkeep | None = None
    claims_at_once: bool = False
    _paid: set[RoundId] = field(default_factory=set)
    _made: tuple[RoundId, Sealed] | None = None

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""
        try:
            acted = self._act(seen)
        except ProtocolError as error:
            if not is_overtaken(error):
                raise
            acted = False
        return acted or (self.upkeep is not None and self.upkeep.tick(seen))

    def claim_rewards(self, seen: Observation) -> int:
        """Claim every reward that is due; return how many were paid."""
        return claim_rewards(self.context, seen, self._paid)

    def _act(self, seen: Observation) -> bool:
        if seen.phase is Phase.SUBMIT and self._is_due(seen):
            self._submit(seen)
            return True
        if seen.phase > Phase.SUBMIT and self._serve(seen.round.round):
            release_old(self.context, self.terms, seen)
            return True
        return self.claims_at_once and self.claim_rewards(seen) > 0

    def _is_due(self, seen: Observation) -> bool:
        agent = self.context.signer.address
        if any(item.agent == agent for item in seen.live.submissions):
            return False
        if not is_in_cohort(self.terms.policy, self.context.get_round_key(seen.round.round), agent):
            return False
        # The events may lag behind the member's record.
        member = self.context.ledger.get_member(self.context.task_id, agent)
        is_first = member.submitted_round != seen.round.round
        return is_first and was_entitled(self.context, seen, Role.AGENT, member)

    def _submit(self, seen: Observation) -> None:
        number = seen.round.round
        update = self._load_update(number) or self._make_update(seen)
        self.context.journal.write(self._name_entry(number), update.payload)
        self._made = (number, update)
        weight = compute_weight(len(self.data), self.terms.policy)
        self.context.send(Submit(self.context.task_id, number, update.digest, weight), number)

    def _load_update(self, number: RoundId) -> Sealed | None:
        """Return the update that was made before a crash, so that it is never made twice."""
        payload = self.context.journal.read(self._name_entry(number))
        if payload is None or payload == _SERVED.encode():
            return None
        if self._made and self._made[0] == number:
            return self._made[1]
        return self._seal(payload, number)

    def _make_update(self, seen: Observation) -> Sealed:
        number, policy, agent = seen.round.round, self.terms.policy, self.context.signer.address
        start = self.context.stopwatch()
        digest = seen.past.versions[seen.round.parent_version].state_digest
        state = fetch_state(self.context.archive, digest, self.terms)
        fetched = self.context.stopwatch()
        seed = derive_batch_seed(policy, number, agent)
        memory = load_memory(self.context, seen.past, number)
        trainer = build_personal_trainer(self.trainer, policy.model, memory)
        task = ClientTask(state, self.data, policy, trainer, seed, memory)
        trained = get_strategy(policy).train(task)
        done = self.context.stopwatch()
        rng = derive_generator(policy.seed, "rounding", number, agent.lower())
        quantised = quantise_update(trained, policy, rng)
        kept = get_strategy(policy).keep(memory, quantised, policy)
        local = keep_local_layers(trainer)
        save_memory(self.context, seen.past, number, {**kept, **local})
        payload = encode_update(
            quantised,
            policy,
            round_key=self.context.get_round_key(number),
            agent=agent,
        )
        sealed = self._seal(payload, number)
        self.context.notify("train", number, done - fetched)
        self.context.notify("prepare", number, fetched - start + self.context.stopwatch() - done)
        return sealed

    def _seal(self, payload: bytes, number: RoundId) -> Sealed:
        return seal_payload(
            payload,
            kind="update",
            dtype="int32",
            shape_digest=compute_shape_digest(get_update_schema(self.terms.policy)),
            round_key=self.context.get_round_key(number),
            agent=self.context.signer.address,
            policy_digest=self.terms.task.policy_digest,
        )

    def _serve(self, number: RoundId) -> bool:
        """Publish the update of this round, once; forget those of earlier rounds."""
        update = self._load_update(number)
        if update is None:
            return False
        start = self.context.stopwatch()
        self.context.archive.publish(update, name_round_pin(self.context, number))
        self.context.journal.write(self._name_entry(number), _SERVED.encode())
        for name in list(self.context.journal.names()):
            if name.startswith(self._entries) and name != self._name_entry(number):
                self.context.journal.delete(name)
        self.context.notify("serve", number, self.context.stopwatch() - start)
        return True

    @property
    def _entries(self) -> str:
        """What the journal's names of this task begin with.

        The key of round 0, which is no round, stands for chain, contract and task.
        """
        return f"update-{self.context.get_round_key(RoundId(0))[:8].hex()}-"

    def _name_entry(self, number: RoundId) -> str:
        return f"{self._entries}{number:08d}"

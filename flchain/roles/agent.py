"""The agent: trains on its own data, submits the update's digest, then serves the update.

Where the policy adds noise, the agent stays out of rounds that its privacy budget cannot pay.

The update is in the journal before its digest is sent, and in the store only after SUBMIT has
closed, so that nobody can copy it in time. Killed at any point and started again, the agent finds
in chain and journal what is left to do. In secure mode `masked.participant` does all of this.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from flchain.learning.aggregation import compute_weight
from flchain.learning.cohorts import is_in_cohort
from flchain.learning.compression import CHOICES, is_compressed
from flchain.learning.data import Dataset
from flchain.learning.payloads import compute_shape_digest
from flchain.learning.privacy import count_private_rounds, is_private
from flchain.learning.schemas import get_update_schema
from flchain.learning.strategies import get_strategy
from flchain.learning.training import Trainer
from flchain.protocol.calls import Submit
from flchain.protocol.errors import ConfigError, EncodingError, ProtocolError
from flchain.protocol.policy import RuleSpec
from flchain.protocol.types import Outcome, Phase, Role, RoundId
from flchain.roles.archive import Sealed, seal_payload
from flchain.roles.assembly import fetch_state
from flchain.roles.context import Context
from flchain.roles.duties import was_entitled
from flchain.roles.masked.participant import Participant
from flchain.roles.masked.vault import Vault
from flchain.roles.observation import Observation, is_overtaken
from flchain.roles.payouts import claim_rewards
from flchain.roles.production import Produce, Produced, Production
from flchain.roles.retention import name_round_pin, release_old
from flchain.roles.terms import Floors, Terms
from flchain.roles.upkeep import Upkeep

_SERVED = "served"
_NO_ROUND = RoundId(0)


@dataclass
class Agent:
    """One participant with data. `upkeep` lets it step in for a silent orchestrator."""

    context: Context
    terms: Terms
    trainer: Trainer
    data: Dataset
    upkeep: Upkeep | None = None
    claims_at_once: bool = False
    choice: RuleSpec = CHOICES[0]
    """How to compress where the policy leaves that to the agent."""
    produce: Produce | None = None
    """Takes the place of training, rounding and noise: simulations have malicious agents."""
    floors: Floors = field(default_factory=Floors)
    """Below which it hides in no sum, in secure mode."""
    entropy: Callable[[int], bytes] = os.urandom
    """Gives secret bytes for masks and noise."""
    is_relayed: bool = False
    """Whether others may send its records, in secure mode."""
    _paid: set[RoundId] = field(default_factory=set)
    _made: tuple[RoundId, Sealed] | None = None
    _released: RoundId = _NO_ROUND
    """The newest round after which it let go of old ones, in secure mode."""
    _without: RoundId = _NO_ROUND
    """The newest round for which it could make no update."""

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
        if self.terms.policy.is_secure:
            return self._act_masked(seen)
        if seen.phase is Phase.SUBMIT and self._is_due(seen):
            return self._submit(seen)
        if seen.phase > Phase.SUBMIT and self._serve(seen.round.round):
            release_old(self.context, self.terms, seen)
            return True
        return self._collect(seen)

    def _act_masked(self, seen: Observation) -> bool:
        if self._participant.tick(seen):
            return True
        if seen.round.outcome is not Outcome.NONE and self._released != seen.round.round:
            self._released = seen.round.round
            release_old(self.context, self.terms, seen)
        return self._collect(seen)

    def _collect(self, seen: Observation) -> bool:
        return self.claims_at_once and self.claim_rewards(seen) > 0

    def _is_due(self, seen: Observation) -> bool:
        """Return whether the agent has a part in this round that it has not taken yet."""
        agent = self.context.signer.address
        if not is_in_cohort(self.terms.policy, self.context.get_round_key(seen.round.round), agent):
            return False
        if any(item.agent == agent for item in seen.live.submissions):
            return False
        # The events may lag behind the member's record.
        member = self.context.ledger.get_member(self.context.task_id, agent)
        if self.terms.policy.is_secure and seen.is_revealed(seen.round.parent_version):
            return False
        is_first = member.submitted_round != seen.round.round
        is_affordable = self._count_charged(seen) < self._most_rounds
        return is_first and is_affordable and was_entitled(self.context, seen, Role.AGENT, member)

    def _count_charged(self, seen: Observation) -> int:
        """Return how many rounds have cost privacy before this one: under masks, the sums."""
        return seen.masked.spent if self.terms.policy.is_secure else seen.round.round - 1

    def _submit(self, seen: Observation) -> bool:
        number = seen.round.round
        update = self._load_update(number) or self._try_to_make(seen)
        if update is None:
            return False
        self.context.journal.write(self._name_entry(number), update.payload)
        self._made = (number, update)
        weight = compute_weight(len(self.data), self.terms.policy)
        self.context.send(Submit(self.context.task_id, number, update.digest, weight), number)
        return True

    def _try_to_make(self, seen: Observation) -> Sealed | None:
        """Return a new update; None, once reported, if this agent has none in this round.

        The round goes on without it, and so do others who share the process.
        """
        number = seen.round.round
        if number == self._without:
            return None
        try:
            if not len(self.data):
                raise EncodingError("there are no rows to train on; give it some")  # noqa: TRY301  # one report
            return self._make_update(seen)
        except (ConfigError, EncodingError) as error:
            self._without = number
            text = f"agent {self.context.signer.address} stays out of round {number}: {error}"
            self.context.notify("no-update", number, 0.0, detail=text)
            return None

    def _load_update(self, number: RoundId) -> Sealed | None:
        """Return the update that was made before a crash, so that it is never made twice."""
        payload = self.context.journal.read(self._name_entry(number))
        if payload is None or payload == _SERVED.encode():
            return None
        if self._made and self._made[0] == number:
            return self._made[1]
        return self._seal(payload, number)

    def _make_update(self, seen: Observation) -> Sealed:
        number = seen.round.round
        start = self.context.stopwatch()
        made = self._produce(seen)
        sealed = self._seal(made.payload, number)
        self.context.notify("prepare", number, self.context.stopwatch() - start - made.seconds)
        return sealed

    def _produce(self, seen: Observation) -> Produced:
        """Train from the round's parent."""
        digest = seen.past.versions[seen.round.parent_version].state_digest
        state = fetch_state(self.context.archive, digest, self.terms)
        made = self._production.make_update(seen.past, seen.round.round, state)
        self.context.notify("train", seen.round.round, made.seconds)
        return made

    def _seal(self, payload: bytes, number: RoundId) -> Sealed:
        return seal_payload(
            payload,
            kind="update",
            dtype="bytes" if is_compressed(self.terms.policy) else "int32",
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

    @cached_property
    def _participant(self) -> Participant:
        return Participant(
            self.context,
            self.terms,
            Vault(self.context, self.entropy),
            count_weight=lambda: compute_weight(len(self.data), self.terms.policy),
            make_update=lambda seen: self._produce(seen).published,
            is_due=self._is_due,
            floors=self.floors,
            is_relayed=self.is_relayed,
        )

    @property
    def _production(self) -> Production:
        return Production(
            context=self.context,
            policy=self.terms.policy,
            trainer=self.trainer,
            data=self.data,
            choice=self.choice,
            entropy=self.entropy,
            produce=self.produce,
        )

    @cached_property
    def _most_rounds(self) -> int:
        """How many rounds the task's privacy budget pays for."""
        policy = self.terms.policy
        if not is_private(policy):
            return sys.maxsize
        return count_private_rounds(policy, len(get_strategy(policy).update_sections))

    @property
    def _entries(self) -> str:
        """What the journal's names of this task begin with.

        The key of round 0, which is no round, stands for chain, contract and task.
        """
        return f"update-{self.context.get_round_key(RoundId(0))[:8].hex()}-"

    def _name_entry(self, number: RoundId) -> str:
        return f"{self._entries}{number:08d}"

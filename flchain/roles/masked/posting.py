"""How an agent's record gets onto the chain: sent by itself, or offered to whoever relays.

An offer waits until the last part of the window, which belongs to direct records. If the chain then
does not show it, or earlier shows something else in the agent's place, the agent sends it directly:
a direct record beats a relayed one, and nobody can keep it out.
"""

from dataclasses import dataclass, field
from functools import cached_property

from flchain.protocol.calls import PostRecord
from flchain.protocol.errors import ProofError, ProtocolError
from flchain.protocol.types import Address, Digest, Phase, RoundId
from flchain.roles.context import Context
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.offers import (
    Offer,
    compute_latest_relay,
    is_signed,
    publish_offer,
    withdraw_offers,
)
from flchain.roles.masked.past import Relayed, find_relayed
from flchain.roles.masked.tending import Tending
from flchain.roles.masked.vault import KeptRecord, Vault
from flchain.roles.observation import Observation, is_overtaken
from flchain.roles.retention import name_round_pin
from flchain.roles.terms import Terms

_NO_ROUND = RoundId(0)


class DroppedOut(ProofError):
    """The agent sends nothing more in a round; the message says why."""


@dataclass
class Posting:
    """Brings the records of one agent in one task onto the chain."""

    context: Context
    terms: Terms
    vault: Vault
    is_relayed: bool = False
    """Whether records are offered to relayers first. A first JOIN is always direct."""
    _offered: set[tuple[RoundId, Phase]] = field(default_factory=set)
    _served: RoundId = _NO_ROUND
    """The newest round whose release is in the store."""

    def verify_place(self, seen: Observation) -> bool:
        """Void a forged record in this agent's place, once; return whether that was sent.

        To be called before a record is made. Raises DroppedOut if the chain has a record of this
        agent, since it did not come from this journal.
        """
        place, phase = self._find_place(seen), Phase(seen.phase)
        if place is None or place not in seen.masked_past.get_records(phase):
            return False
        is_direct = place in seen.masked_past.get_posted(phase)
        if is_direct or self._is_own(seen):
            raise DroppedOut(f"the chain has a record of {phase.name} that the journal has not")
        return self._tending.void_place(seen, place)

    def post(self, seen: Observation, kept: KeptRecord) -> bool:
        """Do what this phase's record still needs; return whether something was done."""
        number, phase = seen.round.round, Phase(seen.phase)
        if self._stands(seen, kept):
            if phase is Phase.UNMASK:
                self.serve_release(number, kept)
            return False
        if self._waits(seen):
            return self._offer(seen, kept)
        self._void(seen)
        self._publish(seen, kept)
        call = PostRecord(self.context.task_id, number, phase, kept.anchor, kept.digest)
        self.context.send(call, number)
        if phase is Phase.UNMASK:
            self.serve_release(number, kept)
        return True

    def serve_release(self, number: RoundId, kept: KeptRecord) -> None:
        """Store the release that is on the chain, once.

        Not before: the chain refuses it if the agent was shown other sets than everybody else.
        """
        if self._served != number:
            publish_message(self.context, self.terms, number, Phase.UNMASK, kept.payload)
            self._served = number

    def withdraw(self) -> None:
        """Forget all offers: no relayer can use one any more."""
        self._offered.clear()
        withdraw_offers(self.context)

    def _stands(self, seen: Observation, kept: KeptRecord) -> bool:
        """Return whether the record is on the chain, directly or as this agent signed it.

        Raises DroppedOut if another record of this agent is.
        """
        past, phase, place = seen.masked_past, Phase(seen.phase), self._find_place(seen)
        if place is None or place not in past.get_records(phase):
            return False
        if place in past.get_posted(phase):
            if past.get_records(phase)[place] != kept.digest:
                raise DroppedOut(f"another record of {phase.name} is on the chain")
            return True
        relayed = self._find_relayed(seen)
        if relayed is None or not self._is_own(seen):
            return False
        if relayed.record != self.vault.find_signed(seen.round.round, phase):
            raise DroppedOut(f"another record of {phase.name} was signed and relayed")
        return True

    def _waits(self, seen: Observation) -> bool:
        """Return whether a relayer may still bring the record: none can once one was voided."""
        has_place = self._find_place(seen) is not None
        is_early = seen.now < compute_latest_relay(self.terms.task, seen.masked)
        return self.is_relayed and has_place and is_early and self._find_relayed(seen) is None

    def _offer(self, seen: Observation, kept: KeptRecord) -> bool:
        number, phase = seen.round.round, Phase(seen.phase)
        if (number, phase) in self._offered:
            return False
        self._publish(seen, kept)
        record = self.vault.sign_record(number, phase)
        publish_offer(self.context, self.terms, number, Offer(phase, kept.anchor, record))
        self._offered.add((number, phase))
        self.context.notify(f"offer-{phase.name.lower()}", number, 0.0)
        return True

    def _void(self, seen: Observation) -> None:
        """Void a forged record in this agent's place, which a direct one would only replace."""
        place = self._find_place(seen)
        if place is None or self._find_relayed(seen) is None:
            return
        try:
            self._tending.void_place(seen, place)
        except ProtocolError as error:
            # Somebody was faster, or it is too late: the direct record counts all the same.
            if not is_overtaken(error):
                raise

    def _publish(self, seen: Observation, kept: KeptRecord) -> None:
        """Store what this phase's record stands for; a release follows its record."""
        number, phase = seen.round.round, Phase(seen.phase)
        if phase is not Phase.UNMASK:
            publish_message(self.context, self.terms, number, phase, kept.payload)

    def _is_own(self, seen: Observation) -> bool:
        """Return whether what a batch brought for this agent has its signature."""
        relayed = self._find_relayed(seen)
        if relayed is None:
            return False
        offer = Offer(relayed.phase, relayed.anchor, relayed.record)
        return is_signed(self.context, seen.round.round, offer, self._account)

    def _find_relayed(self, seen: Observation) -> Relayed | None:
        """Return what a batch brought for this agent in this phase, voided or not."""
        place = self._find_place(seen)
        if place is None:
            return None
        return find_relayed(seen.masked_past, Phase(seen.phase), place, seen.masked.anchor)

    def _find_place(self, seen: Observation) -> int | None:
        return seen.find_place(self._account)

    @cached_property
    def _tending(self) -> Tending:
        return Tending(self.context)

    @property
    def _account(self) -> Address:
        return self.context.signer.address


def publish_message(
    context: Context, terms: Terms, number: RoundId, phase: Phase, payload: bytes
) -> Digest:
    """Store this account's message of a phase; return its digest."""
    messages = Messages(terms, context.archive, context.get_origin(number))
    sealed = messages.seal(context.signer.address, phase, payload)
    return context.archive.publish(sealed, name_round_pin(context, number))

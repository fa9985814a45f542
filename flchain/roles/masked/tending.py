"""What anybody may do to keep masked rounds honest: pin anchors, void forgeries, bill who missed.

Nothing here decides anything: the contract checks each of these calls for itself.
"""

from dataclasses import dataclass, field

from flchain.crypto.merkle import compute_listed_proof
from flchain.protocol.calls import PinAnchor, PunishComplaint, PunishMissing, VoidRecord
from flchain.protocol.digests import record_leaf
from flchain.protocol.types import ZERO_DIGEST, Address, Outcome, Phase, Role, RoundId
from flchain.roles.context import Context
from flchain.roles.duties import was_entitled
from flchain.roles.masked.offers import Offer, is_signed
from flchain.roles.masked.past import MaskedPast, Relayed, list_relayed
from flchain.roles.observation import Observation

MISSABLE = {Phase.SHARES: Phase.JOIN, Phase.SUBMIT: Phase.CHECK, Phase.UNMASK: Phase.CHECK}
"""Phases that an agent pays for missing, and whose set had to act in each."""
BUNDLE = 32
PIN_AFTER = 100
"""Blocks after which an anchor is pinned: the block hash in it is forgotten after 256."""


@dataclass
class Tending:
    """Does these things on behalf of one member, once each."""

    context: Context
    _checked: set[tuple[RoundId, int, int]] = field(default_factory=set)
    """Round, batch and place of relayed records that were looked at."""
    _pinned: tuple[RoundId, Phase] = (RoundId(0), Phase.NONE)

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was sent."""
        if seen.round.round == 0 or seen.live.masked is None:
            return False
        return self._void(seen) or self._pin(seen) or self._bill(seen)

    def void_place(self, seen: Observation, place: int) -> bool:
        """Void the relayed record at a place if it is not its agent's; return whether it was sent.

        Each record is looked at once.
        """
        return self._void(seen, only=place)

    def _void(self, seen: Observation, only: int | None = None) -> bool:
        """Void a relayed record that is not its agent's, while that counts."""
        if seen.round.outcome is not Outcome.NONE:
            return False
        number, past = seen.round.round, seen.masked_past
        anchors = {Phase.JOIN: self.context.get_round_key(number)}
        if seen.masked.anchor != ZERO_DIGEST:
            anchors[seen.masked.phase] = seen.masked.anchor
        relayed = list_relayed(past, anchors)
        for entry in relayed:
            mark = (number, entry.batch, entry.place)
            if mark in self._checked or (entry.batch, entry.place) in past.voided:
                continue
            if only not in (None, entry.place):
                continue
            if self._is_sound(seen, entry):
                self._checked.add(mark)
                continue
            if not is_voidable(seen, entry):
                continue
            self._checked.add(mark)
            self._send_void(seen, entry, [each for each in relayed if each.batch == entry.batch])
            return True
        return False

    def _send_void(self, seen: Observation, entry: Relayed, batch: list[Relayed]) -> None:
        leaves = [record_leaf(each.anchor, each.place, each.record) for each in batch]
        proof = compute_listed_proof(leaves, batch.index(entry))
        call = VoidRecord(
            self.context.task_id,
            seen.round.round,
            entry.batch,
            entry.anchor,
            entry.place,
            entry.record,
            proof,
        )
        self.context.send(call, seen.round.round)

    def _is_sound(self, seen: Observation, entry: Relayed) -> bool:
        """Return whether a record is its agent's, who may make it."""
        number, agent = seen.round.round, seen.past.holders[entry.place]
        offer = Offer(entry.phase, entry.anchor, entry.record)
        if not is_signed(self.context, number, offer, agent):
            return False
        return entry.phase is not Phase.JOIN or may_join(self.context, seen, agent)

    def _pin(self, seen: Observation) -> bool:
        """Pin the anchor of a phase in which nobody acts while blocks go by."""
        mark = (seen.round.round, seen.masked.phase)
        is_old = seen.head - seen.masked.close_block >= PIN_AFTER
        is_open = Phase.JOIN < seen.masked.phase <= Phase.UNMASK
        if not (is_old and is_open) or self._pinned == mark:
            return False
        self._pinned = mark
        if seen.masked.phase in seen.masked_past.anchors or seen.masked.anchor == ZERO_DIGEST:
            return False
        self.context.send(PinAnchor(self.context.task_id), seen.round.round)
        return True

    def _bill(self, seen: Observation) -> bool:
        """Have those pay who missed a step, or complained without a reason."""
        number, past = seen.round.round, seen.masked_past
        for phase in MISSABLE:
            places = list_missing(seen, past, phase)
            if places:
                call = PunishMissing(self.context.task_id, number, phase, places[:BUNDLE])
                self.context.send(call, number)
                return True
        for complaint in past.complaints:
            accuser = seen.find_place(complaint.agent)
            is_failed = past.has_closed(Phase.CHECK) and complaint.accused in past.get_set(
                Phase.CHECK
            )
            if is_failed and accuser is not None and complaint.agent not in past.missed:
                call_ = PunishComplaint(self.context.task_id, number, accuser, complaint.accused)
                self.context.send(call_, number)
                return True
        return False


def may_join(context: Context, seen: Observation, agent: Address) -> bool:
    """Return whether an account was an active agent of the task when the round opened."""
    member = context.ledger.get_member(context.task_id, agent)
    return was_entitled(context, seen, Role.AGENT, member)


def is_voidable(seen: Observation, entry: Relayed) -> bool:
    """Return whether a relayed record is still in force and may still be voided."""
    now = seen.masked.phase
    in_time = entry.phase is now or (entry.phase is Phase.SUBMIT and now is Phase.ATTEST)
    is_open = seen.now < seen.masked.closes_at
    return in_time and is_open and seen.masked_past.is_relayed(entry.phase, entry.place)


def list_missing(seen: Observation, past: MaskedPast, phase: Phase) -> tuple[int, ...]:
    """Return the places that owe the penalty for a phase that has closed, and have not paid.

    Who was left out by SUBMIT's end of an aborted round is found too: the round is then over.
    """
    is_over = past.has_closed(phase) or (
        seen.round.outcome is not Outcome.NONE and phase is _get_failed(past)
    )
    if not is_over or not past.has_closed(MISSABLE[phase]):
        return ()
    absent = past.get_set(MISSABLE[phase]) - past.get_set(phase)
    if phase is Phase.SHARES:
        absent -= past.get_relayed(Phase.JOIN)
    return tuple(place for place in sorted(absent) if _owes(seen.past.holders, past, place))


def _get_failed(past: MaskedPast) -> Phase:
    """Return the first phase that did not close: the one in which the round failed."""
    phases = (Phase.JOIN, Phase.SHARES, Phase.CHECK, Phase.SUBMIT, Phase.ATTEST, Phase.UNMASK)
    return next((phase for phase in phases if not past.has_closed(phase)), Phase.NONE)


def _owes(holders: tuple[Address, ...], past: MaskedPast, place: int) -> bool:
    return holders[place] not in past.missed

"""The relayer: sends the records that agents offer, many in one transaction.

Its stake is the bond for what it sends, since the contract checks no signature. So it relays what
it has verified itself, and nothing for a place that may not act. Whom it leaves out posts directly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flchain.chain.spec.masked_state import ENTITLING, RECORDED
from flchain.protocol.calls import RelayRecords
from flchain.protocol.digests import WORD, pack_bits
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Bitmap,
    Digest,
    Phase,
    Role,
    RoundId,
    Seconds,
    Timestamp,
)
from flchain.roles.context import Context
from flchain.roles.masked.offers import compute_latest_relay, fetch_offer, is_signed, list_offers
from flchain.roles.masked.tending import may_join
from flchain.roles.observation import Observation
from flchain.roles.terms import Terms
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

LARGEST_BATCH = 200
"""Records in one transaction: 0.9 million gas, and calldata far below what nodes accept."""


@dataclass
class View:
    """What is known of one phase under one anchor."""

    number: RoundId
    phase: Phase
    anchor: Digest
    is_relayer: bool
    """Whether this account may relay."""
    found: dict[int, SignedRecord] = field(default_factory=dict)
    """Verified records by place."""
    read: set[tuple[Address, Digest]] = field(default_factory=set)
    """Blocks that were looked at, under each agent's name."""


@dataclass
class Relaying:
    """Relays in one task on behalf of one account, if that is a proposer in good standing."""

    context: Context
    terms: Terms
    _view: View | None = None

    def tick(self, seen: Observation) -> bool:
        """Send what is due; return whether something was sent."""
        if not is_recording(seen):
            return False
        latest = compute_latest_relay(self.terms.task, seen.masked)
        if seen.now >= latest or not self._renew(seen).is_relayer:
            return False
        found = self.gather(seen)
        recorded = len(seen.masked_past.get_records(Phase(seen.phase)))
        is_complete = recorded + len(found) >= seen.masked.expected
        margin = self._compute_margin(seen, latest)
        if not found or not (is_complete or seen.now >= latest - margin):
            return False
        places = sorted(found)
        for start in range(0, len(places), LARGEST_BATCH):
            batch = places[start : start + LARGEST_BATCH]
            self._send(seen, batch, [found[place] for place in batch])
        return True

    def gather(self, seen: Observation) -> dict[int, SignedRecord]:
        """Return by place the valid records on offer that a batch may still bring."""
        view, waiting = self._renew(seen), list_waiting(seen)
        places = {agent: place for place, agent in enumerate(seen.past.holders)}
        for agent, digest in list_offers(self.context, view.number, view.phase):
            place = places.get(agent)
            is_new = place not in view.found and (agent, digest) not in view.read
            if place in waiting and is_new:
                self._read(seen, agent, place, digest)
        return {place: view.found[place] for place in waiting & view.found.keys()}

    def _read(self, seen: Observation, agent: Address, place: int, digest: Digest) -> None:
        """Look at one pinned block; what is not there yet is looked at again."""
        view = self._renew(seen)
        try:
            offer = fetch_offer(self.context, self.terms, view.number, agent, digest)
        except (ContentUnavailable, ContentCorrupt):
            return
        view.read.add((agent, digest))
        if offer is None or (offer.phase, offer.anchor) != (view.phase, view.anchor):
            return
        if not is_signed(self.context, view.number, offer, agent):
            return
        if view.phase is not Phase.JOIN or may_join(self.context, seen, agent):
            view.found[place] = offer.record

    def _renew(self, seen: Observation) -> View:
        """Return what is known of this phase; of another fork's everything is forgotten."""
        number, phase, anchor = seen.round.round, Phase(seen.phase), seen.masked.anchor
        view = self._view
        if view is None or (view.number, view.phase, view.anchor) != (number, phase, anchor):
            account = self.context.signer.address
            is_relayer = self.context.ledger.is_eligible(account, int(Role.PROPOSER))
            view = self._view = View(number, phase, anchor, is_relayer)
        return view

    def _compute_margin(self, seen: Observation, latest: Timestamp) -> Seconds:
        """Return how long before the last moment to send what there is."""
        most = (latest - seen.masked.opens_at) // 2
        return Seconds(min(self.terms.task.forced_window, most))

    def _send(
        self, seen: Observation, places: Sequence[int], records: Sequence[SignedRecord]
    ) -> None:
        number, phase = seen.round.round, Phase(seen.phase)
        bitmap = Bitmap(pack_bits(places, len(seen.past.holders), WORD))
        call = RelayRecords(
            self.context.task_id, number, phase, seen.masked.anchor, bitmap, tuple(records)
        )
        self.context.send(call, number)


def is_recording(seen: Observation) -> bool:
    """Return whether agents make records now."""
    is_open = seen.now >= seen.masked.opens_at and seen.masked.anchor != ZERO_DIGEST
    return seen.phase in RECORDED and seen.phase == seen.masked.phase and is_open


def list_waiting(seen: Observation) -> frozenset[int]:
    """Return the places that a batch may fill in this phase; in JOIN, all that have no record."""
    past, phase = seen.masked_past, Phase(seen.phase)
    everybody = frozenset(range(len(seen.past.holders)))
    entitled = everybody if phase is Phase.JOIN else past.get_set(ENTITLING[phase])
    return entitled - past.get_records(phase).keys() - past.get_relayed(phase)

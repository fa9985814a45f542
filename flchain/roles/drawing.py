"""A validator's part in draws: being the beacon, and claiming the seats that it won.

Nobody learns of a seat before the proposal is on record, and nobody but its holder before it is
claimed: the seat follows from the holder's VRF key and the draw's seed.
"""

from dataclasses import dataclass
from functools import cached_property

from flchain.chain.spec.committees import (
    EXPECTED_PER_SEAT,
    LEADERS,
    build_entry,
    compute_cap,
    compute_capacity,
    get_weight,
    insert_seats,
)
from flchain.chain.spec.draws import SEAT_ROLE
from flchain.crypto.vrf import SecretKey, compute_hints, compute_output, get_key_words, prove
from flchain.crypto.vrf_hints import hash_key
from flchain.protocol.calls import OpenSeats, ProveSeats, RevealSeed
from flchain.protocol.records import DrawKey, DrawView, SeatProof, VrfKey, VrfProof
from flchain.protocol.reverts import NoBlockHash
from flchain.protocol.sortition import Electorate, compute_seat, count_seats, draw_message
from flchain.protocol.types import Digest
from flchain.roles.context import Context
from flchain.roles.observation import Observation

LEADER_BITS = 8


@dataclass
class Drawing:
    """Takes part in the draws of one task with one VRF key."""

    context: Context
    secret: SecretKey

    def tick(self, seen: Observation) -> bool:
        """Do what is due in SEAT; return whether something was done."""
        view = self.context.ledger.get_draw(self.context.task_id)
        place = self.context.ledger.get_member(
            self.context.task_id, self.context.signer.address
        ).place
        if seen.now < max(view.draw.proposed_at, view.draw.seeded_at):
            return False  # the draw is newer than the look
        if view.draw.is_seeded:
            return self._claim(seen, view, place)
        return self._reveal(seen, view, place)

    def _reveal(self, seen: Observation, view: DrawView, place: int) -> bool:
        """Publish the beacon's output, if it is this validator's turn."""
        window = self.context.ledger.get_task(self.context.task_id).seat_window
        rank = (seen.now - view.draw.proposed_at) // window
        leader = view.draw.beacons >> LEADER_BITS * rank & 0xFF
        known, _ = self.context.ledger.get_draw_key(self.context.task_id, place)
        epoch = view.draw.proposed_at // self.context.ledger.get_epoch_length()
        is_in_force = self.is_own(known) and known.active_from <= epoch
        if rank >= LEADERS or leader != place + 1 or not is_in_force:
            return False
        try:
            message = self.context.ledger.get_beacon_message(self.context.task_id)
        except NoBlockHash:
            return False
        key, proof = build_proof(self.secret, message)
        number = seen.round.round
        self.context.send(RevealSeed(self.context.task_id, rank, key, proof), number)
        self.context.send(OpenSeats(self.context.task_id, number), number)
        return True

    def _claim(self, seen: Observation, view: DrawView, place: int) -> bool:
        """Claim the seats won at this stage that are not on the list yet."""
        if seen.ballot.voted >> place & 1 or not self._is_drawable(seen, place):
            return False
        message = self._build_message(seen, view)
        proof = prove(self.secret, message)
        known, _ = self.context.ledger.get_draw_key(self.context.task_id, place)
        seats, output = seen.round.seats, compute_output(proof)
        stage = (seen.now - view.draw.seeded_at) // self._window
        won = count_seats(self._build_electorate(seen), known.weight, output, stage)
        entries = [build_entry(compute_seat(output, index, place), place) for index in range(won)]
        listed = list(view.seats)
        if insert_seats(listed, entries, compute_capacity(seats)) == listed:
            return False
        key, hinted = build_proof(self.secret, message)
        number = seen.round.round
        call = ProveSeats(self.context.task_id, number, (SeatProof(place, key, hinted),))
        self.context.send(call, number)
        return True

    @cached_property
    def key_hash(self) -> Digest:
        """The key's digest; a task has its first 20 bytes on record."""
        return hash_secret(self.secret)

    @property
    def _window(self) -> int:
        return self.context.ledger.get_task(self.context.task_id).seat_window

    def _is_drawable(self, seen: Observation, place: int) -> bool:
        ledger = self.context.ledger
        known, holder = ledger.get_draw_key(self.context.task_id, place)
        epoch = seen.round.opened_at // ledger.get_epoch_length()
        is_holder = holder == self.context.signer.address
        return is_holder and self.is_own(known) and known.active_from <= epoch

    def is_own(self, known: DrawKey) -> bool:
        """Return whether the task has this key on record: it may have been rotated meanwhile."""
        return known.key_hash == self.key_hash[: len(known.key_hash)]

    def _build_message(self, seen: Observation, view: DrawView) -> Digest:
        return draw_message(
            self.context.ledger.chain_id,
            self.context.ledger.addresses.round_manager,
            self.context.task_id,
            seen.round.round,
            role=SEAT_ROLE,
            attempt=view.draw.attempt,
            seed=view.seed,
        )

    def _build_electorate(self, seen: Observation) -> Electorate:
        return Electorate(
            total=self.context.ledger.get_total_weight(self.context.task_id),
            members=seen.round.validators,
            expected=EXPECTED_PER_SEAT * seen.round.seats,
            cap=compute_cap(seen.round.seats),
        )


def is_seated(context: Context, seen: Observation) -> bool:
    """Return whether the context's account has a say in the newest vote."""
    if seen.round.seats == 0:
        return True
    place = context.ledger.get_member(context.task_id, context.signer.address).place
    return get_weight(seen.draw.committee, place) > 0


def hash_secret(secret: SecretKey) -> Digest:
    """Return the digest under which a VRF key is registered."""
    return hash_key(VrfKey(*get_key_words(secret.public_key)))


def build_proof(secret: SecretKey, message: bytes) -> tuple[VrfKey, VrfProof]:
    """Return the key and the proof over `message` as the contracts take them."""
    proof = prove(secret, message)
    hinted = compute_hints(secret.public_key, message, proof)
    return VrfKey(*get_key_words(secret.public_key)), VrfProof(*hinted)

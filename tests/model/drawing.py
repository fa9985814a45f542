"""The next useful step of a draw: what beacons and honest validators would do."""

from flchain.chain.spec import draws, seeds
from flchain.chain.spec.draw_keys import NO_KEY
from flchain.chain.spec.state import Book
from flchain.protocol import calls
from flchain.protocol.records import SeatProof
from flchain.protocol.reverts import NoBlockHash, Revert
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, TaskId
from tests.model.actors import Command, Scene
from tests.model.vrf_keys import disturb, find_owner, prove

DRAW_MOODS = ("open",) * 16 + ("withheld",) * 2 + ("scarce",)
"""Beacons withhold some seeds, and of some committees nobody wants to be a member."""


def seat(scene: Scene, task_id: TaskId) -> Command | None:
    """Bring a draw closer to a committee."""
    book = scene.get_book(task_id)
    if book.draw.is_seeded:
        return prove_seats(scene, task_id)
    opening = scene.pick_actor(), calls.OpenSeats(task_id, book.round.round)
    deadline = book.draw.proposed_at + draws.SEED_WINDOWS * book.task.seat_window
    is_known = seeds.get_seed(scene.state, task_id, book.draw) != ZERO_DIGEST
    if is_known or scene.time >= deadline:
        return opening
    return None if get_mood(scene, task_id) == "withheld" else fix_seed(scene, task_id)


def get_mood(scene: Scene, task_id: TaskId) -> str:
    """Return who takes part in the newest draw."""
    return scene.draw_moods.setdefault(scene.get_attempt(task_id), scene.rng.choice(DRAW_MOODS))


def fix_seed(scene: Scene, task_id: TaskId) -> Command | None:
    """Return what fixes the seed now, if anything can."""
    draw = scene.get_book(task_id).draw
    if draw.beacons:
        return reveal_seed(scene, task_id)
    is_mined = scene.get_block_hash(draw.pinned_block) != ZERO_DIGEST
    return (scene.pick_actor(), calls.StartSeed(task_id)) if is_mined else None


def get_rank(scene: Scene, book: Book) -> int:
    """Return the rank of the beacon whose window it is."""
    return (scene.time - book.draw.proposed_at) // book.task.seat_window


def reveal_seed(scene: Scene, task_id: TaskId) -> Command | None:
    """Let the beacon whose turn it is reveal, if it has a key still."""
    book = scene.get_book(task_id)
    rank = get_rank(scene, book)
    place = book.draw.beacons >> 8 * rank & 0xFF
    known = book.draw_keys.get(place - 1)
    owner = find_owner(known.key_hash) if known else None
    message = find_beacon_message(scene, task_id)
    if owner is None or message is None:
        return None
    return scene.pick_actor(), calls.RevealSeed(task_id, rank, *disturb(scene, owner, message))


def find_beacon_message(scene: Scene, task_id: TaskId) -> Digest | None:
    """Return what the newest draw's beacon proves; None while the block's hash is unknown."""
    try:
        return seeds.get_beacon_message(scene.state, scene.get_env(ZERO_ADDRESS), task_id)
    except NoBlockHash:
        return None


def prove_seats(scene: Scene, task_id: TaskId) -> Command | None:
    """Prove seats that somebody wins at this stage, alone or in a bundle."""
    if get_mood(scene, task_id) == "scarce":
        return None
    winners = find_winners(scene, task_id)
    if not winners:
        return None
    count = scene.rng.choice([1, len(winners), len(winners)])
    chosen = tuple(scene.rng.sample(winners, count))
    if scene.rng.random() < 0.1:
        place = chosen[0].place
        owner = find_owner(scene.get_book(task_id).draw_keys[place].key_hash) or ("v1", 0)
        chosen = (SeatProof(place, *disturb(scene, owner, get_alpha(scene, task_id))), *chosen[1:])
    return scene.pick_actor(), calls.ProveSeats(task_id, get_number(scene, task_id), chosen)


def get_number(scene: Scene, task_id: TaskId) -> int:
    return scene.get_book(task_id).round.round


def build_ticket(scene: Scene, task_id: TaskId) -> draws.Ticket:
    env = scene.get_env(ZERO_ADDRESS)
    return draws.build_ticket(scene.state, env, scene.get_book(task_id), task_id)


def get_alpha(scene: Scene, task_id: TaskId) -> Digest:
    """Return what a seat's proof is over."""
    return build_ticket(scene, task_id).alpha


def build_claim(scene: Scene, task_id: TaskId, place: int) -> SeatProof | None:
    """Return a sound proof of the validator at a place, if there is one with a key."""
    known = scene.get_book(task_id).draw_keys.get(place)
    owner = find_owner(known.key_hash) if known and known.key_hash != NO_KEY else None
    return SeatProof(place, *prove(owner, get_alpha(scene, task_id))) if owner else None


def find_winners(scene: Scene, task_id: TaskId) -> list[SeatProof]:
    """Return the proofs that win a seat which is not on the list."""
    book, ticket = scene.get_book(task_id), build_ticket(scene, task_id)
    winners = []
    for place in book.draw_keys:
        claim = build_claim(scene, task_id, place)
        if claim is not None and is_winner(book, ticket, claim):
            winners.append(claim)
    return winners


def is_winner(book: Book, ticket: draws.Ticket, claim: SeatProof) -> bool:
    try:
        return draws.enter_seats(book, ticket, claim, book.seats)[0] != book.seats
    except Revert:
        return False

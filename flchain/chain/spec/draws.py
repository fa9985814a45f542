"""SEAT: from the seed of a draw to a committee.

The seed is fixed after the proposal is on record. In each of four stages the expected number of
seats doubles until the committee is full; the last admits everybody. A stage that has filled it
ends SEAT. The list of seats is longer than the committee, so that silent seats can be replaced
without another draw.
"""

from dataclasses import dataclass, replace

from flchain.chain.spec import penalties, seeds
from flchain.chain.spec.committees import (
    EXPECTED_PER_SEAT,
    SEED_WINDOWS,
    STAGES,
    build_entry,
    compute_cap,
    compute_capacity,
    find_leaders,
    get_place,
    insert_seats,
    pack_committee,
    seat_committee,
)
from flchain.chain.spec.rounds import get_phase, is_entitled, verify_bundle, verify_round
from flchain.chain.spec.state import Book, Env, State, compute_epoch, get_book
from flchain.crypto.vrf_hints import compute_hinted_output, hash_key, verify_hinted
from flchain.protocol.calls import OpenSeats, ProveSeats
from flchain.protocol.digests import compute_quorum
from flchain.protocol.events import Event, SeatsOpened, SeatsProven, SeatsReplaced
from flchain.protocol.records import Draw, DrawKey, Member, SeatProof
from flchain.protocol.reverts import (
    AlreadySeeded,
    NoSeat,
    NotDrawable,
    NotSeeded,
    OwnProposal,
    SeedNotReady,
    WrongKey,
    WrongPhase,
)
from flchain.protocol.sortition import (
    Electorate,
    compute_seat,
    count_seats,
    draw_message,
)
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Epoch,
    Phase,
    Role,
    RoundId,
    TaskId,
    Timestamp,
)

RESTING_EPOCHS = 2
"""Epochs in which a validator that was silent in its seat is not drawn."""
SEAT_ROLE = 1
NEVER = Timestamp(2**40 - 1)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the proofs of one call share."""

    electorate: Electorate
    alpha: Digest
    epoch: Epoch
    stage: int


def get_draw(state: State, task_id: TaskId) -> tuple[Draw, Digest, tuple[int, ...], int]:
    """Return the newest draw, its seed, its list by score, and the committee as one word."""
    book = get_book(state, task_id)
    return book.draw, book.seed, tuple(book.seats), pack_committee(book.committee)


def get_draw_key(state: State, task_id: TaskId, place: int) -> tuple[DrawKey, Address]:
    """Return what the validator at `place` needs to be drawn, and who it is."""
    book = get_book(state, task_id)
    return book.draw_keys.get(place, DrawKey()), book.holders.get(place, ZERO_ADDRESS)


def get_total_weight(state: State, task_id: TaskId) -> int:
    """Return the weight of the validators that were active when the newest round opened."""
    return get_book(state, task_id).total_weight


def verify_seat_phase(state: State, env: Env, task_id: TaskId, number: RoundId) -> Book:
    """Return the task's book. Raises unless the round is in SEAT."""
    book = get_book(state, task_id)
    verify_round(book, number)
    phase = get_phase(state, task_id, env.time)
    if phase != Phase.SEAT:
        raise WrongPhase(Phase.SEAT, phase)
    return book


def start_draw(book: Book, env: Env) -> None:
    """Begin a draw for the proposal that has just been recorded."""
    beacons = find_leaders(book.seats) or book.draw.beacons
    book.round = replace(book.round, seats=book.task.committee)
    book.draw = Draw(
        round=book.round.round,
        attempt=book.ballot.attempt,
        pinned_block=env.block + 1,
        proposed_at=env.time,
        total_weight=book.total_weight,
        beacons=beacons,
    )
    book.seats = []
    book.ballot = replace(book.ballot, opened_at=NEVER, vote_close=NEVER)


def process_open_seats(state: State, env: Env, call: OpenSeats) -> list[Event]:
    """Fix the seed of the newest draw; anybody may send this.

    Without a seed after three windows every active validator sits.
    """
    book = verify_seat_phase(state, env, call.task_id, call.round)
    if book.draw.is_seeded:
        raise AlreadySeeded
    seed = seeds.get_seed(state, call.task_id, book.draw)
    deadline = Timestamp(book.draw.proposed_at + SEED_WINDOWS * book.task.seat_window)
    if seed == ZERO_DIGEST and env.time < deadline:
        raise SeedNotReady(deadline)
    book.draw = replace(book.draw, is_seeded=True, seeded_at=env.time)
    if seed == ZERO_DIGEST:
        seat_everybody(book, env)
    else:
        book.seed = seed
        end = Timestamp(env.time + STAGES * book.task.seat_window)
        book.ballot = replace(book.ballot, opened_at=end, vote_close=end)
    return [SeatsOpened(call.task_id, call.round, book.draw.attempt, seed)]


def seat_everybody(book: Book, env: Env) -> None:
    """Open VOTE for every active validator; the next draw takes no beacon from this one."""
    book.draw = replace(book.draw, beacons=0)
    book.round = replace(book.round, seats=0)
    vote_close = Timestamp(env.time + book.task.vote_window)
    book.ballot = replace(book.ballot, opened_at=env.time, vote_close=vote_close)


def build_ticket(state: State, env: Env, book: Book, task_id: TaskId) -> Ticket:
    """Return what the proofs of the newest draw are checked against now."""
    seats = book.round.seats
    manager = state.config.addresses.round_manager
    return Ticket(
        electorate=Electorate(
            total=book.draw.total_weight,
            members=book.round.validators,
            expected=EXPECTED_PER_SEAT * seats,
            cap=compute_cap(seats),
        ),
        alpha=draw_message(
            state.config.chain_id,
            manager,
            task_id,
            book.round.round,
            role=SEAT_ROLE,
            attempt=book.draw.attempt,
            seed=book.seed,
        ),
        epoch=compute_epoch(state.config, book.round.opened_at),
        stage=(env.time - book.draw.seeded_at) // book.task.seat_window,
    )


def enter_seats(
    book: Book, ticket: Ticket, entry: SeatProof, seats: list[int]
) -> tuple[list[int], Digest]:
    """Return the list with the seats that a proof wins, and its output if it was verified.

    A proof that wins no new seat is not verified: its output could be anything, and is zero here.
    Raises if its validator may not be drawn, the key is another, or the proof does not verify.
    """
    known = book.draw_keys.get(entry.place, DrawKey())
    if not any(known.key_hash) or known.active_from > ticket.epoch:
        raise NotDrawable(entry.place)
    if hash_key(entry.key)[:20] != known.key_hash:
        raise WrongKey(entry.place)
    if entry.place in book.heard:
        raise OwnProposal(book.proposal.proposer)
    output = compute_hinted_output(entry.proof)
    won = count_seats(ticket.electorate, known.weight, output, ticket.stage)
    longer = insert_seats(
        seats,
        [
            build_entry(compute_seat(output, index, entry.place), entry.place)
            for index in range(won)
        ],
        compute_capacity(book.round.seats),
    )
    if longer == seats:
        return seats, ZERO_DIGEST
    return longer, Digest(verify_hinted(entry.key, ticket.alpha, entry.proof))


def process_prove_seats(state: State, env: Env, call: ProveSeats) -> list[Event]:
    """Enter the seats that up to 32 proofs win; anybody may send them.

    Proofs that win no seat on the list are skipped, and zero stands for their outputs; if all are,
    the call is refused.
    """
    verify_bundle(len(call.proofs))
    book = verify_seat_phase(state, env, call.task_id, call.round)
    if not book.draw.is_seeded:
        raise NotSeeded
    ticket = build_ticket(state, env, book, call.task_id)
    seats, outputs = book.seats, []
    for entry in call.proofs:
        seats, output = enter_seats(book, ticket, entry, seats)
        outputs.append(output)
    if all(output == ZERO_DIGEST for output in outputs):
        raise NoSeat(call.proofs[0].place)
    record_seats(book, ticket, seats)
    places = tuple(entry.place for entry in call.proofs)
    word = pack_committee(book.committee)
    proven = SeatsProven(call.task_id, call.round, book.draw.attempt, places, tuple(outputs), word)
    return [proven]


def record_seats(book: Book, ticket: Ticket, seats: list[int]) -> None:
    """Seat the committee; a stage that fills it ends SEAT, and so does the last with a quorum."""
    size = book.round.seats
    book.seats = seats
    book.committee = seat_committee(seats, size)
    book.draw = replace(book.draw, entries=len(seats))
    if len(seats) < compute_quorum(size):
        return
    stages = STAGES if len(seats) < size else ticket.stage + 1
    opens = Timestamp(book.draw.seeded_at + stages * book.task.seat_window)
    vote_close = Timestamp(opens + book.task.vote_window)
    book.ballot = replace(book.ballot, opened_at=opens, vote_close=vote_close)


def remove_silent(
    state: State, env: Env, task_id: TaskId
) -> tuple[dict[int, int], int, list[Event]]:
    """Return who is left, the seats that are free now, and the penalties of those who had them."""
    book = state.books[task_id]
    silent = sorted(set(book.committee) - book.heard)
    left = {place: count for place, count in book.committee.items() if place in book.heard}
    events = [event for place in silent for event in rest(state, env, book, place)]
    return left, sum(book.committee[place] for place in silent), events


def replace_silent(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Seat the next on the list who had no seat in place of those who were silent."""
    book = state.books[task_id]
    committee, freed, events = remove_silent(state, env, task_id)
    out = book.heard | set(book.committee)
    for seat in book.seats[book.round.seats :]:
        place = get_place(seat)
        if freed and place not in out:
            committee[place] = 1
            out |= {place}
            freed -= 1
    book.committee = committee
    word = pack_committee(committee)
    replaced = SeatsReplaced(task_id, book.round.round, book.draw.attempt, word)
    return [*events, replaced]


def rest(state: State, env: Env, book: Book, place: int) -> list[Event]:
    """Keep a silent validator out of draws for some epochs, at a fixed penalty.

    Who came meanwhile to the place of one who left does not pay for him.
    """
    holder = book.holders[place]
    member = book.members.get(holder, Member())
    if not is_entitled(state.config, book.round, member, Role.VALIDATOR):
        return []
    known = book.draw_keys[place]
    active_from = Epoch(compute_epoch(state.config, env.time) + RESTING_EPOCHS)
    book.draw_keys[place] = replace(known, active_from=active_from, penalties=known.penalties + 1)
    return penalties.punish_silence(state, holder)

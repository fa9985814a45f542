"""JOIN, SHARES, SUBMIT and UNMASK: one record per agent and phase, direct or relayed.

A batch's signatures are not checked when it lands; whoever finds a false record voids it. A direct
record replaces a relayed one, never the other way.
"""

from flchain.chain.spec import agents, penalties
from flchain.chain.spec.masked_clock import (
    complete_phase,
    compute_schedule,
    get_anchor,
    get_masked_book,
    pack_places,
)
from flchain.chain.spec.masked_state import ENTITLING, RECORDED, Batch, MaskedBook
from flchain.chain.spec.rounds import get_phase, is_entitled
from flchain.chain.spec.signatures import verify_signed
from flchain.chain.spec.state import Env, State, get_book, get_round_key
from flchain.crypto.merkle import compute_listed_root, verify_proof
from flchain.crypto.signing import expand_signature
from flchain.protocol.calls import PinAnchor, PostRecord, RelayRecords, VoidRecord
from flchain.protocol.digests import chain_record, decode_bitmap, record_leaf
from flchain.protocol.eip712 import hash_record
from flchain.protocol.events import (
    AnchorPinned,
    Event,
    RecordPosted,
    RecordsRelayed,
    RecordVoided,
)
from flchain.protocol.records import Member, SignedRecord
from flchain.protocol.reverts import (
    AlreadyPosted,
    InvalidDigest,
    InvalidPlaces,
    NoRecords,
    NoSuchRecord,
    NotEntitled,
    NothingToRelay,
    NotOpenYet,
    NotRelayer,
    PlacesExhausted,
    RecordIsSound,
    SignatureInvalid,
    StaleView,
    TooLateToRelay,
    WrongPhase,
    WrongRound,
)
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Phase,
    Role,
    RoundId,
    TaskId,
    Timestamp,
)

MAX_PLACES = 1024


def verify_masked_round(state: State, task_id: TaskId, number: RoundId) -> MaskedBook:
    """Return the masked part of round `number`, or raise WrongRound unless it is the newest."""
    masked = get_masked_book(state, task_id)
    if masked.round != number:
        raise WrongRound(masked.round, number)
    return masked


def verify_unclosed(state: State, env: Env, task_id: TaskId, phase: Phase) -> None:
    """Raise WrongPhase unless the masked part has come to `phase` and its window has not ended."""
    masked = get_masked_book(state, task_id)
    if masked.phase != phase or env.time >= masked.closes_at:
        raise WrongPhase(phase, get_phase(state, task_id, env.time))


def verify_masked_phase(state: State, env: Env, task_id: TaskId, phase: Phase) -> MaskedBook:
    """Raise unless the masked part is in `phase` and its window has opened."""
    masked = get_masked_book(state, task_id)
    verify_unclosed(state, env, task_id, phase)
    if env.time < masked.opens_at:
        raise NotOpenYet(masked.opens_at)
    return masked


def verify_anchor(state: State, env: Env, task_id: TaskId, anchor: Digest) -> None:
    """Raise StaleView unless `anchor` is what records of the newest phase name."""
    expected = get_open_anchor(state, env, task_id)
    if anchor != expected:
        raise StaleView(expected, anchor)


def get_open_anchor(state: State, env: Env, task_id: TaskId) -> Digest:
    """Return the newest phase's anchor. Raises NotOpenYet in the block that closed the last."""
    masked = get_masked_book(state, task_id)
    anchor = get_anchor(masked, env)
    if anchor == ZERO_DIGEST:
        raise NotOpenYet(masked.opens_at)
    return anchor


def pin_anchor(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Fix the newest phase's anchor, once."""
    masked = state.masked[task_id]
    if masked.is_pinned:
        return []
    masked.anchor, masked.is_pinned = get_anchor(masked, env), True
    return [AnchorPinned(task_id, masked.round, masked.phase, masked.anchor)]


def verify_recording(state: State, env: Env, call: PostRecord | RelayRecords) -> MaskedBook:
    """Raise unless agents make records of the call's round and phase now."""
    verify_masked_round(state, call.task_id, call.round)
    if call.phase not in RECORDED:
        raise NoRecords(call.phase)
    return verify_masked_phase(state, env, call.task_id, call.phase)


def find_entitled(state: State, task_id: TaskId, agent: Address) -> int:
    """Return the place of an agent that may make a record now, or raise what forbids it.

    An agent without a place takes the next one when it joins.
    """
    book, masked = state.books[task_id], state.masked[task_id]
    place = masked.find_place(agent)
    if masked.phase == Phase.JOIN:
        member = book.members.get(agent, Member())
        if not is_entitled(state.config, book.round, member, Role.AGENT):
            raise NotEntitled(agent)
        if place is None and len(masked.holders) == MAX_PLACES:
            raise PlacesExhausted(task_id)
        return len(masked.holders) if place is None else place
    if place is None or place not in masked.get_set(ENTITLING[masked.phase]):
        raise NotEntitled(agent)
    return place


def process_post_record(state: State, env: Env, call: PostRecord) -> list[Event]:
    """Record the sender's digest, once per phase for ever; it replaces a relayed one."""
    masked = verify_recording(state, env, call)
    verify_anchor(state, env, call.task_id, call.anchor)
    if call.digest == ZERO_DIGEST:
        raise InvalidDigest(call.digest)
    place = find_entitled(state, call.task_id, env.sender)
    held, relayed = masked.get_set(call.phase), masked.get_relayed(call.phase)
    if place in held - relayed:
        raise AlreadyPosted(env.sender)
    pinned = pin_anchor(state, env, call.task_id)
    if place == len(masked.holders):
        masked.holders.append(env.sender)
    masked.sets[call.phase] = held | {place}
    masked.relayed[call.phase] = relayed - {place}
    masked.count += place not in held
    masked.commitment = chain_record(masked.commitment, env.sender, call.digest, place)
    posted = RecordPosted(call.task_id, call.round, env.sender, call.phase, place, call.digest)
    return [*pinned, posted, *complete_phase(state, env, call.task_id)]


def verify_relayer(state: State, env: Env, call: RelayRecords) -> None:
    """Raise unless the sender is a proposer in good standing and early enough."""
    if not agents.is_eligible(state, env.sender, Role.PROPOSER):
        raise NotRelayer(env.sender)
    task, masked = get_book(state, call.task_id).task, get_masked_book(state, call.task_id)
    latest = Timestamp(compute_schedule(task, masked) - task.forced_window)
    if env.time > latest:
        raise TooLateToRelay(latest)


def match_records(masked: MaskedBook, call: RelayRecords) -> list[tuple[int, SignedRecord]]:
    """Return the records with their places, or raise InvalidPlaces."""
    places = sorted(decode_bitmap(call.places))
    total = len(masked.holders)
    is_sound = pack_places(masked, frozenset(p for p in places if p < total)) == call.places
    if not is_sound or len(places) != len(call.records):
        raise InvalidPlaces(total)
    return list(zip(places, call.records, strict=True))


def select_new(
    masked: MaskedBook, records: list[tuple[int, SignedRecord]]
) -> list[tuple[int, SignedRecord]]:
    """Return the records whose places have a part in this phase and no record yet."""
    phase = masked.phase
    taken = masked.get_set(phase) | masked.get_relayed(phase)
    is_join = phase == Phase.JOIN
    entitled = frozenset() if is_join else masked.get_set(ENTITLING[phase])
    return [
        (place, record)
        for place, record in records
        if place not in taken and (is_join or place in entitled)
    ]


def process_relay_records(state: State, env: Env, call: RelayRecords) -> list[Event]:
    """Record a batch without checking its signatures; places that have a record are skipped."""
    masked = verify_recording(state, env, call)
    verify_relayer(state, env, call)
    verify_anchor(state, env, call.task_id, call.anchor)
    new = select_new(masked, match_records(masked, call))
    if not new:
        raise NothingToRelay
    pinned = pin_anchor(state, env, call.task_id)
    root = compute_listed_root([record_leaf(call.anchor, *entry) for entry in new])
    added, number = frozenset(place for place, _ in new), len(masked.batches)
    masked.batches.append(Batch(call.phase, root, env.sender))
    masked.sets[call.phase] = masked.get_set(call.phase) | added
    masked.relayed[call.phase] = masked.get_relayed(call.phase) | added
    masked.count += len(new)
    masked.commitment = chain_record(masked.commitment, env.sender, root, number)
    masked.relayed_at = env.time
    relayed = RecordsRelayed(
        call.task_id,
        call.round,
        env.sender,
        call.phase,
        number,
        root,
        call.places,
        pack_places(masked, added),
        call.records,
    )
    return [*pinned, relayed, *complete_phase(state, env, call.task_id)]


def find_batch(state: State, env: Env, call: VoidRecord) -> Batch:
    """Return the batch whose record is in force and may still be voided, or raise."""
    masked = verify_masked_round(state, call.task_id, call.round)
    if call.batch >= len(masked.batches):
        raise NoSuchRecord(call.batch, call.place)
    batch = masked.batches[call.batch]
    is_late = batch.phase == Phase.SUBMIT and masked.phase == Phase.ATTEST
    if not is_late:
        verify_masked_phase(state, env, call.task_id, batch.phase)
    elif env.time >= masked.closes_at:
        raise WrongPhase(batch.phase, get_phase(state, call.task_id, env.time))
    leaf = record_leaf(call.anchor, call.place, call.record)
    in_force = masked.get_set(batch.phase) & masked.get_relayed(batch.phase)
    if call.place not in in_force or not verify_proof(batch.root, leaf, call.proof):
        raise NoSuchRecord(call.batch, call.place)
    return batch


def is_own(state: State, call: VoidRecord, phase: Phase) -> bool:
    """Return whether a relayed record is its agent's."""
    agent = state.masked[call.task_id].holders[call.place]
    key = get_round_key(state.config, call.task_id, call.round)
    signed = hash_record(key, phase, call.anchor, call.record.digest)
    try:
        signature = expand_signature(call.record.r, call.record.vs)
        contract = state.config.addresses.masked_rounds
        verify_signed(state.config, contract, agent, signed, signature)
    except SignatureInvalid:
        return False
    return call.record.digest != ZERO_DIGEST


def may_join(state: State, call: VoidRecord) -> bool:
    """Return whether the agent of a relayed JOIN may make it now."""
    book, agent = state.books[call.task_id], state.masked[call.task_id].holders[call.place]
    member = book.members.get(agent, Member())
    return is_entitled(state.config, book.round, member, Role.AGENT)


def process_void_record(state: State, env: Env, call: VoidRecord) -> list[Event]:
    """Remove a false record and punish its relayer, once for each batch; anybody may send this.

    A JOIN by somebody who signed it and is not entitled is removed, and nobody punished: it may
    have left the task since.
    """
    batch = find_batch(state, env, call)
    is_signed = is_own(state, call, batch.phase)
    if is_signed and (batch.phase != Phase.JOIN or may_join(state, call)):
        raise RecordIsSound(call.place)
    masked = state.masked[call.task_id]
    agent = masked.holders[call.place]
    masked.sets[batch.phase] = masked.get_set(batch.phase) - {call.place}
    masked.count -= 1
    masked.commitment = chain_record(masked.commitment, agent, ZERO_DIGEST, call.place)
    if masked.phase == batch.phase:
        # The phase is not complete any more: the agent has its whole window for a direct record.
        masked.closes_at = compute_schedule(state.books[call.task_id].task, masked)
    voided = RecordVoided(call.task_id, call.round, agent, batch.phase, call.batch, call.place)
    if is_signed or batch.relayer == ZERO_ADDRESS:
        return [voided]
    relayer, batch.relayer = batch.relayer, ZERO_ADDRESS
    return [voided, *penalties.punish_offence(state, relayer, env.sender)]


def process_pin_anchor(state: State, env: Env, call: PinAnchor) -> list[Event]:
    """Fix the newest phase's anchor, if need be before it opens; anybody may send this.

    The block hash in it is forgotten after 256 blocks. Repeating it does nothing.
    """
    verify_unclosed(state, env, call.task_id, get_masked_book(state, call.task_id).phase)
    get_open_anchor(state, env, call.task_id)
    return pin_anchor(state, env, call.task_id)

"""CHECK and ATTEST: complaints about shares, and which blobs the validators hold and verified."""

from flchain.chain.spec.masked_clock import complete_phase, pack_places
from flchain.chain.spec.masked_records import (
    pin_anchor,
    verify_anchor,
    verify_masked_phase,
    verify_masked_round,
)
from flchain.chain.spec.masked_state import ATTESTED, ENTITLING, MaskedBook
from flchain.chain.spec.rounds import verify_bundle, verify_validator
from flchain.chain.spec.signatures import verify_signed
from flchain.chain.spec.state import Env, State, get_book, get_round_key
from flchain.protocol.calls import AttestRecords, AttestRecordsBundle, Complain
from flchain.protocol.digests import decode_bitmap, encode_bitmap
from flchain.protocol.eip712 import hash_masked_attestation
from flchain.protocol.events import ComplaintPosted, Event, RecordsAttested
from flchain.protocol.records import Task
from flchain.protocol.reverts import (
    AlreadyAccused,
    AlreadyAttested,
    ComplaintsClosed,
    InvalidBitmap,
    InvalidDigest,
    NoRecords,
    NotAccusable,
    NotEntitled,
    NotOpenYet,
)
from flchain.protocol.types import ZERO_DIGEST, Address, Bitmap, Phase, TaskId, Timestamp


def compute_complaint_close(task: Task, masked: MaskedBook) -> Timestamp:
    """Return when complaints end and attestations of shares begin."""
    return Timestamp(masked.opens_at + task.forced_window)


def verify_complaint(state: State, env: Env, call: Complain) -> int:
    """Return the sender's place, or raise unless it may accuse another one of its peers now."""
    verify_masked_round(state, call.task_id, call.round)
    masked = verify_masked_phase(state, env, call.task_id, Phase.CHECK)
    closes_at = compute_complaint_close(get_book(state, call.task_id).task, masked)
    if env.time >= closes_at:
        raise ComplaintsClosed(closes_at)
    verify_anchor(state, env, call.task_id, call.anchor)
    place, senders = masked.find_place(env.sender), masked.get_set(Phase.SHARES)
    if place is None or place not in senders:
        raise NotEntitled(env.sender)
    if call.accused == place or call.accused not in senders:
        raise NotAccusable(call.accused)
    if call.digest == ZERO_DIGEST:
        raise InvalidDigest(call.digest)
    if (place, call.accused) in masked.complaints:
        raise AlreadyAccused(call.accused)
    return place


def process_complain(state: State, env: Env, call: Complain) -> list[Event]:
    """Record the digest of the evidence against a sender of shares."""
    place = verify_complaint(state, env, call)
    pinned = pin_anchor(state, env, call.task_id)
    state.masked[call.task_id].complaints.add((place, call.accused))
    posted = ComplaintPosted(call.task_id, call.round, env.sender, call.accused, call.digest)
    return [*pinned, posted]


def verify_attesting(
    state: State, env: Env, call: AttestRecords | AttestRecordsBundle
) -> MaskedBook:
    """Raise unless validators attest in the call's phase now: in CHECK after the complaints."""
    verify_masked_round(state, call.task_id, call.round)
    if call.phase not in ATTESTED:
        raise NoRecords(call.phase)
    masked = verify_masked_phase(state, env, call.task_id, call.phase)
    opens_at = compute_complaint_close(get_book(state, call.task_id).task, masked)
    if call.phase == Phase.CHECK and env.time < opens_at:
        raise NotOpenYet(opens_at)
    verify_anchor(state, env, call.task_id, call.anchor)
    return masked


def verify_places(masked: MaskedBook, bitmap: Bitmap) -> None:
    """Raise InvalidBitmap unless it has the right length and names places with a record alone."""
    known = masked.get_set(ENTITLING[masked.phase])
    if pack_places(masked, decode_bitmap(bitmap) & known) != bitmap:
        raise InvalidBitmap(len(masked.holders))


def attest(masked: MaskedBook, task_id: TaskId, validator: Address, bitmap: Bitmap) -> list[Event]:
    """Add to the blobs that a validator holds; nothing new gives no event."""
    attested = masked.attestations.setdefault(masked.phase, {})
    held = attested.get(validator, frozenset())
    added = decode_bitmap(bitmap) - held
    if validator in attested and not added:
        return []
    attested[validator] = held | added
    new = encode_bitmap(added, len(masked.holders))
    return [RecordsAttested(task_id, masked.round, validator, masked.phase, new)]


def process_attest_records(state: State, env: Env, call: AttestRecords) -> list[Event]:
    """Attest the blobs of some places; attestations add up, one that adds nothing is refused."""
    masked = verify_attesting(state, env, call)
    verify_validator(state.config, state.books[call.task_id], env.sender)
    verify_places(masked, call.bitmap)
    held = masked.attestations.get(call.phase, {}).get(env.sender)
    if held is not None and decode_bitmap(call.bitmap) <= held:
        raise AlreadyAttested(env.sender)
    events = pin_anchor(state, env, call.task_id)
    events += attest(masked, call.task_id, env.sender, call.bitmap)
    return events + complete_phase(state, env, call.task_id)


def process_attest_records_bundle(state: State, env: Env, call: AttestRecordsBundle) -> list[Event]:
    """Record up to 32 signed attestations; an invalid one refuses the whole bundle."""
    verify_bundle(len(call.attestations))
    masked = verify_attesting(state, env, call)
    key = get_round_key(state.config, call.task_id, call.round)
    contract = state.config.addresses.masked_rounds
    for entry in call.attestations:
        signed = hash_masked_attestation(key, call.phase, call.anchor, entry.bitmap)
        verify_signed(state.config, contract, entry.validator, signed, entry.signature)
        verify_validator(state.config, state.books[call.task_id], entry.validator)
        verify_places(masked, entry.bitmap)
    events = pin_anchor(state, env, call.task_id)
    for entry in call.attestations:
        events += attest(masked, call.task_id, entry.validator, entry.bitmap)
    return events + complete_phase(state, env, call.task_id)

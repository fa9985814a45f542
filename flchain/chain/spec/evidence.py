"""Offences that outlive their round: two votes for one attempt, and a vote without the work.

An offence costs stake; it never takes back a version or a payout.
"""

from eth_utils.crypto import keccak

from flchain.chain.spec import penalties
from flchain.chain.spec.committees import get_weight, pack_committee
from flchain.chain.spec.rounds import get_phase
from flchain.chain.spec.signatures import verify_signed
from flchain.chain.spec.state import Book, Env, State, get_book, get_round_key
from flchain.crypto.signing import expand_signature
from flchain.protocol.calls import AuditVote, ReportDoubleVote
from flchain.protocol.digests import compute_quorum, encode_abi
from flchain.protocol.eip712 import hash_vote
from flchain.protocol.events import Event, OffencePunished, VoteAudited
from flchain.protocol.records import Audit, Member
from flchain.protocol.reverts import (
    AlreadyAudited,
    AlreadyPunished,
    NoOffence,
    NotEntitled,
    SignatureInvalid,
)
from flchain.protocol.types import ZERO_ADDRESS, Address, Digest, Phase, Role, TaskId

AUDITED_IN = 10
"""One vote in so many is audited."""
AUDIT_LABEL = "flchain.audit.v1"


def is_audited(seed: Digest, key: Digest, attempt: int, validator: Address) -> bool:
    """Return whether the newest draw's seed picks a vote of an earlier attempt for audit."""
    types = ("string", "bytes32", "bytes32", "uint8", "address")
    digest = keccak(encode_abi(types, (AUDIT_LABEL, seed, key, attempt, validator)))
    return int.from_bytes(digest, "big") % AUDITED_IN == 0


def process_report_double_vote(state: State, env: Env, call: ReportDoubleVote) -> list[Event]:
    """Punish a validator that signed two different votes for one attempt; anybody may report."""
    validator = call.first.validator
    key = get_round_key(state.config, call.task_id, call.round)
    hashes = [hash_vote(key, call.attempt, signed.vote) for signed in (call.first, call.second)]
    if call.second.validator != validator or hashes[0] == hashes[1]:
        raise NoOffence(validator)
    for signed, digest in zip((call.first, call.second), hashes, strict=True):
        signature = expand_signature(signed.r, signed.vs)
        try:
            manager = state.config.addresses.round_manager
            verify_signed(state.config, manager, validator, digest, signature)
        except SignatureInvalid:
            raise NoOffence(validator) from None
    values = (key, call.attempt, validator)
    offence = Digest(keccak(encode_abi(("bytes32", "uint8", "address"), values)))
    return punish(state, call.task_id, validator, offence, env.sender)


def process_audit_vote(state: State, env: Env, call: AuditVote) -> list[Event]:
    """Say, as a member of the newest committee, that an audited vote's tag is wrong.

    A quorum of seats that found the same other tag punishes the validator.
    """
    finding = call.finding
    book = get_book(state, call.task_id)
    verify_settled(state, env, call.task_id)
    place, weight = verify_auditor(book, env.sender)
    key = get_round_key(state.config, call.task_id, finding.round)
    verify_finding(book, key, finding)
    # Seats are added up within one draw alone.
    audit = (finding, book.draw.round, book.draw.attempt)
    if place in (known := book.audits.get(audit, {})):
        raise AlreadyAudited(env.sender)
    auditors = {**known, place: weight}
    punished: list[Event] = []
    if sum(auditors.values()) >= compute_quorum(book.round.seats):
        values = (key, finding.attempt, finding.validator, "tag")
        types = ("bytes32", "uint8", "address", "string")
        offence = Digest(keccak(encode_abi(types, values)))
        punished = punish(state, call.task_id, finding.validator, offence, ZERO_ADDRESS)
    book.audits[audit] = auditors
    audited = VoteAudited(call.task_id, finding.round, finding.validator, env.sender, finding)
    return [audited, *punished]


def verify_settled(state: State, env: Env, task_id: TaskId) -> None:
    """Raise NotEntitled during SEAT, when a place on the list may still be lost."""
    if get_phase(state, task_id, env.time) == Phase.SEAT:
        raise NotEntitled(env.sender)


def verify_auditor(book: Book, auditor: Address) -> tuple[int, int]:
    """Return place and seats of a member of the newest committee, or raise NotEntitled."""
    member = book.members.get(auditor, Member())
    is_drawn = book.round.seats != 0 and book.draw.entries != 0 and member.role == Role.VALIDATOR
    weight = get_weight(pack_committee(book.committee), member.place) if is_drawn else 0
    if weight == 0 or book.holders.get(member.place) != auditor:
        raise NotEntitled(auditor)
    return member.place, weight


def verify_finding(book: Book, key: Digest, finding: Audit) -> None:
    """Raise NoOffence unless an earlier, audited vote is said to claim another tag than found."""
    voted = (finding.round, finding.attempt)
    is_earlier = voted < (book.draw.round, book.draw.attempt)
    is_chosen = is_audited(book.seed, key, finding.attempt, finding.validator)
    if not is_earlier or not is_chosen or finding.claimed == finding.found:
        raise NoOffence(finding.validator)


def punish(
    state: State, task_id: TaskId, validator: Address, offence: Digest, reporter: Address
) -> list[Event]:
    """Punish an offence, once."""
    book = get_book(state, task_id)
    if book.members.get(validator, Member()).role == 0:
        raise NotEntitled(validator)
    if offence in book.offences:
        raise AlreadyPunished(validator)
    book.offences.add(offence)
    punished = OffencePunished(task_id, validator, offence, reporter)
    return [punished, *penalties.punish_offence(state, validator, reporter)]

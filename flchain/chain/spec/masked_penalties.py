"""What agents pay for a missed step, a failed complaint and two records in one phase."""

from eth_utils.crypto import keccak

from flchain.chain.spec import penalties
from flchain.chain.spec.masked_records import verify_masked_round
from flchain.chain.spec.masked_state import ENTITLING, RECORDED, MaskedBook
from flchain.chain.spec.rounds import verify_bundle
from flchain.chain.spec.signatures import verify_signed
from flchain.chain.spec.state import Env, State, get_book, get_round_key
from flchain.crypto.signing import expand_signature
from flchain.protocol.calls import PunishComplaint, PunishMissing, ReportEquivocation
from flchain.protocol.digests import encode_abi
from flchain.protocol.eip712 import hash_record
from flchain.protocol.events import AgentMissed, EquivocationPunished, Event
from flchain.protocol.records import Member
from flchain.protocol.reverts import (
    AlreadyPunished,
    NoOffence,
    NotEntitled,
    NothingMissed,
    SignatureInvalid,
)
from flchain.protocol.types import Digest, Phase, TaskId

MISSABLE = (Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)


def get_missing(masked: MaskedBook, phase: Phase) -> frozenset[int]:
    """Return the places that missed their step in a phase that is over.

    Nobody checked the signature of who joined with a batch: for SHARES it owes nothing.
    """
    if phase not in MISSABLE or masked.closed < phase:
        return frozenset()
    missing = masked.get_set(ENTITLING[phase]) - masked.get_set(phase)
    return missing - (masked.get_relayed(Phase.JOIN) if phase == Phase.SHARES else frozenset())


def punish(state: State, task_id: TaskId, place: int, phase: Phase) -> list[Event]:
    """Burn the fixed penalty of one round, once."""
    masked = state.masked[task_id]
    masked.punished.add(place)
    agent = masked.holders[place]
    missed = AgentMissed(task_id, masked.round, agent, phase)
    return [missed, *penalties.punish_silence(state, agent)]


def process_punish_missing(state: State, _env: Env, call: PunishMissing) -> list[Event]:
    """Burn the penalty of up to 32 agents; anybody may send this until the next round opens."""
    verify_bundle(len(call.places))
    masked = verify_masked_round(state, call.task_id, call.round)
    missing, seen = get_missing(masked, call.phase), set(masked.punished)
    for place in call.places:
        if place not in missing or place in seen:
            raise NothingMissed(place)
        seen.add(place)
    return [
        event for place in call.places for event in punish(state, call.task_id, place, call.phase)
    ]


def process_punish_complaint(state: State, _env: Env, call: PunishComplaint) -> list[Event]:
    """Burn the penalty of who accused a sender that the validators kept."""
    masked = verify_masked_round(state, call.task_id, call.round)
    has_failed = (
        masked.closed >= Phase.CHECK
        and (call.accuser, call.accused) in masked.complaints
        and call.accused in masked.get_set(Phase.CHECK)
    )
    if not has_failed or call.accuser in masked.punished:
        raise NothingMissed(call.accuser)
    return punish(state, call.task_id, call.accuser, Phase.CHECK)


def verify_equivocation(state: State, call: ReportEquivocation) -> Digest:
    """Return the offence, or raise NoOffence unless the agent signed two different records."""
    key = get_round_key(state.config, call.task_id, call.round)
    records = (call.first, call.second)
    hashes = [hash_record(key, call.phase, one.anchor, one.digest) for one in records]
    if call.phase not in RECORDED or hashes[0] == hashes[1]:
        raise NoOffence(call.agent)
    for record, digest in zip(records, hashes, strict=True):
        signature = expand_signature(record.r, record.vs)
        try:
            contract = state.config.addresses.masked_rounds
            verify_signed(state.config, contract, call.agent, digest, signature)
        except SignatureInvalid:
            raise NoOffence(call.agent) from None
    values = (key, call.phase, call.agent)
    return Digest(keccak(encode_abi(("bytes32", "uint8", "address"), values)))


def process_report_equivocation(state: State, env: Env, call: ReportEquivocation) -> list[Event]:
    """Punish an agent that signed two different records for one phase of one round, once."""
    offence = verify_equivocation(state, call)
    book = get_book(state, call.task_id)
    if book.members.get(call.agent, Member()).role == 0:
        raise NotEntitled(call.agent)
    offences = state.masked_offences
    if offence in offences:
        raise AlreadyPunished(call.agent)
    offences.add(offence)
    punished = EquivocationPunished(call.task_id, call.agent, offence, env.sender)
    return [punished, *penalties.punish_offence(state, call.agent, env.sender)]

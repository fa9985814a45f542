"""Signed records on offer: what an agent publishes for a relayer to take to the chain.

An offer is a small document under a pin of its agent's own, one for each phase. It is worth
nothing to anybody but a relayer: the digest in it is about to stand on the chain anyway.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flchain.chain.spec.masked_clock import get_window
from flchain.chain.spec.masked_state import RECORDED
from flchain.crypto.signing import expand_signature, verify_signature
from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_record
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import MaskedRound, SignedRecord, Task
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Phase,
    RoundId,
    TaskId,
    Timestamp,
)
from flchain.roles.archive import seal_payload
from flchain.roles.context import Context
from flchain.roles.terms import Terms

FORMAT = "flchain-record-v1"
MAX_OFFER = 1 << 10
"""Bytes of the largest offer; they have about 400."""
_KEYS = ("anchor", "digest", "r", "vs")
_WORD = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Offer:
    """A record of one phase with its agent's signature, and the view that it was made under."""

    phase: Phase
    anchor: Digest
    record: SignedRecord


def compute_latest_relay(task: Task, masked: MaskedRound) -> Timestamp:
    """Return when the rest of the newest phase's window begins to belong to direct records."""
    closes_at = masked.opens_at + get_window(task, masked.phase)
    return Timestamp(closes_at - task.forced_window)


def compute_record_digest(
    context: Context, number: RoundId, phase: Phase, anchor: Digest, digest: Digest
) -> Digest:
    """Return the 32 bytes that an agent signs for a record."""
    domain = Domain(context.ledger.chain_id, context.ledger.addresses.masked_rounds)
    key = context.get_round_key(number)
    return compute_signing_digest(domain, hash_record(key, phase, anchor, digest))


def is_signed(context: Context, number: RoundId, offer: Offer, agent: Address) -> bool:
    """Return whether a record is this agent's and has a digest."""
    record = offer.record
    signed = compute_record_digest(context, number, offer.phase, offer.anchor, record.digest)
    signature = expand_signature(record.r, record.vs)
    return record.digest != ZERO_DIGEST and verify_signature(agent, signed, signature)


def publish_offer(context: Context, terms: Terms, number: RoundId, offer: Offer) -> None:
    """Store this account's offer where relayers look."""
    account = context.signer.address
    sealed = seal_payload(
        encode_offer(offer),
        kind="report",
        dtype="json",
        round_key=context.get_round_key(number),
        agent=account,
        policy_digest=terms.task.policy_digest,
    )
    context.archive.publish(sealed, _name_pins(context.task_id, number, offer.phase) + account)


def withdraw_offers(context: Context) -> None:
    """Unpin this account's offers of all rounds."""
    for pin in list(context.store.pins(_name_task_pins(context.task_id))):
        if pin.name.endswith(f"/{context.signer.address}"):
            context.store.unpin(pin.name)


def list_offers(
    context: Context, number: RoundId, phase: Phase
) -> Iterator[tuple[Address, Digest]]:
    """Yield whose offer each pinned block may be, and its digest; nothing of it is checked."""
    prefix = _name_pins(context.task_id, number, phase)
    for pin in context.store.pins(prefix):
        yield Address(pin.name.removeprefix(prefix)), pin.cid.digest


def fetch_offer(
    context: Context, terms: Terms, number: RoundId, agent: Address, digest: Digest
) -> Offer | None:
    """Return an agent's offer, not yet verified; None if the block is something else.

    Raises ContentUnavailable or ContentCorrupt if it can't be had here.
    """
    try:
        payload = context.archive.fetch(
            digest,
            max_size=MAX_OFFER,
            kind="report",
            round_key=context.get_round_key(number),
            agent=agent,
            policy_digest=terms.task.policy_digest,
        )
        return decode_offer(payload)
    except EncodingError:
        return None


def encode_offer(offer: Offer) -> bytes:
    """Return the document."""
    record = offer.record
    values = (offer.anchor, record.digest, record.r, record.vs)
    document: dict[str, CanonicalValue] = {
        name: value.hex() for name, value in zip(_KEYS, values, strict=True)
    }
    return encode_canonical({"format": FORMAT, "phase": int(offer.phase), **document})


def decode_offer(data: bytes) -> Offer:
    """Read an untrusted document. Raises EncodingError."""
    document = decode_canonical(data, max_size=MAX_OFFER)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise EncodingError(f"record: not a {FORMAT} document")
    if document.keys() != {"format", "phase", *_KEYS}:
        raise EncodingError("record: keys are missing, or there are others")
    phase = document["phase"]
    if type(phase) is not int or phase not in RECORDED:
        raise EncodingError("record: the phase is none in which agents make records")
    anchor, digest, r, vs = (_decode_word(name, document[name]) for name in _KEYS)
    return Offer(Phase(phase), Digest(anchor), SignedRecord(Digest(digest), r, vs))


def _decode_word(name: str, value: CanonicalValue) -> bytes:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise EncodingError(f"record: {name} is not 32 bytes in lower-case hex")
    return bytes.fromhex(value)


def _name_task_pins(task_id: TaskId) -> str:
    return f"task/{task_id}/record/"


def _name_pins(task_id: TaskId, number: RoundId, phase: Phase) -> str:
    """Return what the names of a phase's offers begin with; the account follows."""
    return f"{_name_task_pins(task_id)}{number}/{phase.name.lower()}/"

"""Validators' signed scores on their way into a round's rewards.

A validator that holds all updates of a round measures what each contributed, signs that and
publishes it under its own pin, before it attests: once everybody has attested, everybody's scores
are there. The proposer takes what it finds into the round's record, signatures and all. Whoever
executes the round again takes the scores from the proposal's record and counts only those of
validators that attested, validly signed; the rest is integers. A proposal whose record can't be
had is one whose data are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from eth_utils.address import is_checksum_address

from flchain.crypto.signing import SIGNATURE_SIZE, verify_signature
from flchain.learning.aggregation import count_updates
from flchain.learning.aggregators import uses_scores
from flchain.learning.aggregators.scoring import choose_probe
from flchain.learning.contribution import Proposal, find_copies, measure_contributions
from flchain.learning.data import Dataset
from flchain.learning.parameters import Float32, State, to_float
from flchain.learning.randomness import derive_generator
from flchain.learning.training import Trainer
from flchain.protocol.canonical import decode_canonical, encode_canonical
from flchain.protocol.contribution import METHODS, SignedScores, compute_scores_digest
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_scores
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.events import ProposalSubmitted, UpdateSubmitted
from flchain.protocol.policy import WHOLE_BPS
from flchain.protocol.types import Address, Bps, Digest, RoundId, Signature, TaskId
from flchain.roles.archive import Archive, MalformedPayload, seal_payload
from flchain.roles.context import Context
from flchain.roles.execution import (
    MAX_RECORD_SIZE,
    LedgerIds,
    build_submission,
    encode_scores,
    read_update,
)
from flchain.roles.history import RoundPast, TaskPast
from flchain.roles.terms import Terms

FORMAT = "flchain-scores-v1"


@dataclass(frozen=True)
class Judge:
    """What a validator scores a round with: the round's parent model, and data of its own."""

    trainer: Trainer
    held_out: Dataset
    parent: State
    past: TaskPast
    number: RoundId


def is_scored(terms: Terms) -> bool:
    """Return whether the task's rewards depend on scores."""
    return terms.policy.rewards.contribution != METHODS[0]


def name_scores_pin(task_id: TaskId, number: RoundId, account: str) -> str:
    """Return the name that keeps a validator's scores of a round."""
    return f"task/{task_id}/scores/{number}/{account}"


def publish_scores(
    context: Context,
    terms: Terms,
    judge: Judge,
    held: Sequence[UpdateSubmitted],
) -> None:
    """Measure, sign and store what each update held contributed."""
    number, key = judge.number, context.get_round_key(judge.number)
    scores = _measure(context, terms, judge, held)
    digest = compute_scores_digest(scores)
    signature = context.signer.sign_digest(_compute_digest(context.ids, key, digest))
    signed = SignedScores(context.signer.address, scores, signature)
    sealed = seal_payload(
        encode_canonical({"format": FORMAT, "scores": encode_scores((signed,))}),
        kind="report",
        dtype="json",
        round_key=key,
        agent=context.signer.address,
        policy_digest=terms.task.policy_digest,
    )
    context.archive.publish(sealed, name_scores_pin(context.task_id, number, signed.validator))


def gather_scores(context: Context, terms: Terms, past: RoundPast) -> tuple[SignedScores, ...]:
    """Return the valid scores of a round that this role's store knows of, for a proposal."""
    if not is_scored(terms):
        return ()
    number = past.opened.round
    found: dict[Address, SignedScores] = {}
    for pin in context.store.pins(name_scores_pin(context.task_id, number, "")):
        for signed in _read_document(context.archive, pin.cid.digest):
            if _is_valid(context.ids, context.get_round_key(number), past, signed):
                found[signed.validator] = signed
    return tuple(found[account] for account in sorted(found))


def read_recorded_scores(
    archive: Archive,
    terms: Terms,
    past: RoundPast,
    proposal: ProposalSubmitted,
    origin: tuple[LedgerIds, Digest],
) -> tuple[SignedScores, ...]:
    """Return the scores that a proposal's record holds; none if one of them is not as it must be.

    `origin` is what signatures bind: chain and distributor, and the round's key.
    Raises ContentUnavailable or ContentCorrupt if the record can't be had here.
    """
    if not is_scored(terms):
        return ()
    try:
        payload = archive.fetch(
            proposal.content.aggregate_root, max_size=MAX_RECORD_SIZE, kind="report"
        )
        document = decode_canonical(payload, max_size=MAX_RECORD_SIZE)
        rows = document.get("scores") if isinstance(document, dict) else None
        signed = decode_scores(rows)
    except (MalformedPayload, EncodingError):
        return ()
    accounts = [item.validator for item in signed]
    is_ordered = accounts == sorted(set(accounts))
    if not is_ordered or not all(_is_valid(*origin, past, item) for item in signed):
        return ()
    return signed


def decode_scores(rows: object) -> tuple[SignedScores, ...]:
    """Read untrusted scores. Raises EncodingError."""
    if not isinstance(rows, list):
        raise EncodingError("scores: not a list")
    return tuple(_decode_row(row) for row in rows)


def _decode_row(row: object) -> SignedScores:
    match row:
        case [str(account), list(pairs), str(text)] if is_checksum_address(account):
            scores = tuple(_decode_pair(pair) for pair in pairs)
        case _:
            raise EncodingError("scores: a row is not [validator, scores, signature]")
    indices = [index for index, _ in scores]
    if indices != sorted(set(indices)) or len(text) != 2 * SIGNATURE_SIZE:
        raise EncodingError("scores: indices do not rise, or the signature is not 65 bytes")
    try:
        return SignedScores(Address(account), scores, Signature(bytes.fromhex(text)))
    except ValueError as error:
        raise EncodingError("scores: the signature is not hex") from error


def _decode_pair(pair: object) -> tuple[int, Bps]:
    match pair:
        case [int(index), int(score)] if (
            index >= 0 and 0 <= score <= WHOLE_BPS and bool not in {type(index), type(score)}
        ):
            return index, Bps(score)
        case _:
            raise EncodingError("scores: an entry is not [index, basis points]")


def _measure(
    context: Context,
    terms: Terms,
    judge: Judge,
    held: Sequence[UpdateSubmitted],
) -> tuple[tuple[int, Bps], ...]:
    key = context.get_round_key(judge.number)
    submissions = [build_submission(terms, key, item, context.archive) for item in held]
    weights = count_updates(submissions, terms.policy, key)
    unit, size = np.float32(2.0**-terms.policy.update.shift), terms.policy.model.parameters
    deltas = np.zeros((len(held), size), np.float32)
    for place, item in enumerate(held):
        if weights[place]:
            update = read_update(terms, key, item, context.archive)
            deltas[place] = update.sections["delta"] * unit
    start = to_float(judge.parent.sections["params"])
    earlier = _read_earlier(context, terms, judge.past, RoundId(judge.number - 1))
    copies = find_copies(deltas, [item.agent for item in held], earlier)
    proposal = Proposal(start, deltas, weights, terms.policy.model.layers, copies)
    rng = derive_generator(terms.policy.seed, "scores", key.hex(), context.signer.address.lower())
    method = terms.policy.rewards.contribution
    probe = _choose_probe(terms, judge.held_out, rng)
    points = measure_contributions(method, proposal, judge.trainer, probe, rng)
    return tuple(sorted((item.index, score) for item, score in zip(held, points, strict=True)))


def _choose_probe(terms: Terms, held_out: Dataset, rng: np.random.Generator) -> Dataset:
    """Return the rows to measure on: as many as a rule that goes by scores asks for, or all."""
    if not uses_scores(terms.policy.aggregator.name):
        return held_out
    size = terms.policy.aggregator.get("probe_size")
    return choose_probe(held_out, min(size, len(held_out)), rng)


def _read_earlier(
    context: Context, terms: Terms, task: TaskPast, number: RoundId
) -> dict[str, Float32]:
    """Return the updates of an earlier round that can be had, by agent."""
    key = context.get_round_key(number)
    found: dict[str, Float32] = {}
    past = task.rounds.get(number)
    for item in past.submissions if past else ():
        try:
            update = read_update(terms, key, item, context.archive)
        except (AdapterError, EncodingError, ProofError):
            continue
        found[item.agent] = update.sections["delta"].astype(np.float32)
    return found


def _read_document(archive: Archive, digest: Digest) -> tuple[SignedScores, ...]:
    """Return the scores behind a pinned block; none if it is something else or damaged."""
    try:
        payload = archive.fetch(digest, max_size=MAX_RECORD_SIZE, kind="report")
        document = decode_canonical(payload, max_size=MAX_RECORD_SIZE)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            return ()
        return decode_scores(document.get("scores"))
    except (AdapterError, EncodingError, ProofError):
        return ()


def _is_valid(origin: LedgerIds, key: Digest, past: RoundPast, signed: SignedScores) -> bool:
    """Return whether scores are of a validator that attested in this round."""
    if signed.validator not in past.attested:
        return False
    digest = _compute_digest(origin, key, compute_scores_digest(signed.scores))
    return verify_signature(signed.validator, digest, signed.signature)


def _compute_digest(origin: LedgerIds, key: Digest, scores_digest: Digest) -> Digest:
    domain = Domain(origin.chain_id, origin.distributor)
    return compute_signing_digest(domain, hash_scores(key, scores_digest))

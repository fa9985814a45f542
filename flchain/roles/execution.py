"""What a round's result is: the one function that proposes, votes and verifies.

The orchestrator runs it to propose, every validator to vote, and an auditor to check; all of
them must get the same bytes. It reads updates by the digests that the chain recorded and
counts on nothing else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eth_utils.address import is_checksum_address

from flchain.crypto.merkle import compute_root
from flchain.learning.aggregation import (
    Aggregate,
    Submission,
    aggregate_updates,
    compute_next_state,
    encode_aggregate,
    verify_update,
)
from flchain.learning.parameters import QuantizedUpdate, State
from flchain.learning.payloads import compute_shape_digest
from flchain.learning.schemas import encode_state, get_aggregate_schema
from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.contribution import (
    METHODS,
    SignedScores,
    compute_medians,
    compute_reward_weights,
)
from flchain.protocol.digests import compute_majority, reward_leaf
from flchain.protocol.errors import EncodingError
from flchain.protocol.events import UpdateSubmitted
from flchain.protocol.records import Content
from flchain.protocol.rewards import Reward, compute_rewards
from flchain.protocol.types import Address, Bps, Digest, RoundId, Wei
from flchain.roles.archive import Archive, MalformedPayload, Sealed, seal_payload
from flchain.roles.history import RoundPast
from flchain.roles.masked.unmasking import MaskedInputs, aggregate_masked, describe_masked
from flchain.roles.terms import Terms, seal_state_bytes

FORMAT = "flchain-round-v1"
MAX_RECORD_SIZE = 1 << 20
_MAX_DIGITS = len(str(2**96 - 1))
HEADER_ALLOWANCE = 1 << 17
"""Bytes that an update may have beyond its integers."""


@dataclass(frozen=True)
class RoundInputs:
    """What a round's result depends on, all of it on record before the proposal.

    `survivors` are the submissions that a majority of validators held, in order; `attesters`
    the validators who held every one of them.
    """

    round: RoundId
    round_key: bytes
    parent_digest: Digest
    parent: State
    survivors: tuple[UpdateSubmitted, ...]
    attesters: tuple[Address, ...]
    scores: tuple[SignedScores, ...] = ()
    """What validators signed of the updates' contributions; verified, rising by account."""
    validators: int = 0
    masked: MaskedInputs | None = None
    """What else the sum of masked vectors takes; None in plain mode."""


@dataclass(frozen=True)
class RoundResult:
    """The integer result of a round, sealed and ready to be published."""

    next_state: State
    counted: Aggregate
    state: Sealed
    aggregate: Sealed
    record: Sealed
    rewards: tuple[Reward, ...]
    content: Content


@dataclass(frozen=True)
class LedgerIds:
    """What a reward leaf binds besides its round."""

    chain_id: int
    distributor: Address


def compute_survivors(past: RoundPast) -> tuple[UpdateSubmitted, ...]:
    """Return the submissions held by at least floor(v / 2) + 1 of the validators."""
    needed = compute_majority(past.opened.validators)
    return tuple(
        submission
        for submission in past.submissions
        if sum(submission.index in held for held in past.attested.values()) >= needed
    )


def compute_attesters(past: RoundPast) -> tuple[Address, ...]:
    """Return the validators who held every surviving update, in the order of attesting."""
    wanted = {submission.index for submission in compute_survivors(past)}
    return tuple(validator for validator, held in past.attested.items() if wanted <= held)


def execute_round(
    terms: Terms, inputs: RoundInputs, archive: Archive, ledger_ids: LedgerIds
) -> RoundResult:
    """Return the result of a round.

    Raises ContentUnavailable or ContentCorrupt if a surviving update can't be had here. An
    update whose bytes are here but wrong counts for nothing, and stops nothing. In secure mode
    raises TooFewShares if the releases restore too little.
    """
    aggregate = compute_aggregate(terms, inputs, archive)
    next_state = compute_next_state(inputs.parent, aggregate, terms.policy)
    rewards = _compute_rewards(terms, inputs, aggregate)
    state = seal_state_bytes(
        encode_state(next_state, terms.policy),
        terms.policy,
        terms.task.policy_digest,
        inputs.round_key,
    )
    vector = _seal_aggregate(terms, inputs.round_key, aggregate)
    record = _seal_record(terms, inputs, aggregate, vector, rewards)
    content = Content(
        aggregate_root=record.digest,
        state_digest=state.digest,
        reward_root=compute_reward_root(rewards, inputs.round_key, ledger_ids),
        reward_total=Wei(sum(reward.amount for reward in rewards)),
    )
    return RoundResult(next_state, aggregate, state, vector, record, rewards, content)


def compute_aggregate(terms: Terms, inputs: RoundInputs, archive: Archive) -> Aggregate:
    """Return what the survivors' updates add up to. Raises as `execute_round` does."""
    if inputs.masked is not None:
        return aggregate_masked(terms, inputs.masked, inputs.survivors, archive)
    submissions = [build_submission(terms, inputs.round_key, s, archive) for s in inputs.survivors]
    scores = _compute_medians(terms, inputs)
    return aggregate_updates(submissions, terms.policy, inputs.round_key, scores)


def build_submission(
    terms: Terms, round_key: bytes, submission: UpdateSubmitted, archive: Archive
) -> Submission:
    """Return a submission whose bytes are fetched when they are needed."""
    return Submission(
        submission.agent,
        submission.weight,
        build_reader(terms, round_key, submission, archive),
    )


def build_reader(
    terms: Terms, round_key: bytes, submission: UpdateSubmitted, archive: Archive
) -> Callable[[], bytes]:
    """Return a function that fetches an update; malformed ones read as no bytes at all."""

    def read() -> bytes:
        try:
            return fetch_update(terms, round_key, submission, archive)
        except MalformedPayload:
            return b""

    return read


def fetch_update(
    terms: Terms, round_key: bytes, submission: UpdateSubmitted, archive: Archive
) -> bytes:
    """Return an update's payload, checked against the digest, the round and the agent."""
    sections = 2 * 4 * terms.policy.model.parameters
    return archive.fetch(
        submission.digest,
        max_size=sections + HEADER_ALLOWANCE,
        kind="update",
        round_key=round_key,
        agent=submission.agent,
        policy_digest=terms.task.policy_digest,
    )


def read_update(
    terms: Terms, round_key: bytes, submission: UpdateSubmitted, archive: Archive
) -> QuantizedUpdate:
    """Return a surviving update that counts. Raises EncodingError if it does not."""
    data = fetch_update(terms, round_key, submission, archive)
    agent, weight = submission.agent, submission.weight
    return verify_update(data, terms.policy, round_key=round_key, agent=agent, weight=weight)


def compute_reward_root(
    rewards: tuple[Reward, ...], round_key: bytes, ledger_ids: LedgerIds
) -> Digest:
    """Return the Merkle root of a round's rewards; zero if there are none."""
    return compute_root(compute_reward_leaves(rewards, round_key, ledger_ids))


def compute_reward_leaves(
    rewards: tuple[Reward, ...], round_key: bytes, ledger_ids: LedgerIds
) -> list[Digest]:
    """Return the leaves in the order of their indices."""
    return [
        reward_leaf(
            ledger_ids.chain_id,
            ledger_ids.distributor,
            Digest(round_key),
            index=reward.index,
            account=reward.account,
            amount=reward.amount,
        )
        for reward in rewards
    ]


def fetch_rewards(archive: Archive, aggregate_root: Digest) -> tuple[Reward, ...]:
    """Return the rewards that a round's record lists. Raises EncodingError if it is malformed."""
    payload = archive.fetch(aggregate_root, max_size=MAX_RECORD_SIZE, kind="report")
    document = decode_canonical(payload, max_size=MAX_RECORD_SIZE)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise EncodingError(f"round record {aggregate_root.hex()}: not a {FORMAT} document")
    rows = document.get("rewards")
    if not isinstance(rows, list):
        raise EncodingError(f"round record {aggregate_root.hex()}: rewards is not a list")
    return tuple(_decode_reward(index, row) for index, row in enumerate(rows))


def _decode_reward(index: int, row: object) -> Reward:
    match row:
        case [str(account), str(amount)] if is_checksum_address(account) and _is_amount(amount):
            return Reward(index, Address(account), Wei(int(amount)))
        case _:
            raise EncodingError(f"round record: reward {index} is not [account, amount in wei]")


def encode_scores(signed: Iterable[SignedScores]) -> list[CanonicalValue]:
    """Return scores as a document holds them."""
    return [
        [
            item.validator,
            [[index, int(bps)] for index, bps in item.scores],
            item.signature.hex(),
        ]
        for item in signed
    ]


def _is_amount(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def _compute_medians(terms: Terms, inputs: RoundInputs) -> tuple[Bps, ...] | None:
    """Return each survivor's median score; None without scores, or with those of too few."""
    if terms.policy.rewards.contribution == METHODS[0]:
        return None
    survivors = [submission.index for submission in inputs.survivors]
    return compute_medians(inputs.scores, survivors, inputs.validators)


def _compute_rewards(terms: Terms, inputs: RoundInputs, aggregate: Aggregate) -> tuple[Reward, ...]:
    agents = [submission.agent for submission in inputs.survivors]
    method, medians = terms.policy.rewards.contribution, _compute_medians(terms, inputs)
    weights = compute_reward_weights(aggregate.weights, medians, method)
    return compute_rewards(
        tuple(zip(agents, weights, strict=True)),
        inputs.attesters,
        reserve=terms.policy.round_reserve,
        validator_share_bps=terms.policy.rewards.validator_share_bps,
        max_share_bps=terms.policy.max_share_bps,
    )


def _seal_aggregate(terms: Terms, round_key: bytes, aggregate: Aggregate) -> Sealed:
    return seal_payload(
        encode_aggregate(aggregate, terms.policy),
        kind="aggregate",
        dtype="int64",
        shape_digest=compute_shape_digest(get_aggregate_schema(terms.policy)),
        round_key=round_key,
        policy_digest=terms.task.policy_digest,
    )


def _seal_record(
    terms: Terms,
    inputs: RoundInputs,
    aggregate: Aggregate,
    vector: Sealed,
    rewards: tuple[Reward, ...],
) -> Sealed:
    """Seal the document that `aggregateRoot` commits to: who counted for how much, and pay."""
    updates: list[CanonicalValue] = [
        [s.agent, s.digest.hex(), s.weight, counted]
        for s, counted in zip(inputs.survivors, aggregate.weights, strict=True)
    ]
    document: dict[str, CanonicalValue] = {
        "format": FORMAT,
        "round_key": inputs.round_key.hex(),
        "parent_state": inputs.parent_digest.hex(),
        "updates": updates,
        "aggregate": vector.digest.hex(),
        "rewards": [[reward.account, str(reward.amount)] for reward in rewards],
    }
    if terms.policy.rewards.contribution != METHODS[0]:
        document["scores"] = encode_scores(inputs.scores)
    if inputs.masked is not None:
        document |= describe_masked(inputs.masked, aggregate)
    return seal_payload(
        encode_canonical(document),
        kind="report",
        dtype="json",
        round_key=inputs.round_key,
        policy_digest=terms.task.policy_digest,
    )

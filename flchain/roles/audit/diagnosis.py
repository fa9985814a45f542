"""What exactly is wrong with a result that was voted for all the same.

A proposal is four numbers, so all that comparing tells is that they differ. The round's record
and the payloads behind it, which the proposer published, tell more; where they are missing or
lie as well, the likeliest frauds are tried one by one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flchain.learning.aggregation import Aggregate, compute_next_state, is_sum
from flchain.learning.parameters import State
from flchain.learning.payloads import decode_payload
from flchain.learning.schemas import encode_state, get_aggregate_schema
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.records import Content
from flchain.protocol.types import Digest, Version
from flchain.roles.archive import Archive
from flchain.roles.assembly import fetch_state
from flchain.roles.audit.evidence import Evidence
from flchain.roles.audit.records import RoundRecord, explain_record, fetch_record
from flchain.roles.audit.sums import compare_sections, explain_sum, read_updates
from flchain.roles.execution import (
    HEADER_ALLOWANCE,
    RoundResult,
    compute_reward_root,
    compute_survivors,
)
from flchain.roles.history import RoundPast
from flchain.roles.terms import Terms, seal_state_bytes

Finding = tuple[str, str]
"""The object, and what differs."""
ReadVersion = Callable[[Version], State | None]
"""Returns a published version, if it can be had."""

_UNREADABLE = (AdapterError, EncodingError, ProofError)
_SECTIONS_LIMIT = 2


@dataclass(frozen=True)
class Dispute:
    """An accepted content that is not the result of its round."""

    terms: Terms
    archive: Archive
    evidence: Evidence
    past: RoundPast
    result: RoundResult
    content: Content

    @property
    def parent(self) -> Version:
        """The version that the round trained from."""
        return self.past.opened.parent_version


def explain_content(dispute: Dispute, read_version: ReadVersion) -> Iterator[Finding]:
    """Yield every object that differs, with what it is instead of what it should be."""
    own, found = dispute.result.content, dispute.content
    record = fetch_record(dispute.archive, found.aggregate_root)
    if own.aggregate_root != found.aggregate_root:
        yield from _explain_record(dispute, record)
    if own.state_digest != found.state_digest:
        yield "state", _explain_state(dispute, read_version, record)
    if own.reward_root != found.reward_root:
        yield "reward root", _explain_rewards(dispute, record)
    if own.reward_total != found.reward_total:
        text = f"{found.reward_total} wei were voted for, the rewards add up to {own.reward_total}"
        yield "reward total", text


def _explain_record(dispute: Dispute, record: RoundRecord | str) -> Iterator[Finding]:
    own, found = dispute.result.content.aggregate_root, dispute.content.aggregate_root
    yield "aggregate", f"its record is {found.hex()}, should be {own.hex()}"
    if isinstance(record, str):
        yield "record", record
        return
    true_record = RoundRecord.of_result(dispute.result)
    versions = {v: p.state_digest for v, p in dispute.evidence.past.versions.items()}
    yield from explain_record(record, true_record, versions, dispute.parent)
    if record.aggregate != dispute.result.aggregate.digest:
        yield "sum", _explain_sum(dispute, record.aggregate)


def _explain_sum(dispute: Dispute, digest: Digest) -> str:
    vector = _fetch_aggregate(dispute, digest)
    if vector is None:
        return f"the voted one ({digest.hex()}) can't be read"
    counted = dispute.result.counted
    key = dispute.evidence.get_round_key(dispute.past.opened.round)
    # What a robust rule gives, or masks hide, is no sum that could be taken apart.
    updates = (
        read_updates(
            dispute.terms, dispute.archive, key, compute_survivors(dispute.past), counted.weights
        )
        if is_sum(dispute.terms.policy) and not dispute.terms.policy.is_secure
        else ()
    )
    return explain_sum(counted, vector, list(updates))


def _explain_state(dispute: Dispute, read_version: ReadVersion, record: RoundRecord | str) -> str:
    own, found = dispute.result.content.state_digest, dispute.content.state_digest
    text = f"{found.hex()} was voted for, should be {own.hex()}"
    version = _find_parent(dispute, read_version)
    if version is not None:
        return (
            f"{text}: it is derived from version {version}, "
            f"the round's parent is version {dispute.parent}"
        )
    if isinstance(record, RoundRecord) and _follows_from_sum(dispute, read_version, record):
        return f"{text}: it follows from the wrong sum"
    try:
        published = fetch_state(dispute.archive, found, dispute.terms)
    except _UNREADABLE as error:
        return f"{text}: the voted one can't be read: {error}"
    return f"{text}: {compare_sections(published.sections, dispute.result.next_state.sections)}"


def _find_parent(dispute: Dispute, read_version: ReadVersion) -> Version | None:
    """Return the version from which this sum gives the voted state, the true parent apart."""
    for version in dispute.evidence.past.versions:
        state = None if version == dispute.parent else read_version(version)
        if state is not None and _leads_there(dispute, state, dispute.result.counted):
            return version
    return None


def _follows_from_sum(dispute: Dispute, read_version: ReadVersion, record: RoundRecord) -> bool:
    vector = _fetch_aggregate(dispute, record.aggregate)
    parent = read_version(dispute.parent)
    return vector is not None and parent is not None and _leads_there(dispute, parent, vector)


def _leads_there(dispute: Dispute, parent: State, aggregate: Aggregate) -> bool:
    policy = dispute.terms.policy
    state = compute_next_state(parent, aggregate, policy)
    key = dispute.evidence.get_round_key(dispute.past.opened.round)
    sealed = seal_state_bytes(
        encode_state(state, policy), policy, dispute.terms.task.policy_digest, key
    )
    return sealed.digest == dispute.content.state_digest


def _fetch_aggregate(dispute: Dispute, digest: Digest) -> Aggregate | None:
    policy = dispute.terms.policy
    limit = 8 * _SECTIONS_LIMIT * policy.model.parameters + HEADER_ALLOWANCE
    try:
        data = dispute.archive.fetch(digest, max_size=limit, kind="aggregate")
        payload = decode_payload(data, get_aggregate_schema(policy))
    except _UNREADABLE:
        return None
    # Only the total is known of a published sum; it is all that the next state depends on.
    return Aggregate(dict(payload.sections), (payload.scalars["total_weight"],))


def _explain_rewards(dispute: Dispute, record: RoundRecord | str) -> str:
    own, found = dispute.result.content.reward_root, dispute.content.reward_root
    text = f"{found.hex()} was voted for, should be {own.hex()}"
    if isinstance(record, str):
        return text
    key = dispute.evidence.get_round_key(dispute.past.opened.round)
    listed = record.get_rewards()
    if compute_reward_root(listed, key, dispute.evidence.ids) != found:
        return f"{text}: the record's list of rewards does not give it"
    due = {reward.account: reward.amount for reward in dispute.result.rewards}
    got = {reward.account: reward.amount for reward in listed}
    changes = [
        f"{account} gets {got.get(account, 0)} wei instead of {due.get(account, 0)}"
        for account in {**due, **got}
        if got.get(account, 0) != due.get(account, 0)
    ]
    return f"{text}: {'; '.join(changes) or 'the same amounts in another order'}"

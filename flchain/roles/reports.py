"""A validator's report: what it checked before it voted, and what it found.

The vote on chain binds the result; the report says how the validator came to it. It is published
by CID beside the updates, under the validator's own pin, and nobody votes on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flchain.learning.evaluation import Evaluation
from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.events import ProposalSubmitted
from flchain.protocol.manifest import Manifest, decode_manifest
from flchain.protocol.records import Content, Vote
from flchain.protocol.types import Reason, RoundId, TaskId, Verdict
from flchain.roles.archive import Archive, seal_payload
from flchain.roles.context import Context
from flchain.roles.execution import RoundResult, compute_survivors
from flchain.roles.history import RoundPast
from flchain.roles.masked.unmasking import describe_group
from flchain.roles.terms import Terms
from flchain.storage.base import ContentStore
from flchain.storage.cid import Cid

FORMAT = "flchain-report-v1"
MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class Findings:
    """What a validator has at hand when it votes; None is what it could not have."""

    vote: Vote
    result: RoundResult | None = None
    parent: Evaluation | None = None
    candidate: Evaluation | None = None


def name_report_pin(task_id: TaskId, number: RoundId, account: str) -> str:
    """Return the name that keeps a validator's reports of a round."""
    return f"task/{task_id}/report/{number}/{account}"


def publish_report(
    context: Context, terms: Terms, past: RoundPast, proposal: ProposalSubmitted, found: Findings
) -> None:
    """Store what led to a vote, before it is cast."""
    number = past.opened.round
    document: dict[str, CanonicalValue] = {
        "format": FORMAT,
        "validator": context.signer.address.lower(),
        "round": int(number),
        "attempt": proposal.attempt,
        "proposal": proposal.proposal_id.hex(),
        "verdict": Verdict(found.vote.verdict).name,
        "reason": Reason(found.vote.reason).name,
        "execution_tag": found.vote.exec_tag.hex(),
        "proposed": _describe_content(proposal.content),
        "own": {} if found.result is None else _describe_content(found.result.content),
        "updates": [] if found.result is None else _list_updates(past, found.result),
        "quality": _describe_quality(terms, found),
    }
    if found.result is not None and len(found.result.counted.groups) > 1:
        document["groups"] = [describe_group(group) for group in found.result.counted.groups]
    sealed = seal_payload(
        encode_canonical(document),
        kind="report",
        dtype="json",
        round_key=context.get_round_key(number),
        agent=context.signer.address,
        policy_digest=terms.task.policy_digest,
    )
    pin = name_report_pin(context.task_id, number, context.signer.address)
    context.archive.publish(sealed, pin)


def read_reports(
    store: ContentStore, task_id: TaskId, number: RoundId
) -> Iterator[tuple[Cid, dict[str, Any]]]:
    """Yield the reports of a round that a store pins, each with its manifest's CID."""
    archive = Archive(store)
    for pin in store.pins(name_report_pin(task_id, number, "")):
        if _find_manifest(store, pin.cid) is None:
            continue
        payload = archive.fetch(pin.cid.digest, max_size=MAX_SIZE, kind="report")
        document = decode_canonical(payload, max_size=MAX_SIZE)
        if isinstance(document, dict) and document.get("format") == FORMAT:
            yield pin.cid, document


def _find_manifest(store: ContentStore, cid: Cid) -> Manifest | None:
    """Return the manifest of a pinned block; None if it is the payload of one."""
    try:
        return decode_manifest(store.get_block(cid))
    except EncodingError:
        return None


def _describe_content(content: Content) -> dict[str, CanonicalValue]:
    return {
        "aggregate_root": content.aggregate_root.hex(),
        "state_digest": content.state_digest.hex(),
        "reward_root": content.reward_root.hex(),
        "reward_total": str(content.reward_total),
    }


def _list_updates(past: RoundPast, result: RoundResult) -> list[CanonicalValue]:
    """Return agent, digest and counted weight of each update that a majority held."""
    pairs = zip(compute_survivors(past), result.counted.weights, strict=True)
    return [[item.agent, item.digest.hex(), weight] for item, weight in pairs]


def _describe_quality(terms: Terms, found: Findings) -> dict[str, CanonicalValue]:
    if found.parent is None or found.candidate is None:
        return {}
    return {
        "parent_bps": int(found.parent.accuracy_bps),
        "candidate_bps": int(found.candidate.accuracy_bps),
        "tolerance_bps": int(terms.policy.quality.tolerance_bps),
    }

"""From the chain's record of a round to its result: what a proposer and a validator share."""

from collections.abc import Mapping
from dataclasses import dataclass

from flchain.crypto.secagg.errors import TooFewShares
from flchain.learning.parameters import State
from flchain.learning.schemas import decode_state
from flchain.protocol.contribution import SignedScores
from flchain.protocol.digests import content_id as compute_content_id
from flchain.protocol.digests import survivor_root
from flchain.protocol.events import ProposalSubmitted
from flchain.protocol.types import Address, Digest, Version
from flchain.roles.archive import Archive
from flchain.roles.context import Context
from flchain.roles.execution import (
    HEADER_ALLOWANCE,
    RoundInputs,
    RoundResult,
    compute_attesters,
    compute_survivors,
    execute_round,
)
from flchain.roles.history import RoundPast, TaskPast
from flchain.roles.masked.inputs import (
    UnlistedReleases,
    build_masked_inputs,
    gather_releases,
    read_listed_releases,
)
from flchain.roles.retention import name_round_pin, name_version_pin
from flchain.roles.scores import gather_scores, read_recorded_scores
from flchain.roles.terms import Terms

_SECTIONS_LIMIT = 8
"""Most sections a state may have: parameters and the server's own."""


@dataclass(frozen=True)
class Found:
    """What a proposer chooses of what is on offer: a proposal's record binds it.

    `releases` are those that count in secure mode; None stands for all that were posted.
    """

    scores: tuple[SignedScores, ...] = ()
    releases: Mapping[Address, Digest] | None = None


NOTHING_FOUND = Found()


def fetch_state(archive: Archive, digest: Digest, terms: Terms) -> State:
    """Return a model version, checked against its digest and the policy's schema."""
    limit = 8 * _SECTIONS_LIMIT * terms.policy.model.parameters + HEADER_ALLOWANCE
    payload = archive.fetch(
        digest, max_size=limit, kind="state", policy_digest=terms.task.policy_digest
    )
    return decode_state(payload, terms.policy)


def build_inputs(
    context: Context,
    terms: Terms,
    task: TaskPast,
    past: RoundPast,
    found: Found = NOTHING_FOUND,
) -> RoundInputs:
    """Collect what the result of a round depends on."""
    digest = task.versions[past.opened.parent_version].state_digest
    return RoundInputs(
        round=past.opened.round,
        round_key=context.get_round_key(past.opened.round),
        parent_digest=digest,
        parent=fetch_state(context.archive, digest, terms),
        survivors=compute_survivors(past),
        attesters=compute_attesters(past),
        scores=found.scores,
        validators=past.opened.validators,
        masked=build_masked_inputs(
            context.get_origin(past.opened.round), terms.policy, task, past, found.releases
        ),
    )


def assemble_round(
    context: Context,
    terms: Terms,
    task: TaskPast,
    past: RoundPast,
    proposal: ProposalSubmitted | None = None,
) -> RoundResult:
    """Execute a round and report how long it took.

    Where contributions are scored, the scores are those in the record of `proposal`, or without
    one those that can be found.
    """
    start = context.stopwatch()
    result = (
        _execute_own(context, terms, task, past)
        if proposal is None
        else _execute_proposed(context, terms, task, past, proposal)
    )
    context.notify("execute", past.opened.round, context.stopwatch() - start)
    return result


def _execute_own(context: Context, terms: Terms, task: TaskPast, past: RoundPast) -> RoundResult:
    """Execute a round with the scores and releases that this role can find."""
    scores = gather_scores(context, terms, past)
    found = Found(scores, gather_releases(context, terms, task, past))
    return _execute(context, terms, build_inputs(context, terms, task, past, found))


def _execute_proposed(
    context: Context, terms: Terms, task: TaskPast, past: RoundPast, proposal: ProposalSubmitted
) -> RoundResult:
    """Execute a round with the scores and releases in a proposal's record.

    Releases that are not those on chain, or too few, are a fault of the proposal: the result is
    then the one of this role's own.
    """
    origin = (context.ids, context.get_round_key(past.opened.round))
    scores = read_recorded_scores(context.archive, terms, past, proposal, origin)
    try:
        releases = read_listed_releases(context.archive, task.holders, past, proposal)
        inputs = build_inputs(context, terms, task, past, Found(scores, releases))
        return _execute(context, terms, inputs)
    except (TooFewShares, UnlistedReleases):
        return _execute_own(context, terms, task, past)


def _execute(context: Context, terms: Terms, inputs: RoundInputs) -> RoundResult:
    """Execute a round and keep the releases that it counts: nobody attested that it serves them."""
    result = execute_round(terms, inputs, context.archive, context.ids)
    if inputs.masked is not None:
        pin = name_round_pin(context, inputs.round)
        context.archive.pin(list(inputs.masked.releases.values()), pin)
    return result


def publish_result(context: Context, result: RoundResult, version: Version) -> None:
    """Store the new state, the aggregate and the round's record under this role's pins."""
    pin = name_version_pin(context, version)
    for sealed in (result.state, result.aggregate, result.record):
        context.archive.publish(sealed, pin)


def compute_own_content_id(
    context: Context, terms: Terms, past: RoundPast, result: RoundResult
) -> Digest:
    """Return the content id that this result has on chain."""
    key = context.get_round_key(past.opened.round)
    recorded = context.ledger.get_submissions(context.task_id)
    indices = [submission.index for submission in compute_survivors(past)]
    root = survivor_root(key, recorded.commitment, indices, recorded.count)
    return compute_content_id(
        key, root, result.content, terms.task.policy_digest, past.opened.parent_version
    )

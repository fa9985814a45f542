"""From the chain's record of a round to its result: what a proposer and a validator share."""

from flchain.learning.parameters import State
from flchain.learning.schemas import decode_state
from flchain.protocol.contribution import SignedScores
from flchain.protocol.digests import content_id as compute_content_id
from flchain.protocol.digests import survivor_root
from flchain.protocol.events import ProposalSubmitted
from flchain.protocol.types import Digest, Version
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
from flchain.roles.retention import name_version_pin
from flchain.roles.scores import gather_scores, read_recorded_scores
from flchain.roles.terms import Terms

_SECTIONS_LIMIT = 8
"""Most sections a state may have: parameters and the server's own."""


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
    scores: tuple[SignedScores, ...] = (),
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
        scores=scores,
        validators=past.opened.validators,
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
    scores = (
        gather_scores(context, terms, past)
        if proposal is None
        else read_recorded_scores(
            context.archive,
            terms,
            past,
            proposal,
            (context.ids, context.get_round_key(past.opened.round)),
        )
    )
    inputs = build_inputs(context, terms, task, past, scores)
    result = execute_round(terms, inputs, context.archive, context.ids)
    context.notify("execute", past.opened.round, context.stopwatch() - start)
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
    commitment = context.ledger.get_submissions(context.task_id).commitment
    indices = [submission.index for submission in compute_survivors(past)]
    root = survivor_root(key, commitment, indices, len(past.submissions))
    return compute_content_id(
        key, root, result.content, terms.task.policy_digest, past.opened.parent_version
    )

"""Wrong results with valid digests: what a proposer can publish and a bought committee approve."""

from dataclasses import replace

import numpy as np

from flchain.learning.aggregation import Aggregate, compute_next_state
from flchain.learning.parameters import State
from flchain.learning.schemas import decode_update, encode_state
from flchain.protocol.types import ZERO_DIGEST, Version, Wei
from flchain.roles import execution
from flchain.roles.assembly import fetch_state
from flchain.roles.context import Context
from flchain.roles.execution import RoundInputs, RoundResult
from flchain.roles.observation import Watch
from flchain.roles.terms import Terms, seal_state_bytes


def rebuild(
    context: Context,
    terms: Terms,
    inputs: RoundInputs,
    aggregate: Aggregate,
    *,
    next_state: State | None = None,
    rewards=None,
) -> RoundResult:
    """Return a result that is consistent in itself, with other parts than the true ones."""
    key = inputs.round_key
    if next_state is None:
        next_state = compute_next_state(inputs.parent, aggregate, terms.policy)
    if rewards is None:
        rewards = execution._compute_rewards(terms, inputs, aggregate)
    payload = encode_state(next_state, terms.policy)
    state = seal_state_bytes(payload, terms.policy, terms.task.policy_digest, key)
    vector = execution._seal_aggregate(terms, key, aggregate)
    record = execution._seal_record(terms, inputs, aggregate, vector, rewards)
    content = execution.Content(
        aggregate_root=record.digest,
        state_digest=state.digest,
        reward_root=execution.compute_reward_root(rewards, key, context.ids) or ZERO_DIGEST,
        reward_total=Wei(sum(reward.amount for reward in rewards)),
    )
    return RoundResult(next_state, aggregate, state, vector, record, rewards, content)


def forge_sum(context, terms, inputs, result):
    """One integer of the sum is another, and the state follows from it."""
    sections = {name: section.copy() for name, section in result.counted.sections.items()}
    next(iter(sections.values()))[3] += 1 << 20
    return rebuild(context, terms, inputs, replace(result.counted, sections=sections))


def forge_state(context, terms, inputs, result):
    """One integer of the state is another; the sum is right."""
    return forge_section("params", 5)(context, terms, inputs, result)


def forge_section(name: str, place: int):
    """Return a forgery of one integer in a section of the state."""

    def forge(context, terms, inputs, result):
        sections = {key: section.copy() for key, section in result.next_state.sections.items()}
        sections[name][place] += 1
        return rebuild(context, terms, inputs, result.counted, next_state=State(sections))

    return forge


def forge_rewards(context, terms, inputs, result):
    """The first account gets one wei of the second one's reward."""
    first, second, *rest = result.rewards
    moved = (
        replace(first, amount=Wei(first.amount + 1)),
        replace(second, amount=Wei(second.amount - 1)),
    )
    return rebuild(context, terms, inputs, result.counted, rewards=(*moved, *rest))


def forge_parent(context, terms, inputs, result):
    """The state is derived from version 0, whatever the round's parent is."""
    past = Watch(context.ledger, context.task_id).observe().past
    digest = past.versions[Version(0)].state_digest
    state = fetch_version(context, terms, digest)
    other = replace(inputs, parent_digest=digest, parent=state)
    return rebuild(context, terms, other, result.counted)


def forge_parent_silently(context, terms, inputs, result):
    """As `forge_parent`, with a record that claims the true parent."""
    past = Watch(context.ledger, context.task_id).observe().past
    state = fetch_version(context, terms, past.versions[Version(0)].state_digest)
    next_state = compute_next_state(state, result.counted, terms.policy)
    return rebuild(context, terms, inputs, result.counted, next_state=next_state)


def forge_order(context, terms, inputs, result):
    """The first two updates are swapped in the record."""
    first, second, *rest = inputs.survivors
    weights = result.counted.weights
    swapped = replace(result.counted, weights=(weights[1], weights[0], *weights[2:]))
    other = replace(inputs, survivors=(second, first, *rest))
    return rebuild(context, terms, other, swapped, rewards=result.rewards)


def forge_swap(context, terms, inputs, result):
    """The first two updates are counted with each other's weight; the record is silent."""
    weights = result.counted.weights
    change = weights[1] - weights[0]
    return _add_updates(context, terms, inputs, result, {0: change, 1: -change})


def forge_weight(context, terms, inputs, result):
    """The first update counts for one more than its weight, and says so."""
    weights = result.counted.weights
    forged = _add_updates(context, terms, inputs, result, {0: 1})
    counted = replace(forged.counted, weights=(weights[0] + 1, *weights[1:]))
    return rebuild(context, terms, inputs, counted)


def forge_weight_silently(context, terms, inputs, result):
    """The first update counts for one more than its weight; the record is silent."""
    return _add_updates(context, terms, inputs, result, {0: 1})


def fetch_version(context, terms, digest) -> State:
    return fetch_state(context.archive, digest, terms)


def _add_updates(context, terms, inputs, result, extra) -> RoundResult:
    """Add multiples of updates to the sum."""
    sections = {name: section.copy() for name, section in result.counted.sections.items()}
    for index, factor in extra.items():
        item = inputs.survivors[index]
        data = execution.fetch_update(terms, inputs.round_key, item, context.archive)
        update = decode_update(data, terms.policy, round_key=inputs.round_key, agent=item.agent)
        for name, values in update.sections.items():
            sections[name] += np.int64(factor) * values
    return rebuild(context, terms, inputs, replace(result.counted, sections=sections))

"""The function that validators re-execute: updates in, next model state out.

Weighted sums of int32 updates in int64 are exact and do not depend on the order of the
updates. The function is total: an invalid update counts for nothing, and no input aborts it.

A robust rule takes the place of the sum: it counts heads, since weights are declared and not
proven, and what stands for the sum is its centre times the total weight. Weights still decide
the pay. The rows are in an order that the round's key draws, which settles ties.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flchain.learning.aggregators import (
    Aggregator,
    Rows,
    Settings,
    find_centre,
    get_aggregator,
    select_scored,
    uses_scores,
)
from flchain.learning.cohorts import is_in_cohort
from flchain.learning.compression import check_compression, is_lossless
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.integers import add_scaled, centre, clip_norm, divide_half_up, saturate
from flchain.learning.parameters import STATE_BITS, Int32, Int64, QuantizedUpdate, State
from flchain.learning.payloads import Payload, encode_payload
from flchain.learning.personalisation import mask_local_layers
from flchain.learning.privacy import check_privacy, is_private
from flchain.learning.schemas import decode_update, get_aggregate_schema, get_update_schema
from flchain.learning.strategies import Step, get_strategy
from flchain.protocol.contribution import METHODS
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import MAX_GROUPS, Policy
from flchain.protocol.types import Bps

_WHOLE_BPS = 10_000
_WEIGHTED_MEAN = "weighted-mean"
_ORDER_DOMAIN = b"flchain-order-v1\x00"


@dataclass(frozen=True)
class Submission:
    """One recorded update: its agent, its weight on chain, and how to read its bytes.

    `read` may be called twice; what it raises is passed on, since missing bytes are not the
    same as an invalid update.
    """

    agent: str
    weight: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class CountedGroup:
    """What became of one group of masked updates: the weight of its sum, or the `fault`."""

    agents: tuple[str, ...]
    """All who joined in it."""
    survivors: tuple[str, ...]
    """Those whose sum was opened."""
    weight: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Aggregate:
    """The weighted sum of a round's updates, in units of 2^-shift, or what stands for it.

    `weights` holds, in the order of the submissions, what each counted for: 0 is invalid. Of a
    masked sum only the `total` is known, and `weights` says who is paid; `groups` are those that
    the round was divided into. A `fault` is a proven reason why a round has no sum.
    """

    sections: dict[str, Int64]
    weights: tuple[int, ...]
    total: int | None = None
    fault: str = ""
    groups: tuple[CountedGroup, ...] = ()

    @property
    def total_weight(self) -> int:
        """Sum of what the updates counted for; 0 if none was valid."""
        return sum(self.weights) if self.total is None else self.total


def check_rules(policy: Policy) -> None:
    """Raise ConfigError, with the way out, if this version cannot run `policy`."""
    strategy = get_strategy(policy)
    check_compression(policy.compression, policy.mode)
    check_privacy(policy, len(strategy.update_sections))
    if strategy.counts and (is_private(policy) or not is_lossless(policy.compression)):
        raise ConfigError(
            f"policy: {strategy.name} sends counts that must stay exact; choose a lossless "
            "compression and no noise, or another strategy"
        )
    if policy.is_secure:
        _check_secure(policy)
    if policy.aggregator.name != _WEIGHTED_MEAN:
        _get_rule(policy)
    elif policy.aggregator.parameters:
        raise ConfigError("policy: weighted-mean has no parameters; remove aggregator.parameters")
    if uses_scores(policy.aggregator.name) and policy.rewards.contribution == METHODS[0]:
        raise ConfigError(
            f"policy: {policy.aggregator.name} needs scores that validators sign; add "
            f"rewards.contribution, one of {', '.join(METHODS[1:])}"
        )


def _get_rule(policy: Policy) -> Aggregator:
    """Return the policy's robust rule, which under masks has a row for each group."""
    if not policy.is_secure:
        return get_aggregator(policy.aggregator, policy.min_survivors, policy.max_agents)
    groups = policy.masking.groups
    return get_aggregator(policy.aggregator, groups, MAX_GROUPS, Rows("masking.groups", "groups"))


def _check_secure(policy: Policy) -> None:
    """Raise ConfigError if the policy wants more than sums of groups."""
    name = policy.aggregator.name
    if uses_scores(name) or (name != _WEIGHTED_MEAN and policy.masking.groups == 1):
        fix = "" if uses_scores(name) else ", masking.groups above 1"
        raise ConfigError(
            f"policy: {name} needs single updates, which mode secure hides; choose "
            f"weighted-mean{fix}, or mode plain"
        )
    if policy.rewards.contribution != METHODS[0]:
        raise ConfigError(
            f"policy: {policy.rewards.contribution} needs single updates, which mode secure "
            "hides; leave rewards.contribution out, or choose mode plain"
        )


def compute_weight(samples: int, policy: Policy) -> int:
    """Return min(w_max, ceil(samples / bucket)): what an update of `samples` rows declares."""
    return min(policy.update.w_max, -(-samples // policy.update.bucket))


def compute_capped_weights(weights: Sequence[int], max_share_bps: Bps) -> tuple[int, ...]:
    """Return the weights cut at the highest cap that keeps every share within the limit.

    The cap is the largest K with K * 10,000 <= max_share_bps * sum(min(w, K)). With fewer
    than 10,000 / max_share_bps updates there is none; K is then 1 and all weigh the same.
    """
    for cap in range(max(weights, default=0), 1, -1):
        total = sum(min(weight, cap) for weight in weights)
        if cap * _WHOLE_BPS <= max_share_bps * total:
            return tuple(min(weight, cap) for weight in weights)
    return tuple(min(weight, 1) for weight in weights)


def verify_update(
    data: bytes, policy: Policy, *, round_key: bytes, agent: str, weight: int
) -> QuantizedUpdate:
    """Return the update if it counts, or raise EncodingError saying why it does not.

    Besides its form, its samples must give the weight that was recorded for it.
    """
    if not is_in_cohort(policy, round_key, agent):
        raise EncodingError(f"update: {agent} is not in the round's cohort")
    update = decode_update(data, policy, round_key=round_key, agent=agent)
    declared = compute_weight(update.scalars["samples"], policy)
    if declared != weight:
        raise EncodingError(f"update: its samples give weight {declared}, recorded is {weight}")
    return update


def is_valid_update(
    data: bytes, policy: Policy, *, round_key: bytes, agent: str, weight: int
) -> bool:
    """Return whether an update counts; one that does not has weight 0 and reward 0."""
    try:
        verify_update(data, policy, round_key=round_key, agent=agent, weight=weight)
    except EncodingError:
        return False
    return True


def aggregate_updates(
    submissions: Sequence[Submission],
    policy: Policy,
    round_key: bytes,
    scores: Sequence[int] | None = None,
) -> Aggregate:
    """Return the policy's aggregate of the valid updates.

    The weighted mean holds one of them in memory at a time, a robust rule all. `scores` are the
    medians of what validators signed, in the order of the submissions; a rule that goes by them
    leaves the model as it is where there are none.
    Raises ConfigError if there are more submissions than the policy's max_agents, for which
    the sum could overflow.
    """
    if len(submissions) > policy.max_agents:
        raise ConfigError(f"{len(submissions)} updates, the policy allows {policy.max_agents}")
    check_rules(policy)
    declared = _list_declared(submissions, policy)
    if not is_sum(policy):
        return _aggregate_robustly(submissions, declared, policy, round_key, scores)
    # The caps depend on which updates are valid. Assume all; if not, sum once more.
    while True:
        weights = compute_capped_weights(declared, policy.max_share_bps)
        sections, valid = _sum_updates(submissions, weights, policy, round_key)
        if valid == [weight > 0 for weight in declared]:
            return Aggregate(sections, weights)
        declared = [weight if counts else 0 for weight, counts in zip(declared, valid, strict=True)]


def compute_step(aggregate: Aggregate, policy: Policy) -> Step:
    """Return the weighted mean by section in units of 2^-32.

    The sum is centred modulo 2^32, shortened to the policy's clip times the total weight and
    divided, rounding half up. With no valid update the step is zero.
    """
    total = aggregate.total_weight
    return {
        name: _compute_mean(section, total, policy) if total else np.zeros_like(section)
        for name, section in aggregate.sections.items()
    }


def compute_next_state(state: State, aggregate: Aggregate, policy: Policy) -> State:
    """Return the model state after the round: what the committee votes on."""
    step = mask_local_layers(compute_step(aggregate, policy), policy.model)
    return get_strategy(policy).apply(state, step, policy)


def compute_initial_state(policy: Policy) -> State:
    """Return version 0, which everybody derives from the policy alone."""
    parameters = compute_initial_parameters(policy.model, policy.seed)
    return get_strategy(policy).init_state(parameters)


def encode_aggregate(aggregate: Aggregate, policy: Policy) -> bytes:
    """Return the bytes of the weighted sum and its total weight."""
    payload = Payload(aggregate.sections, {"total_weight": aggregate.total_weight})
    return encode_payload(payload, get_aggregate_schema(policy))


def count_updates(
    submissions: Sequence[Submission], policy: Policy, round_key: bytes
) -> tuple[int, ...]:
    """Return what each submission counts for, as `aggregate_updates` does, and no more."""
    declared = _list_declared(submissions, policy)
    pairs = zip(submissions, declared, strict=True)
    valid = [w if w and _read_update(item, policy, round_key) else 0 for item, w in pairs]
    return compute_capped_weights(valid, policy.max_share_bps)


def is_sum(policy: Policy) -> bool:
    """Return whether an aggregate is the weighted sum itself."""
    return policy.aggregator.name == _WEIGHTED_MEAN


def _list_declared(submissions: Sequence[Submission], policy: Policy) -> list[int]:
    """Return the weights on chain; one that nobody may have is 0."""
    most = policy.update.w_max
    return [item.weight if 0 < item.weight <= most else 0 for item in submissions]


def _aggregate_robustly(
    submissions: Sequence[Submission],
    declared: Sequence[int],
    policy: Policy,
    round_key: bytes,
    scores: Sequence[int] | None,
) -> Aggregate:
    """Return the total weight times the rule's centre of the valid updates.

    If some updates are invalid, they were among the `f` bad ones: the rule then withstands as
    many as it can among the others. If there are too few for it to withstand none, the sum is
    zero and the model stays as it is.
    """
    updates = [
        _read_update(item, policy, round_key) if weight else None
        for item, weight in zip(submissions, declared, strict=True)
    ]
    counted = [weight if update else 0 for weight, update in zip(declared, updates, strict=True)]
    weights = compute_capped_weights(counted, policy.max_share_bps)
    rows_at = [place for place, update in enumerate(updates) if update]
    rows_at.sort(key=lambda place: _draw_place(submissions[place].agent, round_key))
    kept = [update for place in _select(rows_at, policy, scores) if (update := updates[place])]
    rows = [update.sections for update in kept]
    return Aggregate(reduce_rows(rows, sum(weights), policy), weights)


def reduce_rows(
    rows: Sequence[Mapping[str, Int32]], total: int, policy: Policy
) -> dict[str, Int64]:
    """Return the total weight times the rule's centre of the rows; zero if they are too few."""
    rule = _get_rule(policy)
    settings = rule.weaken(len(rows), dict(policy.aggregator.parameters))
    return {
        name: np.zeros(size, np.int64)
        if settings is None
        else _scale_centre(rule, [row[name] for row in rows], settings, total, policy)
        for name, size in get_update_schema(policy).sections
    }


def _select(places: list[int], policy: Policy, scores: Sequence[int] | None) -> list[int]:
    """Return the submissions that the policy's rule gets; none if scores it needs are missing."""
    if not uses_scores(policy.aggregator.name):
        return places
    if scores is None:
        return []
    settings = dict(policy.aggregator.parameters)
    return [places[row] for row in select_scored([scores[place] for place in places], settings)]


def _draw_place(agent: str, round_key: bytes) -> bytes:
    """Return what an agent's update is sorted by: nobody's choice, and the same for everybody."""
    return hashlib.sha256(_ORDER_DOMAIN + round_key + agent.lower().encode()).digest()


def _scale_centre(
    rule: Aggregator, rows: Sequence[Int32], settings: Settings, total: int, policy: Policy
) -> Int64:
    centre_of_rows = find_centre(rule, rows, settings)
    # |values| / divisor is a coordinate and total a sum of weights: their product is below 2^31
    # and the divisor, of at most 2^10 rows in units of 2^-20, at most 2^30.
    scaled = divide_half_up(centre_of_rows.values * total, centre_of_rows.divisor)
    return saturate(scaled, policy.update.coordinate_bound * total)


def _sum_updates(
    submissions: Sequence[Submission], weights: Sequence[int], policy: Policy, round_key: bytes
) -> tuple[dict[str, Int64], list[bool]]:
    """Return the weighted sums and which submissions counted; weight 0 is not read."""
    names = get_update_schema(policy).sections
    sums: dict[str, Int64] = {name: np.zeros(size, np.int64) for name, size in names}
    valid = []
    for submission, weight in zip(submissions, weights, strict=True):
        update = _read_update(submission, policy, round_key) if weight else None
        valid.append(update is not None)
        for name, section in update.sections.items() if update else ():
            add_scaled(sums[name], section, weight)
    return sums, valid


def _read_update(
    submission: Submission, policy: Policy, round_key: bytes
) -> QuantizedUpdate | None:
    data = submission.read()
    agent, weight = submission.agent, submission.weight
    try:
        return verify_update(data, policy, round_key=round_key, agent=agent, weight=weight)
    except EncodingError:
        return None


def _compute_mean(section: Int64, total: int, policy: Policy) -> Int64:
    clipped = clip_norm(centre(section), policy.update.clip * total)
    # Sums are below 2^31 and the shift is at least 12, so this stays below 2^51.
    clipped <<= STATE_BITS - policy.update.shift
    return divide_half_up(clipped, total)

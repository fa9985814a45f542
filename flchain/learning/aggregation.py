"""The function that validators re-execute: updates in, next model state out.

Weighted sums of int32 updates in int64 are exact and do not depend on the order of the
updates. The function is total: an invalid update counts for nothing, and no input aborts it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flchain.learning.cohorts import is_in_cohort
from flchain.learning.initialisation import compute_initial_parameters
from flchain.learning.integers import add_scaled, centre, clip_norm, divide_half_up
from flchain.learning.parameters import STATE_BITS, Int64, QuantizedUpdate, State
from flchain.learning.payloads import Payload, encode_payload
from flchain.learning.personalisation import mask_local_layers
from flchain.learning.schemas import decode_update, get_aggregate_schema, get_update_schema
from flchain.learning.strategies import Step, get_strategy
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.policy import Policy, RuleSpec
from flchain.protocol.types import Bps

_WHOLE_BPS = 10_000
_AGGREGATOR = "weighted-mean"


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
class Aggregate:
    """The weighted sum of a round's updates, in units of 2^-shift.

    `weights` holds, in the order of the submissions, what each counted for: 0 is invalid.
    """

    sections: dict[str, Int64]
    weights: tuple[int, ...]

    @property
    def total_weight(self) -> int:
        """Sum of the weights; 0 if no update was valid."""
        return sum(self.weights)


def check_rules(policy: Policy) -> None:
    """Raise ConfigError, with the way out, if this version cannot run `policy`."""
    get_strategy(policy)
    if policy.aggregator != RuleSpec(_AGGREGATOR):
        raise ConfigError(f'policy: aggregator.name must be "{_AGGREGATOR}", without parameters')
    if policy.mode != "plain":
        raise ConfigError('policy: mode "secure" cannot be aggregated yet; write "plain"')


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
    submissions: Sequence[Submission], policy: Policy, round_key: bytes
) -> Aggregate:
    """Sum the valid updates by capped weight, holding one of them in memory at a time.

    Raises ConfigError if there are more submissions than the policy's max_agents, for which
    the sum could overflow.
    """
    if len(submissions) > policy.max_agents:
        raise ConfigError(f"{len(submissions)} updates, the policy allows {policy.max_agents}")
    check_rules(policy)
    most = policy.update.w_max
    declared = [item.weight if 0 < item.weight <= most else 0 for item in submissions]
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

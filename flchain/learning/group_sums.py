"""What stands for a round's weighted sum where it was divided into groups with a sum each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flchain.learning.aggregation import is_sum, reduce_rows
from flchain.learning.integers import centre, clip_norm, divide_half_up, saturate
from flchain.learning.parameters import Int32, Int64
from flchain.learning.schemas import get_update_schema
from flchain.protocol.policy import Policy


@dataclass(frozen=True)
class GroupSum:
    """The weighted sum of one group's updates, and of their weights, which is positive."""

    sections: dict[str, Int64]
    weight: int


def combine_groups(sums: Sequence[GroupSum], policy: Policy) -> dict[str, Int64]:
    """Return what stands for the weighted sum of all groups.

    The sum of their sums; or, for a robust rule, their total weight times the rule's centre of
    their means, each of them bounded as an update is. A rule counts groups, whatever they weigh,
    and equal scores are decided by their order. If they are too few for it to withstand none, the
    sum is zero and the model stays as it is.
    """
    if not is_sum(policy):
        rows = [_compute_means(each, policy) for each in sums]
        return reduce_rows(rows, sum(each.weight for each in sums), policy)
    # Modulo 2^32, like the sum of all members in one group.
    return {
        name: centre(sum((each.sections[name] for each in sums), np.zeros(size, np.int64)))
        for name, size in get_update_schema(policy).sections
    }


def _compute_means(group: GroupSum, policy: Policy) -> dict[str, Int32]:
    """Return a group's mean, rounded half up, within the bounds of a single update."""
    weight, update = group.weight, policy.update
    return {
        name: saturate(
            divide_half_up(clip_norm(section, update.clip * weight), weight),
            update.coordinate_bound,
        ).astype(np.int32)
        for name, section in group.sections.items()
    }

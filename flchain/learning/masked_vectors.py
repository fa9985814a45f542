"""Updates as rows of 32-bit integers to mask, and sums of them as sections again.

A row holds the sections of an update one after the other, times the agent's weight; under random-k
only the values at the round's places, which are the same for all agents. Weights and bounds are
such that no sum of rows leaves 32 bits (`flchain.protocol.policy.capacity`).
"""

from collections.abc import Iterator

import numpy as np

from flchain.learning.compression import build_frame, choose_places, is_compressed
from flchain.learning.parameters import Int32, Int64, QuantizedUpdate
from flchain.learning.schemas import get_update_schema
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Policy

_RATIO = "ratio"


def count_words(policy: Policy) -> int:
    """Return how many integers a row has."""
    return sum(_count_kept(policy, size) for _, size in get_update_schema(policy).sections)


def build_row(update: QuantizedUpdate, policy: Policy, round_key: bytes, weight: int) -> Int32:
    """Return what an agent masks: its weighted update."""
    parts = [
        section if places is None else section[places]
        for section, places in (
            (update.sections[name], places) for name, _, places in _iterate(policy, round_key)
        )
    ]
    return np.concatenate(parts).astype(np.int32) * np.int32(weight)


def read_sum(total: Int32, policy: Policy, round_key: bytes) -> dict[str, Int64]:
    """Return the sections of a sum of rows; what was not sent is zero.

    Raises EncodingError if the sum has another length than the round's rows.
    """
    if len(total) != count_words(policy):
        raise EncodingError(
            f"masked sum: {len(total)} values, the round's rows have {count_words(policy)}"
        )
    sections, start = {}, 0
    for name, size, places in _iterate(policy, round_key):
        width = size if places is None else len(places)
        part = total[start : start + width].astype(np.int64)
        start += width
        sections[name] = part if places is None else _expand(part, places, size)
    return sections


def _expand(part: Int64, places: Int64, size: int) -> Int64:
    section = np.zeros(size, np.int64)
    section[places] = part
    return section


def _iterate(policy: Policy, round_key: bytes) -> Iterator[tuple[str, int, Int64 | None]]:
    """Yield name, size and sent places of each section; None means all of them."""
    for name, size in get_update_schema(policy).sections:
        if is_compressed(policy):
            frame = build_frame(name, size, policy, round_key)
            yield name, size, choose_places(frame, policy.compression.get(_RATIO))
        else:
            yield name, size, None


def _count_kept(policy: Policy, size: int) -> int:
    return -(-size // policy.compression.get(_RATIO)) if is_compressed(policy) else size

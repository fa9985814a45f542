"""From validators' signed scores to what each update is paid for, in integers alone.

How much an update contributed is measured in floats on data that nobody else has, so it can't be
executed again. Each validator signs its own scores in basis points, and what counts is each
update's median over the validators: fewer than half of them can't move it beyond what the others
found. Whoever assembles a round needs the scores of a majority of the task's validators; with
fewer, updates are paid by their weight alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from flchain.protocol.canonical import CanonicalValue, encode_canonical
from flchain.protocol.digests import compute_majority
from flchain.protocol.types import Address, Bps, Digest, Signature

METHODS = (
    *("participation", "cosine", "leave-one-out", "shapley"),
    *("probe-accuracy", "mutual-information"),
)
"""How `rewards.contribution` may be measured; the first needs no scores."""
SHARES = frozenset({"leave-one-out", "shapley"})
"""Methods whose score is a share of the round, with the update's weight in it already."""


@dataclass(frozen=True, slots=True)
class SignedScores:
    """One validator's scores: (index of a submission, basis points), indices rising."""

    validator: Address
    scores: tuple[tuple[int, Bps], ...]
    signature: Signature


def compute_scores_digest(scores: Sequence[tuple[int, Bps]]) -> Digest:
    """Return the sha2-256 of the scores' canonical form, which the signature binds."""
    document: list[CanonicalValue] = [[index, int(score)] for index, score in scores]
    return Digest(hashlib.sha256(encode_canonical(document)).digest())


def compute_medians(
    signed: Sequence[SignedScores], survivors: Sequence[int], validators: int
) -> tuple[Bps, ...] | None:
    """Return the median score of each surviving submission; None if too few scores count.

    Scores count once for each validator and only if they cover every survivor; of an even number
    the median is the mean of the middle two, rounded down.
    """
    rows = {item.validator: dict(item.scores) for item in signed}
    complete = [row for row in rows.values() if all(index in row for index in survivors)]
    if len(complete) < compute_majority(validators):
        return None
    return tuple(_compute_median([row[index] for row in complete]) for index in survivors)


def compute_reward_weights(
    weights: Sequence[int], medians: Sequence[Bps] | None, method: str
) -> tuple[int, ...]:
    """Return by what the updates' rewards are shared out.

    `weights` are those in the sum: who counted for nothing there is paid nothing. A share is
    taken as it is, any other score times the weight. If no update contributed anything, or
    without medians, the weights alone decide.
    """
    if medians is None:
        return tuple(weights)
    factors = [bool(weight) if method in SHARES else weight for weight in weights]
    scored = tuple(int(f * median) for f, median in zip(factors, medians, strict=True))
    return scored if any(scored) else tuple(weights)


def _compute_median(values: Sequence[Bps]) -> Bps:
    ordered, count = sorted(values), len(values)
    return Bps((ordered[(count - 1) // 2] + ordered[count // 2]) // 2)

"""How much each update of a round contributed: a validator's judgement on its own data.

    cosine          cos(w_i delta_i, sum_j w_j delta_j), at least 0
    leave-one-out   v(N) - v(N without i), n + 1 evaluations
    shapley         GTG-Shapley, Liu et al. 2021, https://arxiv.org/abs/2109.02053: truncated Monte
                    Carlo over orders of joining, each agent first equally often
    probe-accuracy, mutual-information    of the parent plus delta_i alone; see
                    `aggregators.scoring`, whose filter they are made for

An update that points where another agent's update of the round before did is a copy: it scores 0
and helps nobody, whatever it is worth. Within a round nobody can copy, since updates are published
only once all are in.

v(S) is minus the loss of the parent plus the weighted mean of all updates, those outside S taken
as zero. Nothing is trained again. The paper divides by the weights in S alone; then whoever does
nothing shortens the step of the others, which is worth something on unlike data, and is paid for
it. Here an update of nothing is a null player, whose Shapley value is zero. Scores are floats;
`compute_shares` makes basis points of them, which is what a validator signs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flchain.learning.aggregators.scoring import (
    predict_labels,
    score_accuracy,
    score_mutual_information,
)
from flchain.learning.data.dataset import Dataset
from flchain.learning.parameters import Float32, NamedArrays, unflatten
from flchain.learning.training.base import Trainer
from flchain.protocol.policy import WHOLE_BPS, Layer
from flchain.protocol.types import Bps

Utility: TypeAlias = Callable[[frozenset[int]], float]
"""Maps the numbers of some updates to how good a model they give."""
Scores: TypeAlias = NDArray[np.float64]

COPY_COSINE = 0.95
"""From here on two updates count as the same. Honest agents with alike data stay below: each
starts from another model than in the round before, and sees its batches in another order."""
PROBES = frozenset({"probe-accuracy", "mutual-information"})
"""Methods that look at each update's own model, not at what it adds to the others."""
_WORST = -20.0
"""Utility of a model with an infinite loss, as if it were sure of wrong answers."""


@dataclass(frozen=True)
class ShapleyPlan:
    """When sampling ends: after `rounds` orders for each agent, or cut short.

    An order is cut where the model is within `truncation` of everybody's gain, as a part of it.
    """

    rounds: int = 4
    truncation: float = 0.01


@dataclass(frozen=True)
class Proposal:
    """What is scored: the parent's parameters and the updates, one row for each, with weights.

    `copies` are the rows that are other agents' earlier updates.
    """

    parent: Float32
    deltas: Float32
    weights: tuple[int, ...]
    layers: tuple[Layer, ...]
    copies: frozenset[int] = frozenset()


def build_utility(proposal: Proposal, trainer: Trainer, data: Dataset) -> Utility:
    """Return v, which remembers what it has evaluated."""
    known: dict[frozenset[int], float] = {}

    def compute(members: frozenset[int]) -> float:
        if members not in known:
            loss = trainer.evaluate(_build_model(proposal, members), data).loss
            known[members] = max(-loss, _WORST)
        return known[members]

    return compute


def find_copies(
    deltas: Float32, agents: Sequence[str], earlier: Mapping[str, Float32]
) -> frozenset[int]:
    """Return the rows of `deltas` that are alike to another agent's `earlier` update."""
    found = set()
    for index, (delta, agent) in enumerate(zip(deltas, agents, strict=True)):
        others = (vector for name, vector in earlier.items() if name != agent)
        if any(_compute_cosine(delta, vector) >= COPY_COSINE for vector in others):
            found.add(index)
    return frozenset(found)


def score_cosine(proposal: Proposal) -> Scores:
    """Return the cosine of each update to the weighted mean, at least 0."""
    weights = np.array(proposal.weights, np.float64)
    mean = weights @ proposal.deltas
    norms = np.linalg.norm(proposal.deltas.astype(np.float64), axis=1) * np.linalg.norm(mean)
    products = proposal.deltas @ mean
    return np.where(norms > 0, np.maximum(products, 0) / np.where(norms > 0, norms, 1), 0.0)


def score_leave_one_out(utility: Utility, members: Sequence[int], count: int) -> Scores:
    """Return v(N) - v(N without i) for each of `count` updates; 0 for those not in `members`."""
    everybody = frozenset(members)
    scores = np.zeros(count)
    for member in members:
        scores[member] = utility(everybody) - utility(everybody - {member})
    return scores


def score_shapley(
    utility: Utility,
    members: Sequence[int],
    count: int,
    rng: np.random.Generator,
    plan: ShapleyPlan | None = None,
) -> Scores:
    """Return estimated Shapley values, which add up to about v(N) - v(nobody)."""
    plan = plan or ShapleyPlan()
    whole, nothing = utility(frozenset(members)), utility(frozenset())
    margin = plan.truncation * abs(whole - nothing)
    scores, orders = np.zeros(count), 0
    for _ in range(plan.rounds):
        for first in members:
            rest = [member for member in members if member != first]
            order = [first, *rng.permutation(np.array(rest, np.int64)).tolist()]
            orders += 1
            _add_gains(scores, order, utility, nothing, (whole, margin))
    return scores / max(orders, 1)


def compute_shares(scores: Scores) -> tuple[Bps, ...]:
    """Return each positive score's share of their sum in basis points, rounded down.

    All are zero if none is positive. NaN counts as zero.
    """
    positive = np.where(np.isfinite(scores), np.maximum(scores, 0), 0)
    total = float(positive.sum())
    if total <= 0:
        return (Bps(0),) * len(scores)
    return tuple(Bps(int(WHOLE_BPS * (score / total))) for score in positive.tolist())


def compute_basis_points(scores: Scores) -> tuple[Bps, ...]:
    """Return scores between 0 and 1 in basis points, rounded down; NaN counts as 0."""
    cut = np.clip(np.nan_to_num(scores, nan=0.0), 0, 1)
    return tuple(Bps(int(WHOLE_BPS * score)) for score in cut.tolist())


def measure_contributions(
    method: str, proposal: Proposal, trainer: Trainer, data: Dataset, rng: np.random.Generator
) -> tuple[Bps, ...]:
    """Return what a validator signs by one of the policy's methods.

    Updates of weight 0, and copies, score 0 and help nobody.
    """
    weights = [0 if i in proposal.copies else w for i, w in enumerate(proposal.weights)]
    proposal, count = replace(proposal, weights=tuple(weights)), len(weights)
    members = [index for index, weight in enumerate(weights) if weight]
    if method == "cosine":
        return compute_basis_points(score_cosine(proposal) * np.sign(weights))
    if method in PROBES:
        return _score_probes(method, proposal, trainer, data)
    utility = build_utility(proposal, trainer, data)
    if method == "leave-one-out":
        return compute_shares(score_leave_one_out(utility, members, count))
    return compute_shares(score_shapley(utility, members, count, rng))


def _score_probes(
    method: str, proposal: Proposal, trainer: Trainer, data: Dataset
) -> tuple[Bps, ...]:
    """Return what each update's own model scores on `data`; 0 where the weight is 0."""
    points = [Bps(0)] * len(proposal.weights)
    members = [place for place, weight in enumerate(proposal.weights) if weight]
    if not members:
        return tuple(points)
    labels = predict_labels(
        trainer, proposal.parent, list(proposal.deltas[members]), proposal.layers, data
    )
    scores = (
        score_accuracy(labels, data.labels)
        if method == "probe-accuracy"
        else score_mutual_information(labels, data.classes)
    )
    for place, score in zip(members, scores, strict=True):
        points[place] = score
    return tuple(points)


def _compute_cosine(first: Float32, second: Float32) -> float:
    norms = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / norms if norms else 0.0


def _add_gains(
    scores: Scores,
    order: Sequence[int],
    utility: Utility,
    nothing: float,
    target: tuple[float, float],
) -> None:
    """Add what each update in `order` gains over those before it, until nothing is left to."""
    before, joined = nothing, frozenset[int]()
    for member in order:
        if abs(target[0] - before) < target[1]:
            return
        joined |= {member}
        after = utility(joined)
        scores[member] += after - before
        before = after


def _build_model(proposal: Proposal, members: frozenset[int]) -> NamedArrays:
    rows = sorted(members)
    weights = np.array([proposal.weights[row] for row in rows], np.float32)
    if not weights.sum():
        return unflatten(proposal.parent, proposal.layers)
    mean = (weights / sum(proposal.weights)) @ proposal.deltas[rows]
    return unflatten(proposal.parent + mean.astype(np.float32), proposal.layers)

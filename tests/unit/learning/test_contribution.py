"""Scores of contributions: known games, copies, and what becomes of them in integers."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from flchain.learning.contribution import (
    Proposal,
    ShapleyPlan,
    build_utility,
    compute_basis_points,
    compute_shares,
    find_copies,
    measure_contributions,
    score_cosine,
    score_leave_one_out,
    score_shapley,
)
from flchain.learning.data import load_digits
from flchain.learning.training import DenseTrainer
from flchain.protocol.contribution import (
    SignedScores,
    compute_medians,
    compute_reward_weights,
    compute_scores_digest,
)
from flchain.protocol.policy import ARCHITECTURES

WORTH = (5.0, 3.0, 0.0, -1.0)
EXACT = ShapleyPlan(rounds=400, truncation=0.0)
LAYERS = ARCHITECTURES["softmax-digits-v1"]


def add_up(members):
    return sum(WORTH[member] for member in members)


def glove(members):
    """One left glove (0) makes a pair with either right one (1, 2)."""
    return float(0 in members and bool({1, 2} & members))


def shapley_of(game, players):
    """Return the exact values, over all orders."""
    values, orders = np.zeros(players), list(permutations(range(players)))
    for order in orders:
        joined = frozenset()
        for player in order:
            values[player] += game(joined | {player}) - game(joined)
            joined |= {player}
    return values / len(orders)


def test_shapley__additive_game__gives_each_its_own_worth():
    found = score_shapley(add_up, range(4), 4, np.random.default_rng(0), ShapleyPlan(2, 0.0))
    assert np.allclose(found, WORTH)
    assert np.allclose(score_leave_one_out(add_up, range(4), 4), WORTH)


def test_shapley__glove_game__comes_near_the_exact_values():
    found = score_shapley(glove, range(3), 3, np.random.default_rng(1), EXACT)
    assert np.allclose(found, shapley_of(glove, 3), atol=0.03)
    assert score_leave_one_out(glove, range(3), 3).tolist() == [1, 0, 0]


def test_shapley__truncation__spares_evaluations_and_keeps_the_first_gains():
    calls = []

    def utility(members):
        calls.append(members)
        return float(bool(members))

    plan = ShapleyPlan(rounds=1, truncation=0.01)
    found = score_shapley(utility, range(5), 5, np.random.default_rng(0), plan)
    assert found.sum() == pytest.approx(1)
    assert len(calls) == 2 + 5


def test_shapley__same_generator__same_values():
    first, second = (
        score_shapley(glove, range(3), 3, np.random.default_rng(5)).tolist() for _ in range(2)
    )
    assert first == second


def make_proposal(**values):
    rng = np.random.default_rng(2)
    data = load_digits(0, 200)
    trainer = DenseTrainer(LAYERS)
    zeros = {layer.name: np.zeros(layer.shape, np.float32) for layer in LAYERS}
    gradient = trainer.compute_gradient(zeros, data)
    good = -np.concatenate([gradient[layer.name].ravel() for layer in LAYERS])
    noise = 0.01 * rng.standard_normal(650).astype(np.float32)
    deltas = np.stack([good, 0.9 * good + noise, noise, -good, good])
    fields = {"parent": np.zeros(650, np.float32), "deltas": deltas, "weights": (4, 4, 4, 4, 0)}
    return Proposal(layers=LAYERS, **fields | values), trainer, data


@pytest.mark.parametrize("method", ["cosine", "leave-one-out", "shapley"])
def test_measure__good_idle_and_harmful_updates__in_this_order(method):
    proposal, trainer, data = make_proposal(weights=(4, 4, 4, 1, 0))
    points = measure_contributions(method, proposal, trainer, data, np.random.default_rng(0))
    assert min(points[:2]) > points[2] >= points[3] == 0
    assert points[4] == 0
    assert all(0 <= point <= 10_000 for point in points)
    if method != "cosine":
        assert 9_990 <= sum(points) <= 10_000


@pytest.mark.parametrize("method", ["cosine", "leave-one-out", "shapley"])
def test_measure__copy__scores_nothing(method):
    proposal, trainer, data = make_proposal(copies=frozenset({1}))
    points = measure_contributions(method, proposal, trainer, data, np.random.default_rng(0))
    assert points[1] == 0
    assert points[0] > 0


def test_utility__nobody__is_the_parents():
    proposal, trainer, data = make_proposal()
    utility = build_utility(proposal, trainer, data)
    assert utility(frozenset()) == pytest.approx(-np.log(10), abs=1e-5)
    assert utility(frozenset({0})) > utility(frozenset()) > utility(frozenset({3}))


def test_utility__model_sure_of_wrong_answers__is_bad_within_bounds():
    proposal, trainer, data = make_proposal()
    wild = replace(proposal, deltas=proposal.deltas * np.float32(-1e6))
    assert build_utility(wild, trainer, data)(frozenset({0})) == -20


def test_copies__earlier_update_of_another__is_found_and_ones_own_is_not():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 500)).astype(np.float32)
    blurred = first + np.float32(0.2) * rng.standard_normal(500).astype(np.float32)
    deltas = np.stack([blurred, second, np.zeros(500, np.float32)])
    assert find_copies(deltas, ["0xb", "0xb", "0xc"], {"0xa": first, "0xb": second}) == {0}
    assert find_copies(deltas, ["0xa", "0xb", "0xc"], {"0xa": first}) == frozenset()


def test_cosine__no_update_at_all__is_zero():
    empty = Proposal(np.zeros(3), np.zeros((2, 3), np.float32), (1, 1), ())
    assert score_cosine(empty).tolist() == [0, 0]


def test_shares__any_scores__are_basis_points_of_the_positive():
    assert compute_shares(np.array([3.0, -5.0, 1.0, np.nan])) == (7_500, 0, 2_500, 0)
    assert compute_shares(np.array([-1.0, 0.0])) == (0, 0)
    assert compute_basis_points(np.array([-0.1, 0.25, 1.5])) == (0, 2_500, 10_000)


def sign(validator, *points):
    return SignedScores(validator, tuple(enumerate(points)), b"")


def test_medians__minority_of_any_kind__stays_between_what_the_others_found():
    honest = [sign(f"v{n}", 1_000 + n, 5_000 - n) for n in range(3)]
    for wild in (0, 10_000):
        signed = [*honest, sign("x", wild, wild), sign("y", wild, wild)]
        first, second = compute_medians(signed, (0, 1), 5)
        assert 1_000 <= first <= 1_002
        assert 4_998 <= second <= 5_000
    assert compute_medians(honest[:2], (0, 1), 2) == (1_000, 4_999)


def test_medians__too_few_or_incomplete_scores__are_none():
    signed = [sign("a", 1, 2), sign("b", 3, 4), sign("c", 5)]
    assert compute_medians(signed, (0, 1), 5) is None
    assert compute_medians(signed, (0,), 5) == (3,)
    assert compute_medians([sign("a", 1, 2)] * 5, (0, 1), 5) is None
    assert compute_medians([], (), 1) is None


def test_reward_weights__methods__use_weight_or_not():
    assert compute_reward_weights((4, 2, 0), (10, 30, 90), "shapley") == (10, 30, 0)
    assert compute_reward_weights((4, 2, 0), (10, 30, 90), "cosine") == (40, 60, 0)
    assert compute_reward_weights((4, 2, 0), None, "shapley") == (4, 2, 0)
    assert compute_reward_weights((4, 2, 0), (0, 0, 90), "shapley") == (4, 2, 0)


def test_scores_digest__any_change__changes_it():
    digests = {
        compute_scores_digest(scores)
        for scores in (((0, 1),), ((0, 2),), ((1, 1),), ((0, 1), (1, 1)), ())
    }
    assert len(digests) == 5

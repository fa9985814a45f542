"""Scores of validators, and the filters that act on them."""

import numpy as np
import pytest

from flchain.learning.aggregators import compute_median_scores, select_by_scores
from flchain.learning.aggregators.base import Points
from flchain.learning.aggregators.detectors import compute_cosines, filter_points
from flchain.learning.aggregators.scoring import (
    ScoreFilter,
    choose_probe,
    predict_labels,
    score_accuracy,
    score_mutual_information,
)
from flchain.learning.data import Dataset
from flchain.learning.training import DenseTrainer
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Layer

LABELS = np.array([[0, 1, 2, 0, 1, 2], [1, 2, 0, 1, 2, 0], [0, 0, 0, 0, 0, 0], [0, 1, 2, 0, 0, 0]])
SETTINGS = {"f": 1, "norm_bps": 20_000, "cosine_bps": 0, "min_clients": 1}


def list_kept(rows, **changes):
    rows = np.array(rows, np.int64)
    mix = filter_points(Points(rows @ rows.T), {**SETTINGS, **changes})
    return mix.matrix.argmax(axis=1).tolist()


def test_filter__long_and_backward_updates__are_dropped():
    rows = [[100, 10], [-90, 0], [100, 0], [110, -5], [1_000, 50]]
    assert list_kept(rows) == [0, 2, 3]
    assert list_kept(rows, cosine_bps=-10_000) == [0, 1, 2, 3]
    assert list_kept(rows, norm_bps=200_000) == [0, 2, 3, 4]


def test_filter__fewer_than_the_minimum__keeps_those_that_point_along():
    rows = [[100, 10], [-90, 0], [100, 0], [110, -5], [1_000, 50]]
    assert list_kept(rows, min_clients=4) == [0, 2, 3, 4]
    assert list_kept(rows, min_clients=9) == [0, 1, 2, 3, 4]


def test_cosines__of_a_combination__are_in_basis_points_towards_zero():
    rows = np.array([[3, 4], [-3, -4], [4, -3], [0, 0], [1, 0]])
    unit = np.array([0, 0, 0, 0, 7], object)
    assert compute_cosines(Points(rows @ rows.T), unit) == [6_000, -6_000, 8_000, 0, 10_000]


def test_median_scores__of_signed_vectors__are_by_agent():
    assert compute_median_scores([[1, 9, 5], [3, 9, 4], [2, 0, 4]]) == (2, 9, 4)
    assert compute_median_scores([[1, -3], [2, -4]]) == (1, -4)


def test_select__by_scores__keeps_a_share_of_the_median_and_never_too_few():
    scores = [8_000, 7_900, 3_999, 8_100, 100]
    assert ScoreFilter(5_000, 1, 10).select(scores) == [0, 1, 2, 3]
    assert ScoreFilter(5_100, 1, 10).select(scores) == [0, 1, 3]
    assert ScoreFilter(10_200, 2, 10).select(scores) == [0, 3]
    assert ScoreFilter(10_200, 9, 10).select(scores) == [0, 1, 2, 3, 4]
    assert select_by_scores([], 5_000, 3) == []


def test_accuracy__predictions__are_right_shares():
    assert score_accuracy(LABELS, LABELS[0]) == (10_000, 0, 3_333, 6_666)


def test_mutual_information__pairs__is_that_of_scikit_learn():
    more = [[2, 0, 0, 0, 0, 2], [2, 1, 0, 0, 0, 1], [1, 1, 0, 0, 2, 2], [0, 0, 1, 1, 2, 1]]
    found = score_mutual_information(np.concatenate([LABELS, more]), 3)
    # Means of sklearn.metrics.normalized_mutual_info_score over the pairs of each row.
    expected = [4006.97, 4006.97, 0.0, 3066.8, 2047.12, 3445.33, 3731.36, 3832.12]
    assert found == pytest.approx(expected, abs=1)


def test_mutual_information__permuted_labels__looks_perfect():
    assert score_mutual_information(LABELS[:2], 3) == pytest.approx((10_000, 10_000), abs=1)
    assert score_mutual_information(LABELS[:1], 3) == (10_000,)


def test_probe__of_a_size__is_random_rows_or_an_error():
    rows = Dataset("rows", np.arange(20).reshape(10, 2), np.arange(10), classes=10)
    probe = choose_probe(rows, 4, np.random.Generator(np.random.PCG64(1)))
    assert len(set(probe.labels.tolist())) == 4
    with pytest.raises(ConfigError, match="lower probe_size"):
        choose_probe(rows, 11, np.random.Generator(np.random.PCG64(1)))


def test_predictions__model_moved_by_updates__differ_by_agent():
    layers = (Layer("w", (2, 2)), Layer("b", (2,)))
    probe = Dataset("rows", np.array([[1, 0], [0, 1]]), [0, 1], classes=2)
    straight = np.array([1, 0, 0, 1, 0, 0], np.float32)
    updates = [straight, -straight, np.array([0, 0, 0, 0, 0, 1], np.float32)]
    found = predict_labels(DenseTrainer(layers), np.zeros(6, np.float32), updates, layers, probe)
    assert found.tolist() == [[0, 1], [1, 0], [1, 1]]

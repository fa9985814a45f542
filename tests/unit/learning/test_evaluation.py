import numpy as np
import pytest

from flchain.learning.evaluation import Evaluation, evaluate_scores, is_good_enough
from flchain.protocol.types import Bps


def test_evaluate__known_scores__give_accuracy_and_loss():
    scores = np.array([[2, 0], [0, 2], [2, 0]], np.float32)
    evaluation = evaluate_scores(scores, np.array([0, 1, 1]))
    assert evaluation.accuracy_bps == 6666
    assert evaluation.accuracy == 0.6666
    assert evaluation.samples == 3
    right, wrong = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert evaluation.loss == pytest.approx((2 * right + wrong) / 3, rel=1e-6)


def test_evaluate__huge_scores__do_not_overflow():
    assert evaluate_scores(np.array([[1e30, -1e30]], np.float32), np.array([0])).loss == 0


def test_evaluate__broken_model__is_wrong_with_infinite_loss():
    scores = np.array([[np.nan, 1], [1, 0]], np.float32)
    assert evaluate_scores(scores, np.array([0, 0])) == Evaluation(Bps(5000), float("inf"), 2)


def test_evaluate__no_rows__is_zero():
    assert evaluate_scores(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)).samples == 0


@pytest.mark.parametrize(
    ("candidate", "parent", "tolerance", "expected"),
    [
        (9000, 9000, 0, True),
        (8999, 9000, 0, False),
        (8800, 9000, 200, True),
        (8799, 9000, 200, False),
    ],
)
def test_good_enough__drop__is_judged_by_the_tolerance(candidate, parent, tolerance, expected):
    assert is_good_enough(candidate, parent, tolerance) is expected

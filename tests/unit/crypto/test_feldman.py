"""A share is checked against commitments, alike by libsecp256k1's sums and by py_ecc."""

import pytest

from flchain.crypto import feldman
from flchain.crypto.backend import Backend
from flchain.crypto.feldman import (
    commit_polynomial,
    evaluate_commitments,
    verify_share,
    verify_shares,
)
from flchain.crypto.groups import INFINITY
from flchain.crypto.secp256k1 import GENERATOR, ORDER, get_group
from flchain.crypto.shamir import evaluate_polynomial
from flchain.protocol.errors import EncodingError

POLYNOMIAL = (3**100, 5**80, ORDER - 1, 7**60)
COMMITMENTS = commit_polynomial(POLYNOMIAL)
GROUP = get_group()


def test_commit__both_backends__agree():
    assert commit_polynomial(POLYNOMIAL, Backend.REFERENCE) == COMMITMENTS


@pytest.mark.parametrize("place", [1, 2, 36, 37, 68, 5000, 2**13 + 1, ORDER - 1])
def test_verify_share__at_small_and_large_places__accepts_the_share_alone(place):
    share = evaluate_polynomial(POLYNOMIAL, place, ORDER)
    assert verify_share(COMMITMENTS, place, share)
    assert not verify_share(COMMITMENTS, place, (share + 1) % ORDER)
    assert not verify_share(COMMITMENTS, place, share + ORDER)
    assert not verify_share(COMMITMENTS, place, -1)


def test_verify_share__with_py_ecc__gives_the_same_answers():
    share = evaluate_polynomial(POLYNOMIAL, 3, ORDER)
    assert verify_share(COMMITMENTS, 3, share, Backend.REFERENCE)
    assert not verify_share(COMMITMENTS, 3, share + 1, Backend.REFERENCE)


@pytest.mark.parametrize("place", [5, 50])
def test_evaluate__partial_sum_is_infinity__is_computed_all_the_same(place):
    # The two highest commitments cancel at the place, which no honest dealer's do.
    high = GROUP.multiply(GENERATOR, 11)
    cancels = GROUP.negate(GROUP.multiply(high, place))
    commitments = (COMMITMENTS[0], cancels, high)
    assert evaluate_commitments(commitments, place) == COMMITMENTS[0]


def test_evaluate__all_of_it_is_infinity__is_infinity():
    negative = GROUP.negate(GROUP.multiply(GENERATOR, 4))
    assert evaluate_commitments((negative, GENERATOR), 4) == INFINITY
    assert verify_share((negative, GENERATOR), 4, 0)


def test_evaluate__small_and_general_way__agree(monkeypatch):
    fast = [evaluate_commitments(COMMITMENTS, place) for place in (1, 7, 40)]
    monkeypatch.setattr(feldman, "_MAX_REPEATED", 0)
    assert [evaluate_commitments(COMMITMENTS, place) for place in (1, 7, 40)] == fast


@pytest.mark.parametrize("bad", [(0, 1), (1, 0), (ORDER,), (-1,)])
def test_commit__coefficient_out_of_range__is_refused(bad):
    with pytest.raises(EncodingError, match="coefficients"):
        commit_polynomial(bad)


@pytest.mark.parametrize(("commitments", "place"), [((), 1), (COMMITMENTS, 0), (COMMITMENTS, -1)])
def test_evaluate__nothing_or_at_the_secret__is_refused(commitments, place):
    with pytest.raises(EncodingError, match="at least one"):
        evaluate_commitments(commitments, place)


OTHERS = [(5, 7, 11, 13), (3**90, 2, 5**70, 1), POLYNOMIAL]
MANY = [commit_polynomial(polynomial) for polynomial in OTHERS]
VALUES = [evaluate_polynomial(polynomial, 9, ORDER) for polynomial in OTHERS]
WEIGHTS = (5, 2**20 - 1, 2**13)


@pytest.mark.parametrize("backend", Backend)
def test_verify_shares__all_right__accepts_them(backend):
    assert verify_shares(MANY, 9, VALUES, WEIGHTS, backend)


@pytest.mark.parametrize("backend", Backend)
@pytest.mark.parametrize("wrong", range(3))
def test_verify_shares__one_wrong__is_noticed(backend, wrong):
    values = [value + (number == wrong) for number, value in enumerate(VALUES)]
    assert not verify_shares(MANY, 9, values, WEIGHTS, backend)


def test_verify_shares__of_another_place__is_noticed():
    assert not verify_shares(MANY, 8, VALUES, WEIGHTS)


def test_verify_shares__errors_that_cancel_without_weights__are_noticed():
    values = [VALUES[0] + 1, VALUES[1] - 1, VALUES[2]]
    assert verify_shares(MANY, 9, values, (1, 1, 1))
    assert not verify_shares(MANY, 9, values, WEIGHTS)


def test_verify_shares__not_reduced_or_summing_to_infinity__says_no():
    assert not verify_shares(MANY, 9, [VALUES[0] + ORDER, *VALUES[1:]], WEIGHTS)
    opposite = [tuple(map(GROUP.negate, MANY[0])), MANY[0]]
    assert not verify_shares(opposite, 9, [ORDER - VALUES[0], VALUES[0]], (3, 3))

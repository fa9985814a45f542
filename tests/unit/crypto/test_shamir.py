"""Any t shares restore a secret; t - 1 are consistent with every one."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.crypto.secp256k1 import ORDER
from flchain.crypto.shamir import (
    evaluate_polynomial,
    interpolate_polynomial,
    interpolate_secret,
)
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.secagg_round import compute_excess

SMALL = 31
SCALAR = st.integers(0, ORDER - 1)


@given(st.lists(SCALAR, min_size=1, max_size=12), st.data())
def test_interpolate__any_threshold_shares__restore_secret_and_polynomial(polynomial, data):
    places = data.draw(
        st.lists(
            st.integers(1, 200),
            min_size=len(polynomial),
            max_size=len(polynomial),
            unique=True,
        )
    )
    shares = {place: evaluate_polynomial(polynomial, place, ORDER) for place in places}
    assert interpolate_secret(shares, ORDER) == polynomial[0]
    assert interpolate_polynomial(shares, ORDER) == tuple(polynomial)


@pytest.mark.parametrize("place", [1, ORDER - 1])
def test_evaluate__extreme_places__are_the_definition(place):
    polynomial = (3, ORDER - 1, 7)
    expected = sum(c * place**k for k, c in enumerate(polynomial)) % ORDER
    assert evaluate_polynomial(polynomial, place, ORDER) == expected


def test_shares__one_less_than_needed__fit_every_secret_equally():
    # All polynomials of degree 2 over a small field: whatever two shares are seen, each secret
    # has exactly one polynomial behind it.
    seen = {}
    for polynomial in itertools.product(range(SMALL), repeat=3):
        pair = tuple(evaluate_polynomial(polynomial, place, SMALL) for place in (2, 5))
        seen.setdefault(pair, []).append(polynomial[0])
    assert len(seen) == SMALL**2
    assert all(sorted(secrets) == list(range(SMALL)) for secrets in seen.values())


def test_shares__enough__leave_one_secret():
    seen = {}
    for polynomial in itertools.product(range(7), repeat=3):
        triple = tuple(evaluate_polynomial(polynomial, place, 7) for place in (1, 2, 5))
        seen.setdefault(triple, set()).add(polynomial[0])
    assert all(len(secrets) == 1 for secrets in seen.values())


@pytest.mark.parametrize("secret", [0, 17])
def test_shares__one_less_than_needed__look_uniform_whatever_the_secret(secret):
    rng = np.random.default_rng(5)
    draws = rng.integers(0, SMALL, (10_000, 2))
    pairs = Counter(
        tuple(evaluate_polynomial((secret, int(a), int(b)), place, SMALL) for place in (1, 3))
        for a, b in draws
    )
    counts = [pairs[pair] for pair in itertools.product(range(SMALL), repeat=2)]
    assert compute_excess(counts) < 4


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ({}, "none given"),
        ({0: 1}, "above 0"),
        ({ORDER: 1}, "below the order"),
        ({1: ORDER}, "below the order"),
        ({1: -1}, "at least 0"),
    ],
)
def test_interpolate__impossible_shares__are_refused(shares, reason):
    for interpolate in (interpolate_secret, interpolate_polynomial):
        with pytest.raises(EncodingError, match=reason):
            interpolate(shares, ORDER)


def test_evaluate__where_the_secret_is__is_refused():
    with pytest.raises(EncodingError, match="above 0"):
        evaluate_polynomial((1, 2), 0, ORDER)

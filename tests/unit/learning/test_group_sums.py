"""Sums of groups: together the sum of all, or rows of a robust rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.learning.aggregation import check_rules
from flchain.learning.group_sums import GroupSum, combine_groups
from tests.e2e.federation import make_policy

WORDS = 650
MASKING = {"threshold": 3, "max_corrupt": 1}


def make_grouped(groups, aggregator=None):
    values = {
        "mode": "secure",
        "min_agents": 4,
        "min_survivors": 4,
        "max_agents": 64,
        "masking": MASKING | ({"groups": groups} if groups > 1 else {}),
    }
    return make_policy(**values, **({"aggregator": aggregator} if aggregator else {}))


def build_rule(name, **parameters):
    return {"name": name, "parameters": parameters}


MEAN = make_grouped(2)
MEDIAN = make_grouped(5, build_rule("median", f=2))


def make_sum(value, weight=1):
    return GroupSum({"delta": np.full(WORDS, value, np.int64)}, weight)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5))
def test_mean__any_sums__is_their_sum_modulo_two_to_the_32(values):
    found = combine_groups([make_sum(value) for value in values], MEAN)["delta"]
    expected = np.array(values, np.int64).astype(np.uint32).sum(dtype=np.uint32).astype(np.int32)
    assert found.dtype == np.int64
    assert (found == int(expected)).all()


@pytest.mark.parametrize("bad", [2**31 - 1, -(2**31), 0])
def test_median__two_of_five_anywhere__stays_among_the_others(bad):
    sums = [make_sum(value * 3, 3) for value in (10, 11, 12)] + [make_sum(bad, 3)] * 2
    found = combine_groups(sums, MEDIAN)["delta"]
    assert 15 * 10 <= found.min() <= found.max() <= 15 * 12


def test_median__groups_of_other_weights__count_alike_and_weigh_together():
    sums = [make_sum(5 * 100, 100), make_sum(7, 1), make_sum(8 * 2, 2)]
    assert (combine_groups(sums, MEDIAN)["delta"] == 7 * 103).all()


def test_median__mean_of_a_group__is_rounded_half_up_and_bounded():
    assert (combine_groups([make_sum(5, 2)], MEDIAN)["delta"] == 3 * 2).all()
    assert (combine_groups([make_sum(-5, 2)], MEDIAN)["delta"] == -2 * 2).all()
    update = MEDIAN.update
    found = combine_groups([make_sum(2**31 - 1, 1)], MEDIAN)["delta"]
    assert 0 < found.max() <= update.coordinate_bound
    assert float(np.linalg.norm(found.astype(float))) <= update.clip


def test_rule__fewer_groups_than_it_needs__leaves_the_model_as_it_is():
    krum = make_grouped(5, build_rule("krum", f=1))
    check_rules(krum)
    for count, is_zero in ((2, True), (3, False)):
        found = combine_groups([make_sum(9)] * count, krum)["delta"]
        assert (found == 0).all() == is_zero


@pytest.mark.parametrize("name", ["median", "trimmed-mean", "geometric-median"])
def test_rules__enough_groups__are_accepted(name):
    parameters = {"f": 1} | ({"iterations": 3} if name == "geometric-median" else {})
    check_rules(make_grouped(3, build_rule(name, **parameters)))

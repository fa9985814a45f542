"""Degrees and thresholds keep their bounds, and sums stay within 32 bits."""

from math import comb

import numpy as np
import pytest

from flchain.crypto.secagg.errors import CapacityExceeded, NoParameters
from flchain.crypto.secagg.masking import from_words, to_words
from flchain.crypto.secagg.masks import sum_words
from flchain.crypto.secagg.parameters import Parameters, check_capacity, compute_parameters

TABLE = {
    (100, 1000): (42, 11, 32),
    (100, 2000): (54, 21, 44),
    (100, 3300): (78, 34, 68),
    (200, 1000): (42, 20, 27),
    (200, 2000): (56, 33, 39),
    (200, 3300): (80, 52, 61),
    (500, 1000): (44, 24, 26),
    (500, 2000): (60, 39, 39),
    (500, 3300): (90, 63, 64),
    (1000, 1000): (46, 26, 26),
    (1000, 2000): (68, 43, 44),
    (1000, 3300): (102, 72, 72),
    (5000, 1000): (52, 30, 30),
    (5000, 2000): (76, 48, 48),
    (5000, 3300): (120, 84, 84),
}
"""Agents and corrupt share in basis points, with a tenth dropping out: k, lowest and highest t."""


@pytest.mark.parametrize(("asked", "expected"), TABLE.items(), ids=str)
def test_parameters__of_the_published_table__are_found(asked, expected):
    assert compute_parameters(*asked, 1000) == Parameters(*expected)


def count_tail(population, marked, drawn, least):
    return sum(
        comb(marked, i) * comb(population - marked, drawn - i) for i in range(least, drawn + 1)
    )


@pytest.mark.parametrize("asked", [(100, 2000), (1000, 2000), (1000, 3300)], ids=str)
def test_parameters__one_step_further__break_a_bound(asked):
    agents, corruption = asked
    found = compute_parameters(*asked, 1000)
    draws = comb(agents - 1, found.degree)
    corrupt, dropped = agents * corruption // 10_000, agents // 10

    def is_private(threshold):
        tail = count_tail(agents - 1, corrupt, found.degree, threshold)
        return agents * tail * 2**40 <= draws

    def is_live(threshold):
        tail = count_tail(agents - 1, dropped, found.degree, found.degree - threshold + 1)
        return agents * tail * 2**20 <= draws

    assert is_private(found.lowest)
    assert not is_private(found.lowest - 1)
    assert is_live(found.highest)
    assert not is_live(found.highest + 1)


@pytest.mark.parametrize(
    ("asked", "lowest", "highest"),
    [((10, 2000, 2000), 3, 7), ((6, 1700, 1700), 2, 4), ((64, 3300, 1000), 22, 57)],
)
def test_parameters__of_a_small_federation__are_the_complete_graph(asked, lowest, highest):
    found = compute_parameters(*asked)
    assert found == Parameters(asked[0] - 1, lowest, highest)
    assert found.threshold == highest


def test_parameters__too_few_agents_for_a_circle__are_the_complete_graph():
    assert compute_parameters(66, 3300, 3000).degree == 65


@pytest.mark.parametrize(
    "asked",
    [
        (1, 0, 0),
        (0, 0, 0),
        (10, 5000, 5000),
        (10, 9000, 1000),
        (1000, 6000, 4500),
        (10, -1, 0),
        (2**16 + 1, 1000, 1000),
    ],
    ids=str,
)
def test_parameters__promises_nothing_keeps__are_refused(asked):
    with pytest.raises(NoParameters, match="secure aggregation"):
        compute_parameters(*asked)


def test_capacity__largest_sum_that_fits__is_accepted_and_fits():
    agents, bound, weight = 3, (2**31 - 1) // (3 * 5), 5
    check_capacity(agents, bound, weight)
    for sign in (1, -1):
        largest = np.full(4, sign * bound * weight, np.int32)
        total = from_words(sum_words([to_words(largest)] * agents, 4))
        assert total.tolist() == [sign * bound * weight * agents] * 4


def test_capacity__where_overflow_becomes_possible__is_refused_and_wrong():
    # 4 * 2^27 * 4 is 2^31 exactly: the smallest product that is refused.
    check_capacity(4, 2**27 - 1, 4)
    with pytest.raises(CapacityExceeded, match="reach 2\\^31"):
        check_capacity(4, 2**27, 4)
    total = from_words(sum_words([to_words(np.array([2**29], np.int32))] * 4, 1))
    assert total[0] != 2**31

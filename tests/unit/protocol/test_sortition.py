import hashlib
import json
import math
from decimal import Decimal, getcontext
from pathlib import Path

import numpy as np
import pytest
import scipy  # type: ignore[import-untyped]  # published without types
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from flchain.chain.spec.committees import EXPECTED_PER_SEAT, compute_cap
from flchain.protocol import sortition
from flchain.protocol.digests import compute_quorum
from flchain.protocol.errors import EncodingError
from flchain.protocol.sortition import EVERYBODY, ONE, Electorate
from tests.programs import run_check

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/vectors/sortition.json").read_text(encoding="utf-8"))
REGISTRY = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
DRAW = {"role": 3, "attempt": 4, "seed": b"\x05" * 32}
OUTPUTS = st.binary(min_size=32, max_size=32)
WEIGHTS = st.integers(0, 2**96 - 1)


def output(*parts):
    return hashlib.sha256(repr(parts).encode()).digest()


def test_vectors__generator__still_makes_them(monkeypatch):
    assert run_check("write_sortition_vectors", monkeypatch) == 0


@pytest.mark.parametrize("case", VECTORS["first"])
def test_case__vector__has_its_seats_but_not_for_another_output(case):
    electorate = Electorate(int(case["total"]), case["members"], case["expected"], case["cap"])
    data = bytes.fromhex(case["output"][2:])
    weight, level = int(case["weight"]), case["level"]
    assert sortition.count_seats(electorate, weight, data, level) == case["seats"]
    # The highest output wins the most seats, and the lowest none, except where everybody does.
    most = sortition.count_seats(electorate, weight, b"\xff" * 32, level)
    least = sortition.count_seats(electorate, weight, bytes(32), level)
    assert least <= case["seats"] <= most or electorate.total == 0


@given(rate=st.integers(0, 2**80 - 1) | st.integers(0, 100 << 64) | st.integers(0, 2**64))
def test_exp__any_rate__is_within_its_stated_error(rate):
    getcontext().prec = 80
    exact = (-Decimal(rate) / 2**64).exp() * 2**128
    error = abs(Decimal(sortition.compute_exp(rate)) - exact)
    assert error <= exact / 2**76 + 2
    assert sortition.compute_exp(rate) <= ONE


@given(rate=st.integers(0, 90 << 64), step=st.integers(2**20, 2**70))
def test_exp__larger_rate__is_never_larger(rate, step):
    assert sortition.compute_exp(rate + step) <= sortition.compute_exp(rate)


@pytest.mark.parametrize("mean", ["0.001", "0.1", "0.7", "1", "3", "10", "40"])
def test_poisson__cumulative_bounds__are_those_of_the_distribution(mean):
    rate = int(Decimal(mean) * 2**64)
    for seats in range(21):
        bound = int(scipy.stats.poisson.cdf(seats, float(mean)) * 2**128)
        slack = 2**128 >> 40
        if bound > slack:
            assert sortition.count_poisson(bound - slack, rate, 64) <= seats
        if bound + slack < ONE:
            assert sortition.count_poisson(bound + slack, rate, 64) > seats


@given(
    weight=WEIGHTS,
    others=WEIGHTS,
    expected=st.integers(1, 128),
    cap=st.integers(1, 21),
    data=OUTPUTS,
)
def test_count_seats__raised_level__only_adds(weight, others, expected, cap, data):
    electorate = Electorate(weight + others, 100, expected, cap)
    counts = [sortition.count_seats(electorate, weight, data, level) for level in range(5)]
    assert counts == sorted(counts)
    assert max(counts) <= cap
    assert counts[EVERYBODY] >= (weight > 0)
    assert counts[EVERYBODY + 1] == counts[EVERYBODY]


# Above it the exponential's own error, 2^-76, decides.
@given(
    uniform=st.integers(0, ONE - (ONE >> 68)),
    rate=st.integers(0, 600 << 64),
    cap=st.integers(0, 21),
)
def test_poisson__doubled_rate__alone_never_takes_a_seat(uniform, rate, cap):
    single = sortition.count_poisson(uniform, rate, cap)
    assert single <= sortition.count_poisson(uniform, 2 * rate, cap) <= cap


@given(data=OUTPUTS, more=st.integers(0, 2**96), weight=WEIGHTS, others=WEIGHTS)
def test_count_seats__higher_output__never_wins_fewer(data, more, weight, others):
    electorate = Electorate(weight + others + 1, 9, 10, 21)
    higher = min(int.from_bytes(data, "big") + (more << 128), 2**256 - 1).to_bytes(32, "big")
    low = sortition.count_seats(electorate, weight, data)
    assert low <= sortition.count_seats(electorate, weight, higher)


def test_count_seats__no_weight_in_a_weighted_draw__wins_nothing_at_any_level():
    electorate = Electorate(10, 5, 10, 3)
    assert not any(sortition.count_seats(electorate, 0, b"\xff" * 32, level) for level in range(5))


@given(data=OUTPUTS, members=st.integers(1, 2**32 - 1), expected=st.integers(1, 128))
def test_count_seats__unweighted__is_the_rule_without_rounding(data, members, expected):
    electorate = Electorate(0, members, expected, 1)
    beta = int.from_bytes(data, "big")
    seats = sortition.count_seats(electorate, 0, data)
    assert seats == (beta * members < expected * 2**256)
    assert sortition.count_seats(electorate, 0, data, EVERYBODY) == 1


@pytest.mark.parametrize(("members", "expected"), [(3, 1), (10, 7), (2**31 + 11, 5)])
def test_count_seats__unweighted_boundary__is_exact(members, expected):
    electorate = Electorate(0, members, expected, 1)
    first_lost = -(-expected * 2**256 // members)
    for beta, seats in ((first_lost - 1, 1), (first_lost, 0)):
        assert sortition.count_seats(electorate, 0, beta.to_bytes(32, "big")) == seats


@pytest.mark.parametrize(
    ("seats", "cap"), [(1, 1), (4, 1), (5, 1), (7, 2), (9, 2), (10, 3), (21, 6), (32, 10), (64, 21)]
)
def test_cap__seats__is_below_a_third(seats, cap):
    assert sortition.compute_cap(seats) == cap
    # One identity alone can block no quorum.
    assert cap == 1 or seats - cap >= compute_quorum(seats)


@given(data=OUTPUTS, index=st.integers(0, 63), member=st.integers(0, 2**16 - 1))
def test_seat__score_and_member__share_64_bits(data, index, member):
    seat = sortition.compute_seat(data, index, member)
    digest = keccak(encode(["bytes32", "uint256"], [data, index]))
    assert seat >> 16 == int.from_bytes(digest[:6], "big")
    assert sortition.get_member(seat) == member
    assert sortition.compute_seat(data, index + 1, member) != seat


def test_draw_message__abi__is_the_contracts():
    types = ["string", "uint256", "address", "uint64", "uint32", "uint8", "uint8", "bytes32"]
    values = ["flchain.vrf.v1", 31337, REGISTRY, 1, 2, 3, 4, b"\x05" * 32]
    message = sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW)
    assert message == keccak(encode(types, values))
    assert "0x" + message.hex() == VECTORS["draw_message"]


def test_draw_message__any_other_field__differs():
    others = [
        sortition.draw_message(1, REGISTRY, 1, 2, **DRAW),
        sortition.draw_message(31337, ACCOUNT, 1, 2, **DRAW),
        sortition.draw_message(31337, REGISTRY, 2, 2, **DRAW),
        sortition.draw_message(31337, REGISTRY, 1, 3, **DRAW),
        sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW | {"role": 4}),
        sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW | {"attempt": 3}),
        sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW | {"seed": bytes(32)}),
        sortition.possession_message(31337, REGISTRY, ACCOUNT),
    ]
    assert len({*others, sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW)}) == 9
    with pytest.raises(EncodingError, match="do not fit"):
        sortition.draw_message(31337, REGISTRY, 1, 2, **DRAW | {"role": 256})


def test_possession_message__abi__is_the_contracts():
    types = ["string", "uint256", "address", "address"]
    values = ["flchain.vrf.pop.v1", 31337, REGISTRY, ACCOUNT]
    message = sortition.possession_message(31337, REGISTRY, ACCOUNT)
    assert message == keccak(encode(types, values))
    assert "0x" + message.hex() == VECTORS["possession_message"]


# Statistics; outputs are hashes of fixed names, so each test sees the same numbers every time.


def test_seats__many_draws__follow_stake():
    weights = [1, 2, 3, 5, 8, 13, 21, 47]
    electorate = Electorate(sum(weights), len(weights), 10, 64)
    draws = 1000
    won = np.zeros(len(weights))
    for draw in range(draws):
        for member, weight in enumerate(weights):
            won[member] += sortition.count_seats(electorate, weight, output("stake", draw, member))
    expected = np.array(weights) / sum(weights) * 10 * draws
    # Independent Poisson sums: the squared deviations over the means are chi-square distributed.
    statistic = float(((won - expected) ** 2 / expected).sum())
    assert scipy.stats.chi2.sf(statistic, len(weights)) > 0.001
    skewed = expected * np.linspace(0.9, 1.1, len(weights))
    assert scipy.stats.chi2.sf(float(((won - skewed) ** 2 / skewed).sum()), len(weights)) < 0.001


def test_seats__one_stake_split_in_many__wins_as_often():
    whole = Electorate(100, 2, 10, 64)
    draws = 1000
    together = sum(sortition.count_seats(whole, 30, output("whole", d)) for d in range(draws))
    apart = sum(
        sortition.count_seats(whole, 10, output("split", d, part))
        for d in range(draws)
        for part in range(3)
    )
    assert abs(together - apart) < 4 * math.sqrt(together + apart)


def test_seats__distribution__is_poissons():
    electorate = Electorate(4, 4, 8, 64)
    counts = np.bincount(
        [sortition.count_seats(electorate, 1, output("law", draw)) for draw in range(6000)],
        minlength=8,
    )
    observed = np.append(counts[:7], counts[7:].sum())
    law = scipy.stats.poisson.pmf(np.arange(7), 2)
    expected = 6000 * np.append(law, 1 - law.sum())
    assert scipy.stats.chisquare(observed, expected).pvalue > 0.001


@pytest.mark.parametrize(
    ("seats", "multiple", "stated"),
    [
        (7, 1.5, 0.10),
        (7, 2, 0.014),
        (7, 2.5, 0.0015),
        (15, 1.5, 0.039),
        (15, 2, 0.0009),
        (21, 1.5, 0.020),
        (21, 2, 0.00013),
        (32, 1.5, 0.006),
        (32, 2, 4e-6),
    ],
)
def test_shortfall__formula__is_the_stated_probability(seats, multiple, stated):
    # The seats of all members together are Poisson(tau), whatever the stakes.
    assert scipy.stats.poisson.cdf(seats - 1, round(multiple * seats)) == pytest.approx(
        stated, rel=0.35
    )


@pytest.mark.parametrize("seats", [5, 7])
def test_shortfall__drawn_as_the_contract_does__has_its_probability(seats):
    draws, expected = 600, EXPECTED_PER_SEAT * seats
    members, cap = 30, compute_cap(seats)
    electorate = Electorate(members, members, expected, cap)
    short = 0
    for draw in range(draws):
        won = sum(
            sortition.count_seats(electorate, 1, output("short", draw, member))
            for member in range(members)
        )
        short += won < seats
    # Each member's seats are Poisson up to the cap.
    below = scipy.stats.poisson.pmf(range(cap), expected / members)
    each = np.append(below, 1 - sum(below))
    total = np.ones(1)
    for _ in range(members):
        total = np.convolve(total, each)
    assert scipy.stats.binomtest(short, draws, sum(total[:seats])).pvalue > 0.001


@pytest.mark.parametrize(
    ("seats", "share", "stated"),
    [
        (7, 0.1, 2e-4),
        (7, 0.2, 5e-3),
        (7, 1 / 3, 4e-2),
        (15, 0.1, 9e-9),
        (15, 0.2, 1e-5),
        (15, 1 / 3, 2e-3),
        (21, 0.1, 3e-11),
        (21, 0.2, 5e-7),
        (21, 1 / 3, 4e-4),
        (32, 0.1, 2e-15),
        (32, 0.2, 3e-9),
        (32, 1 / 3, 4e-5),
        (50, 0.2, 3e-13),
        (50, 1 / 3, 4e-7),
    ],
)
def test_bad_quorum__formula__is_the_stated_probability(seats, share, stated):
    bad = scipy.stats.binom.sf(compute_quorum(seats) - 1, seats, share)
    assert bad == pytest.approx(stated, rel=0.5)


@pytest.mark.parametrize("seats", [5, 7])
def test_bad_quorum__drawn_with_a_third_malicious__is_no_likelier_than_stated(seats):
    members, draws = 18, 500
    electorate = Electorate(members, members, EXPECTED_PER_SEAT * seats, compute_cap(seats))
    bad = 0
    for draw in range(draws):
        candidates = []
        for member in range(members):
            data = output("bad", seats, draw, member)
            won = sortition.count_seats(electorate, 1, data)
            candidates += [sortition.compute_seat(data, index, member) for index in range(won)]
        committee = sorted(candidates)[:seats]
        malicious = sum(sortition.get_member(seat) < members // 3 for seat in committee)
        bad += malicious >= compute_quorum(seats)
    # Nobody holds more than a third, which makes it rarer than the formula says.
    probability = scipy.stats.binom.sf(compute_quorum(seats) - 1, seats, 1 / 3)
    assert scipy.stats.binomtest(bad, draws, probability, alternative="greater").pvalue > 0.001

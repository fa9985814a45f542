"""Every robust rule against a slow model of it in Python integers and fractions, and its laws."""

import math
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flchain.learning.aggregation import Submission, aggregate_updates, encode_aggregate
from flchain.learning.aggregators import AGGREGATORS, STAGES, build_aggregator, find_centre
from flchain.learning.aggregators.exact import compute_gram, multiply
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.presets import load_preset
from flchain.learning.schemas import encode_update

SIZE = 4
KEY = bytes(range(32))
SETTINGS = {
    "iterations": 3,
    "radius_bps": 9_000,
    "bucket": 2,
    "closeness_bps": 6_000,
    "norm_bps": 15_000,
    "cosine_bps": 500,
    "min_clients": 3,
    "score_bps": 5_000,
}
WHOLE = 2**20
CHAINS = [
    "mean",
    "median",
    "trimmed-mean",
    "krum",
    "multikrum",
    "bulyan",
    "geometric-median",
    "centred-clipping",
    "nnm/mean",
    "nnm/median",
    "nnm/trimmed-mean",
    "nnm/krum",
    "bucketing/median",
    "bucketing/multikrum",
    "norm-clipping/mean",
    "norm-clipping/nnm/trimmed-mean",
    "detectors/mean",
    "detectors/geometric-median",
    "crowds/geometric-median",
    "crowds/trimmed-mean",
    "crowds/nnm/krum",
]
# Rules whose centre moves along when every update is moved by the same vector. Clipping and
# detectors measure from zero, as do the first steps of the two iterated centres.
EQUIVARIANT = [
    "mean",
    "median",
    "trimmed-mean",
    "krum",
    "multikrum",
    "bulyan",
    "nnm/trimmed-mean",
    "nnm/krum",
    "bucketing/median",
]

values = st.integers(-(2**18), 2**18)
row = st.lists(values, min_size=SIZE, max_size=SIZE)
few = st.lists(row, min_size=1, max_size=9)
names = st.sampled_from(CHAINS)


def find(name, rows, f=None):
    """Return the centre as fractions, and the settings that the rule could run with."""
    rule = build_aggregator(name)
    settings = rule.weaken(len(rows), {**SETTINGS, "f": 4 if f is None else f})
    if settings is None:
        return None, None
    centre = find_centre(rule, [np.array(line, np.int32) for line in rows], settings)
    return [Fraction(value, centre.divisor) for value in centre.values.tolist()], settings["f"]


def dot(first, second):
    return sum(a * b for a, b in zip(first, second, strict=True))


def measure(first, second):
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


def average(rows):
    return [sum(column, Fraction(0)) / len(rows) for column in zip(*rows, strict=True)]


def halve(numbers):
    ordered = sorted(numbers)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def score(rows, f):
    closest = max(1, len(rows) - f - 2)
    return [
        sum(sorted(measure(own, other) for j, other in enumerate(rows) if j != i)[:closest])
        for i, own in enumerate(rows)
    ]


def rank(scores):
    return sorted(range(len(scores)), key=lambda place: (scores[place], place))


# Rows of a model are lists of integers over a divisor that all share: (rows, divisor).
def model_nnm(rows, unit, f):
    mixed = []
    for own in rows:
        order = rank([measure(own, other) for other in rows])[: len(rows) - f]
        mixed.append([sum(rows[place][k] for place in order) for k in range(SIZE)])
    return mixed, unit * (len(rows) - f)


def model_bucketing(rows, unit, f):
    del f
    buckets = [rows[start : start + 2] for start in range(0, len(rows), 2)]
    whole = math.lcm(*(len(bucket) for bucket in buckets))
    mixed = [
        [sum(column) * whole // len(bucket) for column in zip(*bucket, strict=True)]
        for bucket in buckets
    ]
    return mixed, unit * whole


def model_clipping(rows, unit, f):
    del f
    norms = [math.isqrt(max(0, dot(line, line) - 1)) + 1 for line in rows]
    limit = halve(norms)
    factors = [min(2**15, limit * 2**15 // norm) for norm in norms]
    clipped = [[v * k for v in line] for k, line in zip(factors, rows, strict=True)]
    return clipped, unit * 2**15


def model_detectors(rows, unit, f):
    del f
    coefficients = model_weiszfeld(rows, unit, 8)
    middle = combine(coefficients, rows)
    norms = [math.isqrt(dot(line, line)) for line in rows]
    cosines = []
    for line in rows:
        squares, product = dot(line, line) * dot(middle, middle), dot(line, middle)
        cosine = math.isqrt(product**2 * 10**8 // squares) if squares else 0
        cosines.append(cosine if product > 0 else -cosine)
    fine = [
        norm * 10**4 <= halve(norms) * 15_000 and cosine >= 500
        for norm, cosine in zip(norms, cosines, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda i: (not fine[i], -cosines[i], i))
    return [rows[i] for i in sorted(order[: max(sum(fine), 3)])], unit


def model_crowds(rows, unit, f):
    distances = sorted(measure(a, b) for i, a in enumerate(rows) for b in rows[:i])
    if not distances:
        return rows, unit
    honest = max(2, len(rows) - f)
    place = f * (f - 1) // 2 + math.ceil(Fraction(honest * (honest - 1), 4))
    limit = Fraction(36, 100) * distances[min(place, len(distances)) - 1]
    kept = []
    for line in rows:
        if all(measure(line, other) > limit for other in kept):
            kept.append(line)
    return kept, unit


def combine(coefficients, rows):
    return [dot(coefficients, column) for column in zip(*rows, strict=True)]


def radii(rows, coefficients):
    middle = combine(coefficients, rows)
    return [math.isqrt(measure([WHOLE * v for v in line], middle)) for line in rows]


def model_weiszfeld(rows, unit, iterations):
    coefficients = [0] * len(rows)
    for _ in range(iterations):
        lengths = [max(length, WHOLE * unit) for length in radii(rows, coefficients)]
        weights = [(min(lengths) << 40) // length for length in lengths]
        coefficients = [WHOLE * weight // sum(weights) for weight in weights]
        coefficients[weights.index(max(weights))] += WHOLE - sum(coefficients)
    return coefficients


def model_clipped_centre(rows):
    coefficients, count = [0] * len(rows), len(rows)
    for _ in range(3):
        lengths = radii(rows, coefficients)
        limit = halve(lengths) * 9_000 // 10_000
        shares = [min(WHOLE, limit * WHOLE // r) if r else WHOLE for r in lengths]
        kept = count * WHOLE - sum(shares)
        coefficients = [
            (c * kept + WHOLE * share) // (count * WHOLE)
            for c, share in zip(coefficients, shares, strict=True)
        ]
    return coefficients


def model_bulyan(rows, f):
    left, chosen = list(rows), []
    while len(chosen) < len(rows) - 2 * f:
        chosen += [left.pop(rank(score(left, f))[0])]
    kept = len(chosen) - 2 * f
    centre = []
    for column in zip(*chosen, strict=True):
        ordered, middle = sorted(column), halve(column)
        runs = [ordered[start : start + kept] for start in range(2 * f + 1)]
        best = min(runs, key=lambda run: max(middle - run[0], run[-1] - middle))
        centre.append(Fraction(sum(best), kept))
    return centre


def model_rule(name, rows, unit, f):
    count = len(rows)
    if name == "mean":
        return average(rows)
    if name == "median":
        return [halve(column) for column in zip(*rows, strict=True)]
    if name == "trimmed-mean":
        middle = [sorted(column)[f : count - f] for column in zip(*rows, strict=True)]
        return [Fraction(sum(kept), len(kept)) for kept in middle]
    if name in {"krum", "multikrum"}:
        wanted = 1 if name == "krum" else count - f
        return average([rows[place] for place in rank(score(rows, f))[:wanted]])
    if name == "bulyan":
        return model_bulyan(rows, f)
    is_median = name == "geometric-median"
    coefficients = model_weiszfeld(rows, unit, 3) if is_median else model_clipped_centre(rows)
    return [Fraction(value, WHOLE) for value in combine(coefficients, rows)]


def find_by_model(name, rows, f):
    *before, last = name.split("/")
    stages = {
        "crowds": model_crowds,
        "nnm": model_nnm,
        "bucketing": model_bucketing,
        "norm-clipping": model_clipping,
        "detectors": model_detectors,
    }
    unit, left = 1, [*before, last]
    for stage in before:
        count, left = len(rows), left[1:]
        rows, unit = stages[stage](rows, unit, f)
        dropped = count - len(rows) if stage == "crowds" else 0
        wanted = {**SETTINGS, "f": max(0, f - dropped)}
        weaker = build_aggregator("/".join(left)).weaken(len(rows), wanted)
        if weaker is None:
            return [Fraction(0)] * SIZE
        f = weaker["f"]
    return [value / Fraction(unit) for value in model_rule(last, rows, unit, f)]


def test_chains__of_these_tests__hold_every_rule_and_stage():
    parts = {part for name in CHAINS for part in name.split("/")}
    # `scores` goes by what validators signed, not by points: it has laws of its own below.
    assert parts | {"scores"} == set(AGGREGATORS) | set(STAGES)


@given(names, few)
def test_rule__any_rows__equals_its_model(name, rows):
    centre, f = find(name, rows)
    if centre is None:
        assert len(rows) < 3 or ("bucketing" in name and len(rows) < 6)
        return
    expected = find_by_model(name, rows, f)
    # Combinations over a divisor above 2^20 are rounded to it, by half a unit for each row.
    slack = Fraction(len(rows) * 2**18, 2**20) if "/" in name or f is None else 0
    is_short = name not in {"norm-clipping/mean", "norm-clipping/nnm/trimmed-mean"}
    slack = 0 if is_short and name != "detectors/geometric-median" else slack
    for found, wanted in zip(centre, expected, strict=True):
        assert abs(found - wanted) <= slack


@given(names, st.lists(row, min_size=3, max_size=8), st.randoms(use_true_random=False))
def test_aggregate__submissions_in_any_order__is_the_same_to_the_byte(name, rows, shuffler):
    policy = make_policy(name)
    submissions = [submit(policy, index, line) for index, line in enumerate(rows)]
    shuffled = shuffler.sample(submissions, len(submissions))
    first, second = (aggregate_updates(order, policy, KEY) for order in (submissions, shuffled))
    assert encode_aggregate(first, policy) == encode_aggregate(second, policy)


@given(names, st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_aggregate__some_updates_invalid__goes_on_as_if_they_were_not_there(name, valid, data):
    policy = make_policy(name)
    rows = [data.draw(row) for _ in valid]
    submissions = [submit(policy, index, line) for index, line in enumerate(rows)]
    broken = [
        item if fine else replace(item, read=partial(bytes, 10))
        for item, fine in zip(submissions, valid, strict=True)
    ]
    present = [item for item, fine in zip(submissions, valid, strict=True) if fine]
    found, expected = (aggregate_updates(items, policy, KEY) for items in (broken, present))
    assert found.weights == tuple(map(int, valid))
    assert encode_aggregate(found, policy) == encode_aggregate(expected, policy)


scored = st.lists(st.tuples(row, st.integers(0, 10_000)), min_size=1, max_size=8)


def aggregate_scored(policy, rows, places):
    submissions = [submit(policy, place, rows[place][0]) for place in places]
    scores = [rows[place][1] for place in places]
    return encode_aggregate(aggregate_updates(submissions, policy, KEY, scores), policy)


@given(scored, st.randoms(use_true_random=False))
def test_scores__submissions_in_any_order__is_the_same_to_the_byte(rows, shuffler):
    policy = make_policy("scores/trimmed-mean")
    places = range(len(rows))
    shuffled = shuffler.sample(places, len(places))
    assert aggregate_scored(policy, rows, places) == aggregate_scored(policy, rows, shuffled)


@given(scored, row)
def test_scores__one_that_scores_nothing__may_send_what_it_likes(rows, forged):
    policy = make_policy("scores/mean", min_clients=1, f=0)
    rows = [(line, 5_000 + score // 2) for line, score in rows]
    first, second = ([*rows, (bad, 0)] for bad in ([0] * SIZE, forged))
    places = range(len(first))
    assert aggregate_scored(policy, first, places) == aggregate_scored(policy, second, places)


def make_policy(name, **changes):
    settings = {**SETTINGS, "f": 1, "min_clients": 7, "probe_size": 9} | changes
    scored = {"rewards.contribution": "cosine"} if name.startswith("scores") else {}
    wanted = {parameter.name for parameter in build_aggregator(name).parameters}
    parameters = {key: value for key, value in settings.items() if key in wanted}
    return load_preset(
        "digits",
        {
            "mode": "plain",
            **scored,
            "model": {"architecture": "own", "layers": [{"name": "w", "shape": [2, 2]}]},
            "max_agents": 16,
            "min_agents": 16,
            "min_survivors": 16,
            "update": {"coordinate_bound": "4", "clip": "8", "bucket": 10, "w_max": 8},
            "aggregator": {"name": name, "parameters": parameters},
        },
    )


def submit(policy, index, line):
    agent = f"0x{index:040x}"
    update = QuantizedUpdate({"delta": np.array(line, np.int32)}, {"samples": 10})
    return Submission(
        agent, 1, partial(bytes, encode_update(update, policy, round_key=KEY, agent=agent))
    )


@given(st.sampled_from(EQUIVARIANT), st.lists(row, min_size=3, max_size=9), row)
def test_rule__all_rows_moved__moves_along(name, rows, move):
    centre, _ = find(name, rows)
    moved = [[a + b for a, b in zip(line, move, strict=True)] for line in rows]
    again, _ = find(name, moved)
    if centre is None or again is None:
        assert centre is again
        return
    assert all(
        # The halved sum of a bucket or of the two middle values is rounded down.
        abs(b - a - by) <= 1
        for a, b, by in zip(centre, again, move, strict=True)
    )


@given(
    st.sampled_from(["median", "trimmed-mean"]),
    st.lists(row, min_size=3, max_size=7),
    st.lists(st.lists(st.integers(-(2**20), 2**20), min_size=SIZE, max_size=SIZE), max_size=3),
)
def test_coordinates__fewer_than_half_are_bad__stay_within_the_honest_range(name, honest, bad):
    bad = bad[: len(honest) - 1]
    centre, f = find(name, [*bad, *honest], len(bad))
    assert f == len(bad)
    for value, column in zip(centre, zip(*honest, strict=True), strict=True):
        assert min(column) <= value <= max(column)


@given(
    st.sampled_from(["krum", "multikrum", "bulyan", "geometric-median", "nnm/trimmed-mean"]),
    st.lists(
        st.lists(st.integers(-100, 100), min_size=SIZE, max_size=SIZE), min_size=7, max_size=9
    ),
    st.lists(st.integers(2**18, 2**20), min_size=SIZE, max_size=SIZE),
)
def test_distances__one_bad_row_far_away__is_as_good_as_absent(name, honest, bad):
    centre, f = find(name, [bad, *honest], 1)
    assert f == 1
    # The far row may have a share of 1 / distance in the geometric median.
    reach = 3_000 if name == "geometric-median" else 100
    assert all(abs(value) <= reach for value in centre)


@given(st.lists(row, min_size=1, max_size=9))
def test_clipped_centre__any_rows__is_no_longer_than_the_median_row(rows):
    centre, _ = find("norm-clipping/mean", rows)
    if centre is not None:
        limit = halve([math.isqrt(max(0, dot(line, line) - 1)) + 1 for line in rows])
        assert dot(centre, centre) <= limit * limit


@given(
    st.lists(
        st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3), min_size=1, max_size=5
    ),
    st.integers(1, 3_000),
)
def test_gram__any_int32__is_exact(rows, repeats):
    lines = [np.tile(np.array(line, np.int32), repeats) for line in rows]
    expected = [[repeats * dot(a, b) for b in rows] for a in rows]
    assert compute_gram(lines).tolist() == expected


@given(st.integers(0, 70), st.integers(1, 5))
def test_multiply__numbers_of_any_size__are_exact(bits, count):
    first = np.array([[(1 << bits) - i - j for j in range(count)] for i in range(2)], object)
    expected = [[dot(a, b) for b in first.tolist()] for a in first.tolist()]
    assert multiply(first, first.T).tolist() == expected


@given(names, st.integers(1, 7), st.integers(0, 4))
def test_weaken__any_number_of_rows__is_the_largest_f_that_they_withstand(name, count, f):
    rule = build_aggregator(name)
    settings = {**SETTINGS, "f": f}
    weaker = rule.weaken(count, settings)
    fitting = [g for g in range(f + 1) if rule.is_enough(count, {**settings, "f": g})]
    assert (weaker and weaker["f"]) == (max(fitting) if fitting else None)
    assert all(a - b == 1 for b, a in pairwise(fitting))

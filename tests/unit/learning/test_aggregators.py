"""Robust rules in a policy: what is refused, what happens when updates are missing, exact bytes."""

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from flchain.learning.aggregation import (
    Submission,
    aggregate_updates,
    check_rules,
    compute_step,
    count_updates,
)
from flchain.learning.aggregators import (
    AGGREGATORS,
    STAGES,
    build_aggregator,
    build_rule,
    find_centre,
    uses_scores,
)
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.presets import load_preset
from flchain.learning.schemas import encode_update
from flchain.protocol.errors import ConfigError

VECTORS = Path(__file__).parents[2] / "vectors" / "robust.json"
KEY = bytes(range(32))


def make_policy(name="median", agents=9, **parameters):
    rule = build_rule(build_aggregator(name), 2, agents)
    scored = {"rewards.contribution": "probe-accuracy"} if uses_scores(name) else {}
    return load_preset(
        "digits",
        {
            "mode": "plain",
            **scored,
            "model": {"architecture": "own", "layers": [{"name": "w", "shape": [2, 2]}]},
            "min_agents": agents,
            "min_survivors": agents,
            "update": {"coordinate_bound": "0.5", "clip": "1", "bucket": 10, "w_max": 8},
            "aggregator": {"name": name, "parameters": {**dict(rule.parameters), **parameters}},
        },
    )


def submit(policy, index, values, samples=10):
    agent = f"0x{index:040x}"
    update = QuantizedUpdate({"delta": np.array(values, np.int32)}, {"samples": samples})
    data = encode_update(update, policy, round_key=KEY, agent=agent)
    return Submission(agent, -(-samples // 10), partial(bytes, data))


def draw_rows(count, size=500, seed=5):
    rng = np.random.Generator(np.random.PCG64(seed))
    return [rng.integers(-(2**17), 2**17, size).astype(np.int32) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "parameters", "error"),
    [
        ("krum", {"f": 4}, r"cannot withstand f = 4 among 9 updates; raise min_survivors to 11"),
        ("bulyan", {"f": 2}, "raise min_survivors to 11 or lower f"),
        ("bulyan", {"f": 16}, "among 9 updates; lower f"),
        ("median", {"f": 5}, "raise min_survivors to 11"),
        ("bucketing/median", {"f": 3}, "raise min_survivors to 13"),
        ("median", {"g": 1}, "remove 'g'"),
        ("geometric-median", {"iterations": 65}, "iterations is 65; write an integer from 1 to 64"),
    ],
)
def test_policy__rule_that_cannot_be_kept__names_the_way_out(name, parameters, error):
    with pytest.raises(ConfigError, match=error):
        check_rules(make_policy(name, **parameters))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("krum/nnm", "ends in 'nnm'; choose weighted-mean or one of bulyan"),
        ("nnn/krum", "has 'nnn' before the rule; choose of bucketing, crowds"),
        ("nnm/nnm/krum", "has a stage twice"),
        ("median/krum", "has 'median' before the rule"),
        ("nnm/scores/krum", "scores is a stage for the beginning"),
        ("", "ends in ''"),
    ],
)
def test_name__of_no_rule__says_which_there_are(name, error):
    with pytest.raises(ConfigError, match=error):
        build_aggregator(name)


@pytest.mark.parametrize("name", [*AGGREGATORS, *(f"{stage}/median" for stage in STAGES)])
def test_policy__usual_parameters__can_be_run(name):
    check_rules(make_policy(name, agents=16))


def test_aggregate__median__counts_heads_and_pays_by_weight():
    policy = make_policy(f=1, agents=3)
    values = [[0, 10, -7, 4], [2, 20, -8, 4], [9, 90, 9, 5]]
    samples = [10, 10, 80]
    submissions = [
        submit(policy, i, line, rows)
        for i, (line, rows) in enumerate(zip(values, samples, strict=True))
    ]
    aggregate = aggregate_updates(submissions, policy, KEY)
    assert aggregate.weights == count_updates(submissions, policy, KEY)
    total = aggregate.total_weight
    assert aggregate.sections["delta"].tolist() == [total * value for value in (2, 20, -7, 4)]
    unit = 1 << (32 - policy.update.shift)
    assert compute_step(aggregate, policy)["delta"].tolist() == [
        unit * value for value in (2, 20, -7, 4)
    ]


def test_aggregate__too_few_valid_updates__is_zero_and_pays_them():
    policy = make_policy("krum", f=1, agents=5)
    submissions = [submit(policy, i, [i, i, i, i]) for i in range(2)]
    broken = [Submission(f"0x{i:040x}", 1, bytes) for i in range(2, 5)]
    aggregate = aggregate_updates([*submissions, *broken], policy, KEY)
    assert aggregate.weights == (1, 1, 0, 0, 0)
    assert aggregate.sections["delta"].tolist() == [0, 0, 0, 0]
    assert compute_step(aggregate, policy)["delta"].tolist() == [0, 0, 0, 0]


def test_aggregate__no_update_at_all__is_zero():
    aggregate = aggregate_updates([], make_policy(), KEY)
    assert aggregate.sections["delta"].tolist() == [0, 0, 0, 0]
    assert aggregate.weights == ()


def test_aggregate__invalid_updates__were_among_the_bad_ones():
    policy = make_policy("trimmed-mean", f=2, agents=5)
    submissions = [submit(policy, i, [value] * 4) for i, value in enumerate([-900, 1, 3, 900])]
    broken = [Submission("0x" + "f" * 40, 1, bytes)]
    aggregate = aggregate_updates([*submissions, *broken], policy, KEY)
    # Four are left, of which the rule can withstand one: -900 and 900 are trimmed.
    assert aggregate.sections["delta"].tolist() == [4 * 2] * 4


def test_aggregate__nan_bits__count_for_nothing():
    policy = make_policy("median", f=1, agents=3)
    bits = np.full(4, np.nan, np.float32).view(np.int32)
    submissions = [submit(policy, i, [5, 5, 5, 5]) for i in range(3)] + [submit(policy, 3, bits)]
    aggregate = aggregate_updates(submissions, policy, KEY)
    assert aggregate.weights == (1, 1, 1, 0)
    assert aggregate.sections["delta"].tolist() == [15] * 4


@pytest.mark.parametrize("name", ["median", "krum", "nnm/trimmed-mean", "geometric-median"])
def test_aggregate__all_at_the_bound__does_not_wrap(name):
    policy = make_policy(name, f=1, agents=16)
    bound = policy.update.coordinate_bound
    line = [bound, -bound, bound, -bound]
    # The clip is 1.0 and the bound 0.5: four coordinates at the bound just fit.
    submissions = [submit(policy, i, line, samples=80) for i in range(16)]
    aggregate = aggregate_updates(submissions, policy, KEY)
    total = aggregate.total_weight
    assert total == 16 * 8
    assert aggregate.sections["delta"].tolist() == [value * total for value in line]


def test_crowds__copies_of_a_bad_row__count_as_one():
    rule = build_aggregator("crowds/geometric-median")
    settings = {"iterations": 3, "closeness_bps": 5_000}
    *honest, bad = draw_rows(7)
    alone = find_centre(rule, [bad, *honest], {**settings, "f": 1})
    many = find_centre(rule, [bad] * 4 + honest, {**settings, "f": 4})
    plain = find_centre(
        build_aggregator("geometric-median"), [bad] * 4 + honest, {**settings, "f": 4}
    )
    assert many.values.tolist() == alone.values.tolist()
    assert plain.values.tolist() != alone.values.tolist()


def test_crowds__everybody_alike__is_that_row():
    rule = build_aggregator("crowds/krum")
    rows = draw_rows(1) * 9
    centre = find_centre(rule, rows, {"f": 2, "closeness_bps": 5_000})
    # One row is too few for Krum, which needs three even without a bad one.
    assert not centre.values.any()
    median = build_aggregator("crowds/median")
    centre = find_centre(median, rows, {"f": 2, "closeness_bps": 5_000})
    assert centre.values.tolist() == rows[0].tolist()


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: v["name"])
def test_centre__vector__is_the_same_to_the_byte(vector):
    rows = draw_rows(13)
    rule = build_aggregator(vector["name"])
    centre = find_centre(rule, rows, vector["parameters"])
    digest = hashlib.sha256(centre.values.astype("<i8").tobytes()).hexdigest()
    assert (centre.divisor, digest) == (vector["divisor"], vector["sha256"])


SCORED = {"f": 0, "min_clients": 2, "score_bps": 5_000, "agents": 3}


def aggregate_scored(scores, values=(10, 30, 1000), **changes):
    policy = make_policy("scores/mean", **{**SCORED, **changes})
    submissions = [submit(policy, i, [value] * 4) for i, value in enumerate(values)]
    aggregate = aggregate_updates(submissions, policy, KEY, scores)
    return aggregate.sections["delta"][0] / aggregate.total_weight, aggregate.weights


def test_scores__one_below_its_share_of_the_median__is_left_out_of_the_model_alone():
    assert aggregate_scored((9_000, 8_000, 3_999)) == (20, (1, 1, 1))
    assert aggregate_scored((9_000, 8_000, 4_000))[0] == pytest.approx(1040 / 3)


def test_scores__fewer_than_min_clients_pass__the_best_others_stay():
    assert aggregate_scored((9_000, 8_000, 10), min_clients=3)[0] == pytest.approx(1040 / 3)


def test_scores__missing__the_model_stays_and_everybody_is_paid_by_weight():
    assert aggregate_scored(None) == (0, (1, 1, 1))


def test_scores__of_an_invalid_update__decide_nothing():
    policy = make_policy("scores/mean", **SCORED)
    submissions = [submit(policy, i, [v] * 4) for i, v in enumerate((10, 30, 1000))]
    broken = Submission("0x" + "ff" * 20, 1, bytes)
    aggregate = aggregate_updates([broken, *submissions], policy, KEY, (10_000, 9_000, 8_000, 10))
    assert aggregate.weights == (0, 1, 1, 1)
    assert aggregate.sections["delta"][0] == 3 * 20


def test_policy__scores_that_nobody_signs__names_the_way_out():
    policy = make_policy("scores/median")
    rewards = replace(policy.rewards, contribution="participation")
    with pytest.raises(ConfigError, match=r"add rewards.contribution, one of cosine"):
        check_rules(replace(policy, rewards=rewards))

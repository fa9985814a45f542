import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy  # type: ignore[import-untyped]  # published without types

from flchain.learning.aggregation import check_rules
from flchain.learning.parameters import FloatUpdate
from flchain.learning.presets import load_preset
from flchain.learning.privacy import (
    MECHANISMS,
    AdaptiveClip,
    build_gaussian_curve,
    build_laplace_curve,
    build_loss,
    build_release,
    build_sampled_gaussian_curve,
    build_skellam_curve,
    clip_l1,
    clip_l2,
    compute_budget_table,
    compute_epsilon,
    compute_loss,
    compute_tight_epsilon,
    compute_update_noise,
    count_contributors,
    count_private_rounds,
    count_rounds,
    explain_privacy,
    privatise_update,
    update_clip,
    verify_budget_table,
)
from flchain.protocol.errors import ConfigError, EncodingError, ProofError
from flchain.protocol.policy import PrivacySpec

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "privacy.json").read_text())
DELTA = VECTORS["delta"]
OWN = {"architecture": "own", "layers": [{"name": "w", "shape": [40]}]}
SECURE = {
    "mode": "secure",
    "min_agents": 12,
    "min_survivors": 12,
    "masking": {"threshold": 8, "max_corrupt": 3},
}
RANDOM_K = {"name": "random-k", "parameters": {"bits": 32, "error_feedback": 1, "ratio": 4}}
NOISE = {
    "mechanism": "gaussian",
    "epsilon": "30",
    "clip": "0.5",
    "noise_multiplier": "0.5",
    "delta_inverse": 100_000,
}


def make_policy(overrides=None, **changes):
    return load_preset(
        "digits", {"mode": "plain", "model": OWN, "privacy": NOISE | changes, **(overrides or {})}
    )


def build_curve(case):
    if case["mechanism"] == "laplace":
        return build_laplace_curve(case["multiplier"])
    return build_sampled_gaussian_curve(case["multiplier"], case["rate"])


def name(case):
    return "-".join(str(case.get(key)) for key in ("mechanism", "multiplier", "rate", "rounds"))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=name)
def test_epsilon__same_accountant_elsewhere__agrees_within_one_percent(case):
    epsilon = compute_epsilon(build_loss(build_curve(case)), DELTA, case["rounds"])
    assert epsilon == pytest.approx(case["rdp"], rel=0.01)
    if "opacus_rdp" in case:
        assert epsilon == pytest.approx(case["opacus_rdp"], rel=0.01)
    # The tight accountant is the truth: the other must not promise more.
    assert epsilon >= case["pld"] * 0.999


@pytest.mark.parametrize("case", VECTORS["skellam"], ids=lambda c: str(c["variance"]))
def test_skellam__exact_distribution__is_bounded_and_not_by_much(case):
    size = float(case["sensitivity"])
    loss = build_loss(build_skellam_curve(case["variance"], size, size))
    epsilon = compute_epsilon(loss, DELTA, case["rounds"])
    # The formula's second term is large beside little noise.
    slack = 1.7 if case["variance"] < 25 else 1.15
    assert case["pld"] * 0.999 <= epsilon < slack * case["pld"]


def test_skellam__much_noise__costs_what_gaussian_noise_does():
    curve = build_gaussian_curve(2.0)
    # The Skellam formula holds for whole orders, so only these are compared.
    gaussian = build_loss(lambda alpha: curve(alpha) if alpha == int(alpha) else math.inf)
    skellam = build_loss(build_skellam_curve((2 * 10_000.0) ** 2, 10_000.0**2, 10_000.0))
    for rounds in (1, 50):
        expected = compute_epsilon(gaussian, DELTA, rounds)
        assert compute_epsilon(skellam, DELTA, rounds) == pytest.approx(expected, rel=0.01)
        assert compute_epsilon(skellam, DELTA, rounds) >= expected


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_tight__dp_accounting__is_at_most_our_bound(mechanism):
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed")
    curve = {"gaussian": build_gaussian_curve, "laplace": build_laplace_curve}[mechanism](5.0)
    tight = compute_tight_epsilon(mechanism, 5.0, DELTA, 10)
    ours = compute_epsilon(build_loss(curve), DELTA, 10)
    assert 0.7 * ours < tight <= ours
    with pytest.raises(ConfigError, match="no skellam"):
        compute_tight_epsilon("skellam", 5.0, DELTA, 10)


def test_tight__dp_accounting_missing__says_how_to_get_it(monkeypatch):
    for module in ("dp_accounting", "dp_accounting.pld"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ConfigError, match=r"flchain\[dp\]"):
        compute_tight_epsilon("gaussian", 1.0, DELTA, 1)


def test_laplace__few_rounds__cost_no_more_than_pure_composition():
    loss = build_loss(build_laplace_curve(2.0), pure=0.5)
    assert compute_epsilon(loss, 1e-9, 3) == 1.5
    assert compute_epsilon(loss, 1e-2, 1_000) < 500


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_epsilon__impossible_delta__is_refused(delta):
    with pytest.raises(ConfigError, match="delta"):
        compute_epsilon(build_loss(build_gaussian_curve(1.0)), delta, 1)


def test_rounds__budget__is_spent_to_the_last_round():
    loss = build_loss(build_gaussian_curve(4.0))
    for budget in (0.5, 1.2, 8.0):
        rounds = count_rounds(loss, DELTA, budget)
        assert compute_epsilon(loss, DELTA, rounds) <= budget
        assert compute_epsilon(loss, DELTA, rounds + 1) > budget
    assert count_rounds(loss, DELTA, 0.0) == 0


def test_table__rounds__are_rounded_up_and_grow():
    loss = build_loss(build_gaussian_curve(4.0))
    table = compute_budget_table(loss, DELTA, 50)
    assert list(table) == sorted(set(table))
    for number, micros in enumerate(table, start=1):
        assert 0 <= micros - compute_epsilon(loss, DELTA, number) * 1e6 < 1
    verify_budget_table(table, loss, DELTA)
    with pytest.raises(ProofError, match="round 7 claims"):
        verify_budget_table((*table[:6], table[6] - 2, *table[7:]), loss, DELTA)


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_noise__many_draws__have_the_scale_that_was_asked_for(mechanism):
    scale = 400.0
    draws = MECHANISMS[mechanism].draw(40_000, scale, np.random.default_rng(1))
    assert draws.dtype == np.int64
    expected = {
        "gaussian": scipy.stats.norm(0, scale),
        "laplace": scipy.stats.laplace(0, scale),
        "skellam": scipy.stats.norm(0, scale),
    }[mechanism]
    assert scipy.stats.kstest(draws, expected.cdf).pvalue > 1e-3


def test_skellam__small_variance__has_its_exact_distribution():
    draws = MECHANISMS["skellam"].draw(40_000, 2.0, np.random.default_rng(2))
    places = np.arange(-6, 7)
    expected = scipy.stats.skellam(2, 2).pmf(places) * len(draws)
    counted = np.array([(draws == place).sum() for place in places])
    assert (np.abs(counted - expected) < 6 * np.sqrt(expected) + 6).all()


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_privatise__large_update__is_bounded_before_and_noised_after(mechanism):
    clip = "40" if mechanism == "laplace" else "0.5"
    policy = make_policy(
        {"update.clip": "200", "update.coordinate_bound": "30"} if mechanism == "laplace" else {},
        mechanism=mechanism,
        clip=clip,
        noise_multiplier="0.05",
    )
    check_rules(policy)
    update = FloatUpdate({"delta": np.full(40, 9, np.float32)}, 7)
    noised = [
        privatise_update(update, policy, np.random.default_rng(1), np.random.default_rng(seed))
        for seed in range(400)
    ]
    sections = np.array([item.sections["delta"] for item in noised], np.float64)
    unit = float(1 << policy.update.shift)
    mean = sections.mean(axis=0) / unit
    size = np.abs(mean).sum() if mechanism == "laplace" else np.linalg.norm(mean)
    assert size == pytest.approx(float(clip), rel=0.05)
    spread = 0.05 * float(clip) * (math.sqrt(2) if mechanism == "laplace" else 1)
    assert sections.std() / unit == pytest.approx(spread, rel=0.1)
    assert noised[0].scalars == {"samples": 7}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_privatise__not_finite__is_refused(mechanism, value):
    policy = make_policy(mechanism=mechanism)
    update = FloatUpdate({"delta": np.array([value] + [0] * 39, np.float32)}, 1)
    with pytest.raises(EncodingError, match="NaN or infinity"):
        privatise_update(update, policy, np.random.default_rng(1), np.random.default_rng(2))


@pytest.mark.parametrize(
    ("changes", "overrides", "error"),
    [
        ({"clip": "0.00001"}, {}, "privacy.clip is lost in rounding"),
        ({"noise_multiplier": "2"}, {}, "coordinate_bound would cut the noise"),
        ({}, {"update.clip": "0.6"}, "update.clip would shorten"),
        (
            {"mechanism": "laplace", "noise_multiplier": "0.1"},
            SECURE,
            "does not add up under masks",
        ),
        ({"mechanism": "gaussian"}, SECURE | {"update.w_max": 1}, "choose skellam"),
        ({"mechanism": "skellam"}, SECURE, "w_max = 1"),
        (
            {"mechanism": "skellam"},
            SECURE | {"update.w_max": 1, "compression": RANDOM_K},
            "leave compression out",
        ),
    ],
)
def test_rules__noise_that_does_not_fit__is_a_config_error(changes, overrides, error):
    with pytest.raises(ConfigError, match=error):
        check_rules(make_policy(overrides, **changes))


def test_release__plain_mode__two_updates_differ_by_twice_the_clip():
    policy = make_policy()
    release = build_release(policy, 1)
    assert (release.l2, release.noise) == (2 * policy.privacy.clip, policy.privacy.clip / 2)
    assert build_release(policy, 2).l2 == pytest.approx(2**0.5 * release.l2)
    laplace = build_release(make_policy(mechanism="laplace"), 2)
    assert laplace.l1 == 4 * policy.privacy.clip
    assert compute_loss(laplace).pure == pytest.approx(8)


def make_masked(**overrides):
    return make_policy(SECURE | {"update.w_max": 1} | overrides, mechanism="skellam")


def test_release__masked_sum__adds_honest_noise_and_hides_one_update():
    policy = make_masked()
    release = build_release(policy, 1)
    assert count_contributors(policy) == 12 - 3
    assert release.l2 == policy.privacy.clip
    assert release.noise == pytest.approx(3 * policy.privacy.clip / 2)
    assert release.l1 <= math.sqrt(40) * release.l2


def test_release__more_corrupt_survivors__cost_more():
    policies = [make_masked(masking={"threshold": 10, "max_corrupt": n}) for n in (0, 3, 9)]
    assert [count_contributors(policy) for policy in policies] == [12, 9, 3]
    losses = [compute_loss(build_release(policy, 1)) for policy in policies]
    spent = [compute_epsilon(loss, DELTA, 1) for loss in losses]
    assert spent == sorted(set(spent))
    rounds = [count_private_rounds(policy, 1) for policy in policies]
    assert rounds[0] > rounds[-1] > 0


def test_release__plain_mode__counts_on_its_own_agent_alone():
    assert count_contributors(make_policy()) == 1


def test_privatise__masked__cuts_nothing_after_the_noise():
    # Noise as large as the policy allows: plain mode shortens the vector, a masked one stays.
    overrides = {"update.coordinate_bound": "0.5", "update.clip": "0.72"}
    changes = {"mechanism": "skellam", "clip": "0.5", "noise_multiplier": "0.16"}
    update = FloatUpdate({"delta": np.full(40, 9, np.float32)}, 7)
    plain, masked = (
        make_policy(overrides | mode, **changes)
        for mode in ({"update.w_max": 1}, SECURE | {"update.w_max": 1})
    )
    cut, whole = (
        [
            privatise_update(
                update, policy, np.random.default_rng(1), np.random.default_rng(n)
            ).sections["delta"]
            for n in range(60)
        ]
        for policy in (plain, masked)
    )
    norms = [np.linalg.norm(each.astype(float)) for each in whole]
    assert any(norm > masked.update.clip for norm in norms)
    assert all(np.linalg.norm(each.astype(float)) <= plain.update.clip for each in cut)
    for norm, one, other in zip(norms, whole, cut, strict=True):
        assert np.array_equal(one, other) == (norm <= masked.update.clip)
        assert one.dtype == np.int32


def test_release__no_noise__has_nothing_to_account_for():
    with pytest.raises(ConfigError, match="nothing to account"):
        build_release(load_preset("digits"), 1)


def test_explain__off_and_on__says_which():
    assert "off (epsilon = 0)" in explain_privacy(load_preset("digits"), 1, 5)
    off = make_policy(epsilon="0")
    assert off.privacy == PrivacySpec("none")
    text = explain_privacy(make_policy(), 1, 2)
    assert "each agent's whole update" in text
    assert "of 30 at delta 1/100000 after 2 rounds" in text
    assert "sample counts are public" in text
    text = explain_privacy(make_masked(), 1, 2)
    assert "an agent's part of the sum" in text
    assert "given the noise of 9 honest survivors" in text
    assert "sample counts" not in text


def test_rounds__policy__follow_from_its_budget():
    policy = make_policy(mechanism="skellam")
    rounds = count_private_rounds(policy, 1)
    loss = compute_loss(build_release(policy, 1))
    assert compute_epsilon(loss, 1e-5, rounds) <= 30 < compute_epsilon(loss, 1e-5, rounds + 1)
    richer = replace(policy, privacy=replace(policy.privacy, budget_micros=300_000_000))
    assert count_private_rounds(richer, 1) > rounds


def test_clip__long_vector__keeps_its_direction():
    vector = np.array([3, -4], np.float32)
    assert clip_l2(vector, 1.0).tolist() == pytest.approx([0.6, -0.8])
    assert clip_l1(vector, 3.5).tolist() == pytest.approx([1.5, -2.0])
    assert clip_l2(vector, 5.0) is vector
    with pytest.raises(EncodingError):
        clip_l2(np.array([np.nan], np.float32), 1.0)


def test_adaptive_clip__many_rounds__reaches_the_quantile():
    rng = np.random.default_rng(3)
    state = AdaptiveClip(clip=0.1, quantile=0.8, count_noise=1.0)
    for _ in range(200):
        norms = rng.lognormal(1.0, 0.5, 100)
        state = update_clip(state, int((norms <= state.clip).sum()), 100, rng)
    assert state.clip == pytest.approx(np.exp(1.0 + 0.5 * scipy.stats.norm.ppf(0.8)), rel=0.1)


def test_adaptive_clip__noise_on_counts__is_paid_by_the_updates():
    multiplier = compute_update_noise(1.0, count_noise=5.0)
    assert multiplier == pytest.approx((1 - 0.01) ** -0.5)
    # Together they cost what one release with multiplier 1 does.
    assert multiplier**-2 + (2 * 5.0) ** -2 == pytest.approx(1.0)
    for count_noise in (0.0, 0.5):
        with pytest.raises(ConfigError, match="raise it"):
            compute_update_noise(1.0, count_noise)


@pytest.mark.parametrize("values", [{"clip": 0}, {"quantile": 2}, {"rate": 0}, {"clip": math.nan}])
def test_adaptive_clip__impossible_values__are_refused(values):
    with pytest.raises(ConfigError, match="adaptive clipping needs"):
        AdaptiveClip(**({"clip": 1.0} | values))

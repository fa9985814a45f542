"""Compression and noise by options: what policy they make."""

from dataclasses import asdict, replace

import pytest

from flchain.cli import demo
from flchain.cli.plans import Choice, build_plan, choose
from flchain.cli.rules import Noise, load_ruled
from flchain.config import Settings
from flchain.learning.budgets import compute_privacy_rounds, compute_spent_epsilon
from flchain.learning.compression import SCHEMES, check_compression
from flchain.learning.presets import load_preset
from flchain.learning.privacy import MECHANISMS, check_privacy
from flchain.learning.strategies import STRATEGIES
from flchain.protocol.contribution import METHODS
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import NO_COMPRESSION

ROUNDS = 4


def DIGITS(overrides=None):  # noqa: N802 - stands for a preset
    return load_preset("digits", {"mode": "plain", **(overrides or {})})


def load(compression="none", noise=None, rounds=ROUNDS):
    return load_ruled(DIGITS, {}, compression, noise or Noise(), rounds)


@pytest.mark.parametrize("name", [n for n in SCHEMES if "zstd" not in n])
def test_compression__every_name__gets_parameters_that_suit_it(name):
    rule = load(name).compression
    assert rule.name == name
    check_compression(rule, "plain")


def test_compression__none_and_adaptive__have_no_parameters():
    assert load().compression == NO_COMPRESSION
    assert load("adaptive").compression.parameters == ()
    assert load() == DIGITS()


def test_compression__unknown_name__is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"compression\.name is 'zip'; choose one of none, adaptive"
    ):
        load("zip")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_noise__no_epsilon__budget_is_what_the_rounds_cost(mechanism):
    policy = load(noise=Noise(mechanism, 2.0))
    assert compute_privacy_rounds(policy) == ROUNDS
    assert policy.privacy.mechanism == mechanism
    check_privacy(policy, 1)


def test_noise__multiplier_alone__is_skellam():
    policy = load(noise=Noise(multiplier=4.0))
    assert (policy.privacy.mechanism, policy.privacy.noise_micros) == ("skellam", 4_000_000)


def test_noise__epsilon_that_does_not_pay__is_refused():
    cost = compute_spent_epsilon(load(noise=Noise(multiplier=4.0)), ROUNDS)
    with pytest.raises(ConfigError, match=f"pays for {ROUNDS - 1} rounds, {ROUNDS} are asked for"):
        load(noise=Noise(multiplier=4.0, epsilon=cost - 0.01))


@pytest.mark.parametrize("noise", [Noise(epsilon=0.0), Noise("gaussian", 3.0, 0.0)])
def test_noise__epsilon_zero__is_off(noise):
    assert noise.is_wanted
    assert load(noise=noise) == DIGITS()


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        (Noise(multiplier=1e-3), "raise --noise-multiplier"),
        (Noise(multiplier=5_000.0), "lower --noise-multiplier"),
        (Noise(epsilon=0.01), "does not pay for one round"),
    ],
)
def test_noise__impossible__is_refused_with_the_way_out(noise, says):
    with pytest.raises(ConfigError, match=says):
        load(noise=noise)


def test_noise__strategy_with_counts__is_refused_before_anything_runs():
    rule = {"name": "fednova", "parameters": {"max_steps": 4_096, "reference_steps": 256}}
    with pytest.raises(ConfigError, match="fednova sends counts that must stay exact"):
        load_ruled(DIGITS, {"strategy": rule}, "none", Noise(multiplier=4.0), ROUNDS)


def test_plan__options__reach_the_policy_and_the_summary(tmp_path):
    choice = Choice(
        *(4, 3, ROUNDS, 7, 0.5, "fedavg"),
        dataset="digits",
        ledger="memory",
        compression="powersgd/zlib",
        privacy="gaussian",
        noise_multiplier=6.0,
    )
    outline, _ = choose(choice, Settings(tmp_path), "simulate")
    policy = build_plan(outline, Settings(tmp_path)).scenario.policy
    assert policy.compression.name == "powersgd/zlib"
    assert policy.privacy.mechanism == "gaussian"
    assert asdict(outline)["noise"]["multiplier"] == 6.0
    plain = replace(choice, compression="none", privacy=None, noise_multiplier=None)
    outline, _ = choose(plain, Settings(tmp_path), "simulate")
    policy = build_plan(outline, Settings(tmp_path)).scenario.policy
    assert (policy.compression, policy.privacy.mechanism) == (NO_COMPRESSION, "none")


def test_options__names_that_are_listed__are_those_that_exist():
    assert demo._METHODS == METHODS
    assert tuple(sorted(MECHANISMS)) == demo._MECHANISMS
    assert set(demo._STRATEGIES) == set(STRATEGIES)


def test_plan__rule_that_goes_by_scores__has_them_measured(tmp_path):
    choice = Choice(
        *(6, 3, ROUNDS, 7, 0.5, "fedavg"),
        dataset="digits",
        ledger="memory",
        aggregator="scores/mean",
        byzantine=2,
        contribution="probe-accuracy",
    )
    outline, _ = choose(choice, Settings(tmp_path), "simulate")
    policy = build_plan(outline, Settings(tmp_path)).scenario.policy
    assert policy.rewards.contribution == "probe-accuracy"
    assert policy.aggregator.get("min_clients") == 4
    outline, _ = choose(replace(choice, contribution="participation"), Settings(tmp_path), "s")
    with pytest.raises(ConfigError, match=r"add rewards\.contribution"):
        build_plan(outline, Settings(tmp_path))

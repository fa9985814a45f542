"""The rounds that a privacy budget pays for, as a contract gets to know them."""

import pytest

from flchain.learning import budgets
from flchain.learning.budgets import (
    compute_privacy_rounds,
    compute_spent_epsilon,
    explain_budget,
    explain_spending,
    verify_rounds,
)
from flchain.learning.presets import load_preset
from flchain.protocol.errors import ConfigError


def make_policy(epsilon="30", **changes):
    noise = {
        "mechanism": "gaussian",
        "epsilon": epsilon,
        "clip": "0.05",
        "noise_multiplier": "4",
        "delta_inverse": 100_000,
    }
    return load_preset("digits", {"mode": "plain", "privacy": noise, **changes})


def test_rounds__budget__is_kept_by_them_and_broken_by_one_more():
    policy = make_policy()
    rounds = compute_privacy_rounds(policy)
    assert rounds > 1
    assert compute_spent_epsilon(policy, rounds) <= 30 < compute_spent_epsilon(policy, rounds + 1)


def test_rounds__two_vectors_in_an_update__are_fewer():
    rule = {"name": "scaffold", "parameters": {"participation_micros": 1_000_000}}
    assert compute_privacy_rounds(make_policy(strategy=rule)) < compute_privacy_rounds(
        make_policy()
    )


@pytest.mark.parametrize("policy", [load_preset("digits"), make_policy(epsilon="0")])
def test_rounds__no_noise__nothing_is_limited_and_it_says_so(policy):
    assert compute_privacy_rounds(policy) == 0
    verify_rounds(policy, 10**6)
    assert "off (epsilon = 0)" in explain_budget(policy)
    assert "off (epsilon = 0)" in explain_spending(policy, 3)


def test_rounds__budget_below_one_round__is_refused_since_0_would_mean_no_limit():
    with pytest.raises(ConfigError, match=r"privacy.epsilon does not pay for one round; raise it"):
        compute_privacy_rounds(make_policy(epsilon="0.1"))


def test_rounds__more_than_the_contract_can_count__are_cut(monkeypatch):
    monkeypatch.setattr(budgets, "MOST_ROUNDS", 2)
    assert compute_privacy_rounds(make_policy()) == 2


def test_verify_rounds__one_more_than_the_budget_pays__is_refused():
    policy = make_policy()
    rounds = compute_privacy_rounds(policy)
    verify_rounds(policy, rounds)
    with pytest.raises(ConfigError, match=f"pays for {rounds} rounds, {rounds + 1} are asked for"):
        verify_rounds(policy, rounds + 1)


def test_explain__spent__names_epsilon_delta_rounds_and_accountant():
    text = explain_spending(make_policy(), 1)
    assert "of 30 at delta 1/100000 after 1 rounds (Renyi accountant)" in text

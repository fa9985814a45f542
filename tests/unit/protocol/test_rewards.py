# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.protocol.rewards import Reward, compute_rewards, compute_share

A, B, C = ("0x" + digit * 40 for digit in "abc")
V, W = ("0x" + digit * 40 for digit in "de")
AMOUNTS = st.integers(0, 2**96 - 1)
SHARES = st.integers(0, 10_000)
WEIGHTS = st.lists(st.integers(0, 255), max_size=12)


def split(survivors, attesters, reserve, validator_share_bps=1_000, max_share_bps=10_000):
    return compute_rewards(
        survivors,
        attesters,
        reserve=reserve,
        validator_share_bps=validator_share_bps,
        max_share_bps=max_share_bps,
    )


def test_rewards__weights_1_2_1__share_what_validators_leave():
    assert split([(A, 1), (B, 2), (C, 1)], [V, W], 1_000) == (
        Reward(0, A, 225),
        Reward(1, B, 450),
        Reward(2, C, 225),
        Reward(3, V, 50),
        Reward(4, W, 50),
    )


def test_rewards__cap_of_forty_per_cent__is_not_paid_to_others():
    rewards = split([(A, 8), (B, 2)], [], 1_000, validator_share_bps=0, max_share_bps=4_000)
    assert rewards == (Reward(0, A, 400), Reward(1, B, 200))


def test_rewards__update_that_counted_for_nothing__has_no_leaf_and_no_gap():
    rewards = split([(A, 0), (B, 3)], [V], 100)
    assert rewards == (Reward(0, B, 90), Reward(1, V, 10))


def test_rewards__division_with_rest__rounds_down():
    rewards = split([(A, 1), (B, 1), (C, 1)], [], 100, validator_share_bps=0)
    assert [reward.amount for reward in rewards] == [33, 33, 33]


def test_rewards__nobody_attested_or_survived__pays_nobody():
    assert split([], [], 1_000) == ()
    assert split([(A, 0)], [], 1_000) == ()


def test_rewards__reserve_too_small_to_split__leaves_zero_amounts_out():
    assert split([(A, 1), (B, 1)], [V, W], 1) == ()
    assert split([(A, 1)], [V, W], 1) == (Reward(0, A, 1),)


@given(reserve=AMOUNTS, share=SHARES, cap=SHARES, weights=WEIGHTS, attesters=st.integers(0, 70))
def test_rewards__any_input__never_exceed_reserve_or_cap(reserve, share, cap, weights, attesters):
    survivors = [(f"agent{index}", weight) for index, weight in enumerate(weights)]
    validators = [f"validator{index}" for index in range(attesters)]
    rewards = split(survivors, validators, reserve, share, cap)
    assert sum(reward.amount for reward in rewards) <= reserve
    assert [reward.index for reward in rewards] == list(range(len(rewards)))
    assert all(reward.amount > 0 for reward in rewards)
    part = reserve - compute_share(reserve, share)
    limit = compute_share(part, cap)
    agents = [reward for reward in rewards if reward.account.startswith("agent")]
    assert all(reward.amount <= limit for reward in agents)
    assert len({reward.amount for reward in rewards if reward not in agents}) <= 1


@given(reserve=AMOUNTS, share=SHARES, weights=WEIGHTS)
def test_rewards__without_a_cap__lose_less_than_one_wei_per_agent(reserve, share, weights):
    survivors = [(f"agent{index}", weight) for index, weight in enumerate(weights)]
    paid = sum(reward.amount for reward in split(survivors, [], reserve, share))
    part = reserve - compute_share(reserve, share)
    assert sum(weights) == 0 or part - paid <= len(weights)


@given(reserve=AMOUNTS, share=SHARES, cap=SHARES, weights=WEIGHTS)
def test_rewards__heavier_weight__never_pays_less(reserve, share, cap, weights):
    survivors = [(str(index), weight) for index, weight in enumerate(weights)]
    paid = {reward.account: reward.amount for reward in split(survivors, [], reserve, share, cap)}
    ordered = sorted(survivors, key=lambda survivor: survivor[1])
    amounts = [paid.get(agent, 0) for agent, _ in ordered]
    assert amounts == sorted(amounts)


@pytest.mark.parametrize(
    ("amount", "share", "expected"), [(10_000, 1, 1), (9_999, 1, 0), (7, 10_000, 7), (7, 0, 0)]
)
def test_share__basis_points__rounds_down(amount, share, expected):
    assert compute_share(amount, share) == expected

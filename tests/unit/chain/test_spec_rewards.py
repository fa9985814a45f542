# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from dataclasses import replace

import pytest

from flchain.chain.spec.rewards import get_budget, get_distribution, is_claimed
from flchain.protocol import calls, events, reverts
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Verdict
from tests.unit.chain.stage import ADDRESSES, FUNDS, TASK_ID, VALIDATORS, Stage

AMOUNTS = {"a1": 300, "a2": 150, "v1": 51}


def publish(amounts=AMOUNTS, verdict=Verdict.APPROVE, total=None):
    """Return a stage whose first round pays `amounts`, claims open, and the claims."""
    stage = Stage().open().submit().attest()
    content, claims = stage.build_claims(amounts)
    stage.propose(content=content if total is None else replace(content, reward_total=total))
    for name in VALIDATORS[:3]:
        stage.vote(name, verdict)
    stage.settle()
    stage.time += 10
    return stage, claims


def test_claim__proven_reward__is_paid_to_its_account_once():
    stage, claims = publish()
    before = stage.balance("a2")
    (event,) = stage.send("stranger", claims["a2"])
    assert event == events.RewardClaimed(1, 1, ADDRESSES["a2"], 1, 150)
    assert stage.balance("a2") == before + 150
    assert is_claimed(stage.state, TASK_ID, 1, 1)
    assert get_distribution(stage.state, TASK_ID, 1).claimed == 0b010
    with pytest.raises(reverts.AlreadyClaimed):
        stage.send("a2", claims["a2"])


def test_claims__all_of_them__leave_nothing():
    stage, claims = publish()
    for claim in claims.values():
        stage.send("stranger", claim)
    assert get_distribution(stage.state, TASK_ID, 1).remaining == 0
    with pytest.raises(reverts.NoRewards):
        stage.send("stranger", calls.Sweep(1, 1))


def test_claim__before_opening_or_after_expiry__is_refused():
    stage, claims = publish()
    stage.time -= 1
    with pytest.raises(reverts.ClaimTooEarly):
        stage.send("a1", claims["a1"])
    stage.time += 100
    stage.send("a1", claims["a1"])
    stage.time += 1
    with pytest.raises(reverts.ClaimTooLate):
        stage.send("a2", claims["a2"])


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 151},
        {"account": ADDRESSES["a3"]},
        {"account": ZERO_ADDRESS},
        {"index": 2},
        {"index": 70},
        {"proof": ()},
    ],
)
def test_claim__altered__is_refused(changes):
    stage, claims = publish()
    with pytest.raises(reverts.InvalidProof):
        stage.send("a2", replace(claims["a2"], **changes))


def test_claim__of_another_round__is_refused():
    stage, claims = publish()
    with pytest.raises(reverts.NoRewards):
        stage.send("a2", replace(claims["a2"], round=2))


def test_claim__after_quality_rejection__pays_the_participation_part():
    stage, claims = publish(verdict=Verdict.WORSE)
    assert stage.send("a1", claims["a1"])[0].amount == 75
    # A quarter of 51, rounded down.
    assert stage.send("v1", claims["v1"])[0].amount == 12


def test_claim__leaves_beyond_the_total__stop_at_the_total():
    stage, claims = publish(total=320)
    stage.send("a1", claims["a1"])
    with pytest.raises(reverts.RewardsExhausted) as caught:
        stage.send("a2", claims["a2"])
    assert caught.value == reverts.RewardsExhausted(20, 150)


def test_sweep__after_expiry__returns_what_nobody_claimed():
    stage, claims = publish()
    stage.send("a1", claims["a1"])
    with pytest.raises(reverts.SweepTooEarly):
        stage.send("stranger", calls.Sweep(1, 1))
    stage.time += 100
    assert stage.send("stranger", calls.Sweep(1, 1)) == [events.RewardsSwept(1, 1, 201)]
    assert get_budget(stage.state, TASK_ID).available == 2_000 + 499 + 201
    # The sponsor gets all of it back: nothing stays behind.
    stage.send("sponsor", calls.CloseTask(1))
    assert stage.balance("sponsor") == FUNDS - 300


def test_fund__anybody_any_task__adds_to_its_budget():
    stage = Stage()
    stage.send("a1", calls.Approve(stage.addresses.reward_distributor, 10))
    stage.send("a1", calls.Fund(9, 10))
    assert get_budget(stage.state, 9).available == 10
    with pytest.raises(reverts.InvalidFunding):
        stage.send("a1", calls.Fund(9, 0))
    with pytest.raises(reverts.ERC20InsufficientAllowance):
        stage.send("a1", calls.Fund(9, 1))
    with pytest.raises(reverts.Panic):
        stage.send("a1", calls.Fund(9, 2**96 - 1))


def test_claim__worth_nothing_without_a_token__says_there_is_none():
    stage = Stage(has_token=False)
    with pytest.raises(reverts.InvalidFunding):
        stage.send("a1", calls.Fund(1, 5))
    call = calls.Claim(1, 1, 0, ADDRESSES["a1"], 0, ())
    with pytest.raises(reverts.NoRewards):
        stage.send("a1", call)


def test_distribution__root_of_nothing__accepts_no_claim():
    stage, claims = publish({})
    assert claims == {}
    assert get_distribution(stage.state, TASK_ID, 1).root == ZERO_DIGEST
    with pytest.raises(reverts.InvalidProof):
        stage.send("a1", calls.Claim(1, 1, 0, ADDRESSES["a1"], 0, ()))

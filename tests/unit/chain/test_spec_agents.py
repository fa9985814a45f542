# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy

import pytest

from flchain.chain.spec.agents import BURN_ADDRESS, compute_required_stake, is_eligible
from flchain.chain.spec.token import get_balance
from flchain.protocol import calls, events, reverts
from flchain.protocol.eip712 import (
    TOKEN_NAME,
    Domain,
    compute_signing_digest,
    hash_permit,
    hash_registration,
    hash_stake_increase,
    hash_unbonding,
)
from flchain.protocol.types import ZERO_DIGEST
from tests.unit.chain.stage import ADDRESSES, ETHER, NETWORK, SIGNERS, START, Stage

KEYS = b"\x07" * 32
STAKE = 10 * ETHER
A1 = ADDRESSES["a1"]


@pytest.fixture
def stage():
    return Stage()


def sign(stage, name, struct_hash, contract=None, domain_name="flchain"):
    contract = contract or stage.addresses.agent_registry
    domain = Domain(stage.state.config.chain_id, contract, domain_name)
    return SIGNERS[name].sign_digest(compute_signing_digest(domain, struct_hash))


def sign_permit(stage, value, deadline):
    registry, token = stage.addresses.agent_registry, stage.addresses.token
    signed = hash_permit(A1, registry, value, 0, deadline)
    raw = sign(stage, "a1", signed, token, TOKEN_NAME)
    return raw[64], raw[:32], raw[32:64]


def test_register__enough_allowance__bonds_the_stake_from_two_epochs_later(stage):
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, 15 * ETHER))
    (event,) = stage.send("a1", calls.Register(1, STAKE, KEYS))
    epoch = START // NETWORK.epoch_length + 2
    assert event == events.AgentRegistered(A1, 1, STAKE, epoch, KEYS)
    assert stage.agent("a1").stake == STAKE
    assert stage.balance("a1") == 990 * ETHER
    assert stage.state.token.allowances[A1, stage.addresses.agent_registry] == 5 * ETHER


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (calls.Register(0, STAKE, KEYS), reverts.InvalidRoles(0)),
        (calls.Register(8, STAKE, KEYS), reverts.InvalidRoles(8)),
        (calls.Register(1, STAKE, ZERO_DIGEST), reverts.InvalidKeys(ZERO_DIGEST)),
        (calls.Register(1, STAKE - 1, KEYS), reverts.StakeTooLow(STAKE - 1, STAKE)),
        (calls.Register(3, STAKE, KEYS), reverts.StakeTooLow(STAKE, 3 * STAKE)),
    ],
)
def test_register__bad_argument__is_refused_and_changes_nothing(stage, call, error):
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, 100 * ETHER))
    before = deepcopy(stage.state)
    with pytest.raises(type(error)) as caught:
        stage.send("a1", call)
    assert caught.value == error
    assert stage.state == before


def test_register__no_allowance__is_refused_and_changes_nothing(stage):
    before = deepcopy(stage.state)
    with pytest.raises(reverts.ERC20InsufficientAllowance):
        stage.send("a1", calls.Register(1, STAKE, KEYS))
    assert stage.state == before


def test_register__stake_beyond_the_balance__is_refused(stage):
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, 5_000 * ETHER))
    with pytest.raises(reverts.ERC20InsufficientBalance):
        stage.send("a1", calls.Register(1, 2_000 * ETHER, KEYS))


def test_register__keys_of_somebody_else__are_refused(stage):
    stage.register("a1")
    used = stage.agent("a1").keys_digest
    stage.send("a2", calls.Approve(stage.addresses.agent_registry, STAKE))
    with pytest.raises(reverts.KeysUsed):
        stage.send("a2", calls.Register(1, STAKE, used))
    with pytest.raises(reverts.AlreadyRegistered):
        stage.send("a1", calls.Register(1, STAKE, KEYS))


def test_register_with_permit__valid_permit__needs_no_allowance(stage):
    v, r, s = sign_permit(stage, STAKE, START)
    stage.send("a1", calls.RegisterWithPermit(1, STAKE, KEYS, START, v, r, s))
    assert stage.agent("a1").stake == STAKE


def test_register_with_permit__permit_used_by_somebody_else__goes_on(stage):
    v, r, s = sign_permit(stage, STAKE, START)
    registry = stage.addresses.agent_registry
    stage.send("stranger", calls.Permit(A1, registry, STAKE, START, v, r, s))
    stage.send("a1", calls.RegisterWithPermit(1, STAKE, KEYS, START, v, r, s))
    assert stage.agent("a1").stake == STAKE


def test_register_with_permit__late_permit__falls_back_on_the_allowance(stage):
    v, r, s = sign_permit(stage, STAKE, START - 1)
    call = calls.RegisterWithPermit(1, STAKE, KEYS, START - 1, v, r, s)
    with pytest.raises(reverts.ERC20InsufficientAllowance):
        stage.send("a1", call)


def test_register_with_sig__sent_by_a_stranger__registers_the_signer(stage):
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, STAKE))
    signature = sign(stage, "a1", hash_registration(1, STAKE, KEYS, START))
    call = calls.RegisterWithSig(A1, 1, STAKE, KEYS, START, signature)
    stage.send("stranger", call)
    assert stage.agent("a1").roles == 1
    with pytest.raises(reverts.AlreadyRegistered):
        stage.send("stranger", call)


@pytest.mark.parametrize(
    "changed", [{"roles": 2}, {"stake": STAKE + 1}, {"agent": ADDRESSES["a2"]}]
)
def test_register_with_sig__changed_value__is_refused(stage, changed):
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, 100 * ETHER))
    signature = sign(stage, "a1", hash_registration(1, STAKE, KEYS, START))
    fields = {"agent": A1, "roles": 1, "stake": STAKE, "keys_digest": KEYS} | changed
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("a1", calls.RegisterWithSig(**fields, deadline=START, signature=signature))


def test_register_with_sig__for_another_contract__is_refused(stage):
    signed = hash_registration(1, STAKE, KEYS, START)
    signature = sign(stage, "a1", signed, stage.addresses.round_manager)
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("a1", calls.RegisterWithSig(A1, 1, STAKE, KEYS, START, signature))


def test_register_with_sig__one_second_late__is_refused(stage):
    signature = sign(stage, "a1", hash_registration(1, STAKE, KEYS, START - 1))
    with pytest.raises(reverts.SignatureExpired):
        stage.send("a1", calls.RegisterWithSig(A1, 1, STAKE, KEYS, START - 1, signature))


def test_increase_stake_with_sig__replayed__is_refused(stage):
    stage.register("a1")
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, STAKE))
    signature = sign(stage, "a1", hash_stake_increase(5, 0, START))
    call = calls.IncreaseStakeWithSig(A1, 5, START, signature)
    assert stage.send("stranger", call) == [events.StakeIncreased(A1, 5)]
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", call)
    assert stage.agent("a1").stake == STAKE + 5


def test_increase_stake__nothing_or_overflow__is_refused(stage):
    with pytest.raises(reverts.NotRegistered):
        stage.send("a1", calls.IncreaseStake(1))
    stage.register("a1")
    with pytest.raises(reverts.InvalidAmount):
        stage.send("a1", calls.IncreaseStake(0))
    with pytest.raises(reverts.Panic):
        stage.send("a1", calls.IncreaseStake(2**96 - 1))


def test_unbonding__period_over__pays_the_stake_once(stage):
    stage.register("a1")
    stage.send("a1", calls.BeginUnbonding())
    assert not is_eligible(stage.state, A1, 1)
    stage.time += NETWORK.unbonding_period - 1
    with pytest.raises(reverts.UnbondingNotOver):
        stage.send("stranger", calls.Withdraw(A1))
    stage.time += 1
    assert stage.send("stranger", calls.Withdraw(A1)) == [events.StakeWithdrawn(A1, STAKE)]
    assert stage.balance("a1") == 1_000 * ETHER
    with pytest.raises(reverts.NothingUnbonding):
        stage.send("a1", calls.Withdraw(A1))


def test_unbonding__not_withdrawn__forbids_a_new_registration(stage):
    stage.register("a1")
    stage.send("a1", calls.BeginUnbonding())
    with pytest.raises(reverts.StillUnbonding):
        stage.send("a1", calls.Register(1, STAKE, KEYS))


def test_unbonding_with_sig__after_a_new_registration__is_worth_nothing(stage):
    stage.register("a1")
    old = sign(stage, "a1", hash_unbonding(stage.agent("a1").keys_digest, START + 10**6))
    call = calls.BeginUnbondingWithSig(A1, START + 10**6, old)
    stage.send("stranger", call)
    stage.time += NETWORK.unbonding_period
    stage.send("a1", calls.Withdraw(A1))
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, STAKE))
    stage.send("a1", calls.Register(1, STAKE, KEYS))
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", call)


def test_unbonding__still_enrolled_or_bonded__is_refused():
    stage = Stage().reach_vote()
    with pytest.raises(reverts.StillEnrolled):
        stage.send("orchestrator", calls.BeginUnbonding())
    stage.send("orchestrator", calls.LeaveTask(1))
    with pytest.raises(reverts.BondStillLocked):
        stage.send("orchestrator", calls.BeginUnbonding())


def test_slash__bond_of_a_wrong_proposal__is_burned_to_the_last_wei():
    stage = Stage().reach_vote()
    for name in ("v1", "v2", "v3"):
        stage.vote(name, 3)
    stage.settle()
    assert stage.agent("orchestrator").stake == 25 * ETHER
    assert stage.agent("orchestrator").locked == 0
    assert get_balance(stage.state, BURN_ADDRESS) == 5 * ETHER
    # 25 of the 30 needed: no duty any more, and anybody may dismiss it.
    assert not is_eligible(stage.state, ADDRESSES["orchestrator"], 4)


def test_suspension__by_governance_alone__survives_a_new_registration(stage):
    stage.register("a1")
    with pytest.raises(reverts.NotGovernance):
        stage.send("a1", calls.SetSuspended(A1, suspended=True))
    with pytest.raises(reverts.NotRegistered):
        stage.send("governance", calls.SetSuspended(ADDRESSES["a2"], suspended=True))
    stage.send("governance", calls.SetSuspended(A1, suspended=True))
    assert not is_eligible(stage.state, A1, 1)
    stage.send("a1", calls.BeginUnbonding())
    stage.time += NETWORK.unbonding_period
    stage.send("a1", calls.Withdraw(A1))
    stage.send("a1", calls.Approve(stage.addresses.agent_registry, STAKE))
    stage.send("a1", calls.Register(1, STAKE, KEYS))
    assert stage.agent("a1").is_suspended


def test_allow_list__without_a_token__decides_who_registers():
    stage = Stage(has_token=False)
    with pytest.raises(reverts.NotAllowed):
        stage.send("a1", calls.Register(1, 0, KEYS))
    with pytest.raises(reverts.NotGovernance):
        stage.send("a1", calls.SetAllowed(A1, allowed=True))
    stage.send("governance", calls.SetAllowed(A1, allowed=True))
    with pytest.raises(reverts.InvalidAmount):
        stage.send("a1", calls.Register(1, 1, KEYS))
    stage.send("a1", calls.RegisterWithPermit(7, 0, KEYS, START, 27, KEYS, KEYS))
    assert is_eligible(stage.state, A1, 7)
    assert not is_eligible(stage.state, A1, 0)
    assert compute_required_stake(stage.state.config, 7) == 0

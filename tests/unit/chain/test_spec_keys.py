# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""VRF keys in the executable specification: registered, rotated, recovered."""

from copy import deepcopy
from dataclasses import replace

import pytest

from flchain.chain.spec import keys
from flchain.chain.spec.agents import BURN_ADDRESS, get_draw_key
from flchain.chain.spec.penalties import punish_silence
from flchain.chain.spec.token import get_balance
from flchain.crypto import vrf
from flchain.crypto.vrf_hints import hash_key
from flchain.protocol import calls, events, reverts
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.sortition import possession_message
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, VrfFault
from tests.unit.chain.stage import ADDRESSES, ETHER, NETWORK, START, Stage

V1, GUARDIAN = ADDRESSES["v1"], ADDRESSES["p1"]
STAKE = 20 * ETHER
FIRST, SECOND = (vrf.load_secret_key(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture
def stage():
    return Stage()


def prove(stage, secret, account=V1):
    """Return a key with its proof of possession for an account."""
    config = stage.state.config
    message = possession_message(config.chain_id, config.addresses.agent_registry, account)
    hinted = vrf.compute_hints(secret.public_key, message, vrf.prove(secret, message))
    return VrfKey(*vrf.get_key_words(secret.public_key)), VrfProof(*hinted)


def hash_secret(secret):
    return hash_key(VrfKey(*vrf.get_key_words(secret.public_key)))


def register(stage, name="v1", secret=FIRST):
    stage.send(name, calls.Approve(stage.addresses.agent_registry, STAKE))
    proven = prove(stage, secret, ADDRESSES[name])
    return stage.send(name, calls.RegisterWithKey(2, STAKE, *proven))


def announce(stage, secret=SECOND):
    return stage.send("p1", calls.AnnounceRecovery(V1, *prove(stage, secret)))


def refuse(stage, name, call, error):
    before = deepcopy(stage.state)
    with pytest.raises(reverts.Revert) as caught:
        stage.send(name, call)
    assert caught.value == error
    assert stage.state == before


def test_register_with_key__proof_of_possession__can_be_drawn(stage):
    digest, epoch = hash_secret(FIRST), START // NETWORK.epoch_length + 2
    assert register(stage) == [events.AgentRegistered(V1, 2, STAKE, epoch, digest)]
    assert get_draw_key(stage.state, V1) == (digest, STAKE)


def test_register__plain_digest_of_a_key__cannot_be_drawn(stage):
    digest = hash_secret(FIRST)
    stage.send("v1", calls.Approve(stage.addresses.agent_registry, STAKE))
    stage.send("v1", calls.Register(2, STAKE, digest))
    assert get_draw_key(stage.state, V1) == (ZERO_DIGEST, STAKE)
    proven = prove(stage, FIRST)
    refuse(stage, "v1", calls.RotateKey(*proven), reverts.KeysUsed(digest))


def squat(stage, secret, name="v2"):
    """Register the digest of a key without a proof."""
    stage.send(name, calls.Approve(stage.addresses.agent_registry, STAKE))
    stage.send(name, calls.Register(1, STAKE, hash_secret(secret)))


def test_register_with_key__squatted_digest__goes_to_who_proves_it(stage):
    digest = hash_secret(FIRST)
    squat(stage, FIRST)
    register(stage)
    assert get_draw_key(stage.state, V1) == (digest, STAKE)
    assert get_draw_key(stage.state, ADDRESSES["v2"]) == (ZERO_DIGEST, STAKE)
    used = reverts.KeysUsed(digest)
    refuse(stage, "p1", calls.Register(1, STAKE, digest), used)
    back = prove(stage, FIRST, ADDRESSES["v2"])
    refuse(stage, "v2", calls.RotateKey(*back), used)


def test_recovery__announced_digest_squatted__is_put_into_force(stage):
    register(stage)
    stage.send("v1", calls.SetGuardian(GUARDIAN))
    announce(stage)
    squat(stage, SECOND)
    stage.time += NETWORK.unbonding_period
    stage.send("stranger", calls.ExecuteRecovery(V1))
    assert get_draw_key(stage.state, V1)[0] == hash_secret(SECOND)


def test_register_with_key__proof_of_another_account__is_refused_first(stage):
    key, proof = prove(stage, FIRST, ADDRESSES["v2"])
    with pytest.raises(reverts.VrfProofInvalid):
        stage.send("v1", calls.RegisterWithKey(0, STAKE, key, proof))
    assert stage.state.agents == {}
    altered = replace(proof, s=0)
    error = reverts.VrfProofInvalid(VrfFault.ANSWER_OUT_OF_RANGE)
    refuse(stage, "v1", calls.RegisterWithKey(0, STAKE, key, altered), error)


def test_register_with_key__each_rule_of_registration__holds(stage):
    proven = prove(stage, FIRST)
    refuse(stage, "v1", calls.RegisterWithKey(8, STAKE, *proven), reverts.InvalidRoles(8))
    low = calls.RegisterWithKey(2, STAKE - 1, *proven)
    refuse(stage, "v1", low, reverts.StakeTooLow(STAKE - 1, STAKE))
    bare = calls.RegisterWithKey(2, STAKE, *proven)
    registry = stage.addresses.agent_registry
    refuse(stage, "v1", bare, reverts.ERC20InsufficientAllowance(registry, 0, STAKE))
    register(stage)
    refuse(stage, "v1", bare, reverts.AlreadyRegistered(V1))
    other = calls.RegisterWithKey(2, STAKE, *prove(stage, FIRST, ADDRESSES["v2"]))
    refuse(stage, "v2", other, reverts.KeysUsed(hash_secret(FIRST)))


def test_rotate_key__another_key__keeps_all_else(stage):
    register(stage)
    before = stage.agent("v1")
    digest = hash_secret(SECOND)
    assert stage.send("v1", calls.RotateKey(*prove(stage, SECOND))) == [
        events.KeyRotated(V1, digest)
    ]
    assert stage.agent("v1") == replace(before, keys_digest=digest)
    assert get_draw_key(stage.state, V1) == (digest, STAKE)
    back = calls.RotateKey(*prove(stage, FIRST))
    refuse(stage, "v1", back, reverts.KeysUsed(hash_secret(FIRST)))


def test_rotate_key__stranger_or_foreign_proof__is_refused(stage):
    refuse(stage, "v1", calls.RotateKey(*prove(stage, FIRST)), reverts.NotRegistered(V1))
    register(stage)
    with pytest.raises(reverts.VrfProofInvalid):
        stage.send("v1", calls.RotateKey(*prove(stage, SECOND, GUARDIAN)))
    assert get_draw_key(stage.state, V1)[0] == hash_secret(FIRST)


def test_recovery__guardian_announces__is_in_force_after_the_unbonding_period(stage):
    register(stage)
    assert stage.send("v1", calls.SetGuardian(GUARDIAN)) == [events.GuardianSet(V1, GUARDIAN)]
    due, digest = START + NETWORK.unbonding_period, hash_secret(SECOND)
    assert announce(stage) == [events.RecoveryAnnounced(V1, digest, due)]
    assert keys.get_recovery(stage.state, V1) == (digest, due)
    stage.time = due - 1
    refuse(stage, "stranger", calls.ExecuteRecovery(V1), reverts.RecoveryNotDue(due))
    stage.time = due
    assert stage.send("stranger", calls.ExecuteRecovery(V1)) == [events.KeyRotated(V1, digest)]
    assert get_draw_key(stage.state, V1)[0] == digest
    refuse(stage, "stranger", calls.ExecuteRecovery(V1), reverts.NothingAnnounced(V1))


def test_recovery__owner_cancels__nothing_is_left(stage):
    refuse(stage, "v1", calls.CancelRecovery(), reverts.NothingAnnounced(V1))
    register(stage)
    stage.send("v1", calls.SetGuardian(GUARDIAN))
    announce(stage)
    cancelled = [events.RecoveryAnnounced(V1, ZERO_DIGEST, 0)]
    assert stage.send("v1", calls.CancelRecovery()) == cancelled
    assert keys.get_recovery(stage.state, V1) == (ZERO_DIGEST, 0)
    stage.time += NETWORK.unbonding_period
    refuse(stage, "p1", calls.ExecuteRecovery(V1), reverts.NothingAnnounced(V1))


def test_recovery__other_guardian_named__voids_what_was_announced(stage):
    register(stage)
    stage.send("v1", calls.SetGuardian(GUARDIAN))
    announce(stage)
    stage.send("v1", calls.SetGuardian(ZERO_ADDRESS))
    assert keys.get_guardian(stage.state, V1) == ZERO_ADDRESS
    assert keys.get_recovery(stage.state, V1) == (ZERO_DIGEST, 0)
    again = calls.AnnounceRecovery(V1, *prove(stage, SECOND))
    refuse(stage, "p1", again, reverts.NotGuardian(V1, GUARDIAN))


def test_recovery__key_used_meanwhile_or_owner_gone__is_refused(stage):
    register(stage)
    stage.send("v1", calls.SetGuardian(GUARDIAN))
    announce(stage)
    stage.send("v1", calls.RotateKey(*prove(stage, SECOND)))
    stage.time += NETWORK.unbonding_period
    used = reverts.KeysUsed(hash_secret(SECOND))
    refuse(stage, "p1", calls.ExecuteRecovery(V1), used)
    stage.send("v1", calls.BeginUnbonding())
    refuse(stage, "p1", calls.ExecuteRecovery(V1), reverts.NotRegistered(V1))


def test_set_guardian__stranger__must_register(stage):
    refuse(stage, "v1", calls.SetGuardian(GUARDIAN), reverts.NotRegistered(V1))


def test_punish_silence__enough_stake__burns_a_hundredth(stage):
    register(stage)
    assert punish_silence(stage.state, V1) == [events.AgentSlashed(V1, STAKE // 100)]
    assert stage.agent("v1").stake == STAKE - STAKE // 100
    assert get_balance(stage.state, BURN_ADDRESS) == STAKE // 100


def test_punish_silence__little_free_stake__burns_what_is_there(stage):
    register(stage)
    stage.state.agents[V1] = replace(stage.agent("v1"), locked=STAKE - 7)
    assert punish_silence(stage.state, V1) == [events.AgentSlashed(V1, 7)]
    assert punish_silence(stage.state, V1) == []
    assert stage.agent("v1").stake == STAKE - 7


def test_punish_silence__no_token__costs_nothing():
    stage = Stage(has_token=False)
    stage.send("governance", calls.SetAllowed(V1, allowed=True))
    stage.send("v1", calls.RegisterWithKey(2, 0, *prove(stage, FIRST)))
    assert punish_silence(stage.state, V1) == []

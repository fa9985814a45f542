"""An account may come back: each registration gets a keys digest of its own."""

import pytest

from flchain.chain.memory import MemoryLedger, build_config
from flchain.protocol.calls import Approve, Register, RegisterWithKey, Transfer
from flchain.protocol.params import ETHER, MINIMAL
from flchain.protocol.reverts import AlreadyRegistered, KeysUsed, VrfProofInvalid
from flchain.protocol.types import Role, Wei
from flchain.roles.drawing import hash_secret
from flchain.roles.membership import (
    approve_stake,
    compute_keys_digest,
    prove_possession,
    register,
    register_with_key,
    rotate_key,
    withdraw,
)
from tests.e2e.federation import SUPPLY, Clock, make_keys, make_vrf_secret

SPONSOR, MEMBER, OTHER = make_keys(3)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(clock):
    config = build_config(MINIMAL.network, SPONSOR.address)
    made = MemoryLedger(config, clock, {SPONSOR.address: SUPPLY})
    for member in (MEMBER, OTHER):
        made.send(Transfer(member.address, Wei(100 * ETHER)), SPONSOR)
    return made


def leave(ledger, clock):
    withdraw(ledger, MEMBER)
    clock.now += MINIMAL.network.unbonding_period
    withdraw(ledger, MEMBER)


def test_register__again_and_again__takes_new_keys_each_time(ledger, clock):
    digests = []
    for _ in range(3):
        register(ledger, MEMBER, Role.AGENT)
        digests.append(ledger.get_agent(MEMBER.address).keys_digest)
        leave(ledger, clock)
    assert len(set(digests)) == 3
    assert digests[0] == compute_keys_digest(MEMBER.address)


def test_register__somebody_took_the_keys__takes_others(ledger):
    ledger.send(Approve(ledger.addresses.agent_registry, Wei(100 * ETHER)), OTHER)
    stolen = compute_keys_digest(MEMBER.address)
    stake = ledger.compute_required_stake(int(Role.AGENT))
    ledger.send(Register(int(Role.AGENT), stake, stolen), OTHER)
    assert register(ledger, MEMBER, Role.AGENT) == stake
    assert ledger.get_agent(MEMBER.address).roles == Role.AGENT


def test_register__named_label_is_used__is_refused(ledger, clock):
    register(ledger, MEMBER, Role.AGENT, label="mine")
    leave(ledger, clock)
    with pytest.raises(KeysUsed):
        register(ledger, MEMBER, Role.AGENT, label="mine")


def test_register__while_registered__is_refused(ledger):
    register(ledger, MEMBER, Role.AGENT)
    with pytest.raises(AlreadyRegistered):
        register(ledger, MEMBER, Role.AGENT)


def test_register_with_key__own_proof__is_on_record_and_rotates(ledger):
    secret, fresh = make_vrf_secret(MEMBER.address), make_vrf_secret(OTHER.address)
    stake = register_with_key(ledger, MEMBER, Role.VALIDATOR, secret)
    assert ledger.get_proven_key(MEMBER.address) == hash_secret(secret)
    rotate_key(ledger, MEMBER, fresh)
    assert ledger.get_proven_key(MEMBER.address) == hash_secret(fresh)
    assert ledger.get_agent(MEMBER.address).stake == stake
    with pytest.raises(KeysUsed):
        rotate_key(ledger, MEMBER, secret)


def test_register_with_key__proof_made_for_another_account__is_refused(ledger):
    stake = approve_stake(ledger, OTHER, Role.VALIDATOR, None)
    key, proof = prove_possession(ledger, MEMBER.address, make_vrf_secret(MEMBER.address))
    with pytest.raises(VrfProofInvalid):
        ledger.send(RegisterWithKey(int(Role.VALIDATOR), stake, key, proof), OTHER)

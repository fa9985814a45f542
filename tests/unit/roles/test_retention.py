"""What validators attest stays pinned for as many rounds as the policy says."""

import re
import time
from dataclasses import replace

import pytest

from flchain.protocol.manifest import compute_manifest_digest, encode_manifest
from flchain.protocol.types import Outcome
from flchain.roles.archive import Archive, MalformedPayload, seal_payload
from flchain.roles.audit import verify_task
from flchain.storage.layered import LayeredStore
from flchain.storage.memory import MemoryNode, make_memory_store
from tests.e2e.federation import make_memory_federation, make_policy


def get_pins(store, kind, account):
    """Return the rounds or versions of which `account` pins something."""
    name = re.compile(rf"task/1/{kind}/(\d+)/{account}")
    return {int(match[1]) for pin in store.pins() if (match := name.fullmatch(pin.name))}


def get_account(role):
    return role.context.signer.address


def test_validator__attests__pins_every_update_under_its_own_name():
    federation = make_memory_federation()
    federation.run(1)
    store = federation.store
    for agent in federation.agents:
        store.unpin(f"task/1/round/1/{get_account(agent)}")
    store.gc(0, time.time())
    report = verify_task(federation.ledger, store, federation.task_id, rpc=None)
    assert report.is_sound
    for validator in federation.validators:
        assert get_pins(store, "round", get_account(validator)) == {1}


def test_validator__own_layered_store__keeps_what_it_attested_through_a_collection():
    node = MemoryNode()
    federation = make_memory_federation(
        stores=lambda: LayeredStore(make_memory_store(), [node], [node])
    )
    assert federation.run(1).live.outcome is Outcome.FINALIZED
    store = federation.validators[0].context.store
    assert isinstance(store, LayeredStore)
    store.gc(0, time.time())
    # The agents and everybody else are gone.
    node.is_reachable = False
    policy = federation.terms.policy
    assert policy.retention_rounds > 1
    for submission in federation.watch.observe().live.submissions:
        Archive(store).fetch(submission.digest, max_size=1 << 20)


def test_archive__payload_that_its_manifest_belies__is_pinned_all_the_same():
    store = make_memory_store()
    sealed = seal_payload(b"right", kind="report", dtype="json", policy_digest=bytes(32))
    belied = replace(sealed.manifest, cid=str(store.add(b"wrong", pin="agent")))
    store.put_block(encode_manifest(belied), "agent")
    archive = Archive(store)
    digest = compute_manifest_digest(belied)
    with pytest.raises(MalformedPayload):
        archive.fetch(digest, max_size=100)
    archive.pin([digest], "validator")
    store.unpin("agent")
    assert store.gc(0, time.time()).blocks == 0
    with pytest.raises(MalformedPayload):
        Archive(store).fetch(digest, max_size=100)


@pytest.mark.parametrize("keep", [1, 2])
def test_retention__older_rounds__are_unpinned_by_everybody(keep):
    federation = make_memory_federation(policy=make_policy(retention_rounds=keep), rounds=4)
    # Rewards may still be claimed: their records stay.
    federation.run(4)
    held = set(range(5 - keep, 5))
    for member in (*federation.agents, *federation.validators):
        assert get_pins(federation.store, "round", get_account(member)) == held
    validator = get_account(federation.validators[0])
    assert get_pins(federation.store, "version", validator) == {1, 2, 3, 4}


def test_retention__claims_are_over__results_are_unpinned_but_the_newest_model():
    federation = make_memory_federation(policy=make_policy(retention_rounds=1), rounds=4)
    federation.run(2)
    federation.ledger._clock.now += federation.terms.task.claim_window + 1
    federation.run(4)
    for role in (*federation.validators, federation.orchestrator.upkeep):
        kept = get_pins(federation.store, "version", get_account(role))
        assert kept == {3, 4}, role.context.role


def test_retention__other_accounts_and_tasks__are_left_alone():
    federation = make_memory_federation(policy=make_policy(retention_rounds=1), rounds=3)
    federation.store.add(b"foreign", pin="task/1/round/1/somebody")
    account = get_account(federation.validators[0])
    federation.store.add(b"other task", pin=f"task/11/round/1/{account}")
    federation.run(3)
    names = {pin.name for pin in federation.store.pins()}
    assert {"task/1/round/1/somebody", f"task/11/round/1/{account}"} <= names

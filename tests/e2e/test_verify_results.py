"""The audit over Anvil: results that a bought committee finalised, and state that was altered."""

import random

import pytest

from flchain.chain.contracts import get_address
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.proofs.layout import locate
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.types import Outcome, RoundId
from flchain.roles.audit import verify_task
from flchain.storage.cid import cid_from_digest, decode_cid
from tests.e2e import forgeries
from tests.e2e.federation import Behaviour, make_site_federation, open_site

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def site(place):
    with open_site(place) as opened:
        yield opened


def audit(site, federation, **options):
    return verify_task(
        EthereumLedger(site.devnet.rpc, site.book),
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
        **options,
    )


FORGERIES = {
    2: (forgeries.forge_sum, "sum", "1 of 650 integers of section 'delta' differ"),
    3: (forgeries.forge_state, "state", "1 of 650 integers of section 'params' differ"),
    4: (forgeries.forge_rewards, "reward root", " wei instead of "),
    5: (forgeries.forge_parent, "parent", "builds on version 0, the round's parent is version 4"),
    6: (forgeries.forge_parent_silently, "state", "it is derived from version 0"),
    7: (forgeries.forge_order, "updates 0 and 1", "they are swapped"),
    8: (forgeries.forge_swap, "sum", "updates 0 and 1 are swapped"),
    9: (forgeries.forge_weight, "update 0", "counted 16, should be"),
    10: (forgeries.forge_weight_silently, "sum", "counted 16, should be 15"),
}
"""By round: the forgery, the object that the audit must name, and what it must say."""


@pytest.fixture(scope="module")
def forged(site, place):
    """A federation whose committee finalises every wrong result; and what the audit says."""
    behaviour = Behaviour(
        forge={RoundId(number): forge for number, (forge, *_) in FORGERIES.items()},
        colluders=(0, 1, 2),
    )
    federation = make_site_federation(site, place, behaviour=behaviour, rounds=10)
    seen = federation.run(10, claims=False)
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    return audit(site, federation)


@pytest.mark.parametrize("number", FORGERIES)
def test_verify__finalised_forgery__names_round_object_and_difference(forged, number):
    _, subject, expected = FORGERIES[number]
    failures = [check for check in forged.failures if check.round == number]
    assert any(check.subject == subject and expected in check.detail for check in failures), [
        str(check) for check in failures
    ]


def test_verify__finalised_forgeries__leave_the_honest_round_alone(forged):
    assert {check.round for check in forged.failures} == set(FORGERIES)


def test_verify__flipped_byte_on_disk__names_round_and_update(site, place):
    federation = make_site_federation(site, place, rounds=1)
    seen = federation.run(1)
    update = seen.past.rounds[RoundId(1)].submissions[2]
    manifest = decode_manifest(federation.store.get_block(cid_from_digest(update.digest)))
    block = federation.store.get_block(decode_cid(manifest.cid))
    (path,) = (
        path
        for path in (place / "store").rglob("*")
        if path.is_file() and path.stat().st_size == len(block) and path.read_bytes() == block
    )
    whole = bytearray(block)
    whole[random.Random(3).randrange(len(whole))] ^= 0x40
    path.write_bytes(whole)
    report = audit(site, federation)
    (failure,) = report.failures
    assert (failure.round, failure.subject) == (1, f"update 2 of {update.agent}")
    assert "does not match its CID" in failure.detail


def get_slots(federation):
    """Return storage slots to alter, each with what the report must name."""
    task = federation.task_id
    agent = federation.agents[0].context.signer.address
    page = locate(3, task)
    models, agents = "ModelRegistry", "AgentRegistry"
    rewards, rounds = "RewardDistributor", "RoundManager"
    return [
        (models, locate(1, task, 2), f"getStateDigest({task}, 2)", 2),
        (models, locate(0, task), f"getLatest({task})", 2),
        (agents, locate(3, agent), f"getAgent({agent})", None),
        (rewards, locate(0, task), f"getBudget({task})", None),
        (rewards, locate(1, task, 2) + 1, f"getDistribution({task}, 2)", 2),
        (rewards, locate(1, task, 1), f"getDistribution({task}, 1)", 1),
        (rounds, page + 7, f"getRound({task})", 2),
        (rounds, page + 9, f"getBallot({task})", 2),
        (rounds, page + 11, f"getProposal({task})", 2),
        (rounds, locate(page + 19, agent), f"getMember({task}, {agent})", None),
        (rounds, locate(page + 20, 0), f"pages[{task}].counters[0]", None),
        (rounds, locate(page + 21, agent, 0), "which no call has written", None),
        (rounds, 0xDEAD, "which no call has written", None),
        ("LocalToken", locate(0, agent), f"balanceOf({agent})", None),
        ("LocalToken", locate(0, f"0x{'cd' * 20}"), "which no call has written", None),
    ]


def test_verify__storage_altered_behind_the_chains_back__names_every_slot(tmp_path):
    with open_site(tmp_path) as site:
        honest = make_site_federation(site, tmp_path)
        honest.run(2)
        assert audit(site, honest).is_sound
        # Not mined yet: the node's state is not the one that its newest block commits to.
        alter(site, honest, "ModelRegistry", locate(1, honest.task_id, 2))
        site.control.set_mining(is_automatic=True)
        unmined = audit(site, honest)
        for contract, slot, *_ in get_slots(honest)[1:]:
            alter(site, honest, contract, slot)
        site.control.mine()
        report = audit(site, honest)
    assert not unmined.is_sound
    found = {(check.subject, check.round) for check in report.failures}
    for contract, slot, expected, number in get_slots(honest):
        assert any(expected in subject and number == place for subject, place in found), expected
        assert any(subject.startswith(contract) for subject, _ in found)
        assert any(f"{slot:#x}" in check.subject + check.detail for check in report.failures)
    assert len([s for s, _ in found if "which no call has written" in s]) == 3


def alter(site, federation, contract, slot):
    """Flip the lowest bit of a storage slot."""
    address = get_address(federation.ledger.addresses, contract)
    word = bytearray(site.control.get_storage(address, slot))
    word[-1] ^= 1
    site.control.set_storage(address, slot, bytes(word))

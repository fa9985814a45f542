"""Over Anvil: a cheat spoils the sum of everybody, and the retry goes on without its group."""

import numpy as np
import pytest

from flchain.chain.ethereum import EthereumLedger
from flchain.learning.data.digits import load_digits
from flchain.protocol.canonical import decode_canonical
from flchain.protocol.events import AgentMissed, AgentSlashed
from flchain.protocol.types import Outcome, Phase, RoundId
from flchain.roles.audit import verify_task
from flchain.roles.execution import MAX_RECORD_SIZE, fetch_rewards
from flchain.roles.masked.unmasking import WEIGHT_FAULT, decode_groups
from tests.e2e.federation import make_site_federation, open_site
from tests.e2e.masked_stage import ENROLLED, PATIENT, Sums, make_secure_policy

pytestmark = [pytest.mark.anvil, pytest.mark.slow]

AGENTS = 10
ROWS = 20
CHEAT = 3
FIRST, SECOND = RoundId(1), RoundId(2)
WEIGHT_TAIL = 17 * 4
"""Bytes from the weight's word to the end of a masked vector."""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play a round with a wrong weight and its retry; return site, federation and the last look."""
    folder = tmp_path_factory.mktemp("groups")
    with open_site(folder, PATIENT, members=AGENTS + 5) as site:
        federation = make_site_federation(
            site,
            folder,
            preset=PATIENT,
            policy=make_secure_policy(),
            agents=AGENTS,
            rounds=SECOND,
            patience=50,
            idle=lambda _seen: site.control.advance_time(1),
        )
        site.control.advance_time(ENROLLED)
        rows = load_digits(0, AGENTS * ROWS)
        for number, agent in enumerate(federation.agents):
            agent.data = rows.select(slice(number * ROWS, (number + 1) * ROWS))
        mask_another_weight(federation.agents[CHEAT]._participant)
        yield site, federation, federation.run(SECOND)


def mask_another_weight(part):
    submit = part._submit

    def lie(seen):
        payload = bytearray(submit(seen))
        payload[-WEIGHT_TAIL] ^= 1
        return bytes(payload)

    part._submit = lie


def read_record(federation, past):
    archive = federation.orchestrator.upkeep.context.archive
    root = past.final_proposal.content.aggregate_root
    data = archive.fetch(root, max_size=MAX_RECORD_SIZE, kind="report")
    return decode_canonical(data, max_size=MAX_RECORD_SIZE)


def test_round__with_a_wrong_weight__has_no_sum_and_takes_nothing_from_anybody(played):
    _site, federation, seen = played
    first = seen.past.rounds[FIRST]
    assert first.outcome is Outcome.REJECTED_QUALITY
    record = read_record(federation, first)
    assert (record["fault"], decode_groups(record)) == (WEIGHT_FAULT, ())
    assert not federation.ledger.get_events(kinds=(AgentMissed, AgentSlashed))


def test_retry__of_the_same_agents__makes_a_version_of_the_good_group_alone(played):
    _site, federation, seen = played
    second = seen.past.rounds[SECOND]
    assert (second.outcome, second.opened.parent_version) == (Outcome.FINALIZED, 0)
    assert len(seen.masked_past.get_records(Phase.UNMASK)) == AGENTS
    groups = decode_groups(read_record(federation, second))
    bad, good = sorted(groups, key=lambda group: group.fault, reverse=True)
    assert (len(bad.survivors), len(good.survivors)) == (5, 5)
    assert federation.agents[CHEAT].context.signer.address in bad.survivors
    assert (bad.fault, good.fault) == (WEIGHT_FAULT, "")
    sums = Sums(federation, seen, second)
    found, expected = sums.read(), sums.add(list(good.survivors))
    for name, section in expected.items():
        assert np.array_equal(found[name], section)
        assert np.any(section)


def test_rewards__of_the_retry__go_to_the_good_group(played):
    _site, federation, seen = played
    archive = federation.orchestrator.upkeep.context.archive
    root = seen.past.rounds[SECOND].final_proposal.content.aggregate_root
    paid = {each.account for each in fetch_rewards(archive, root) if each.amount}
    agents = {agent.context.signer.address for agent in federation.agents}
    (good,) = (g for g in decode_groups(read_record(federation, seen.live)) if not g.fault)
    assert paid & agents == set(good.survivors)


def test_audit__of_both_rounds__is_sound(played):
    site, federation, _seen = played
    report = verify_task(
        EthereumLedger(site.devnet.rpc, site.book),
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
    )
    assert report.is_sound, [str(check) for check in report.failures]
    assert any("1 of 2 groups" in check.detail for check in report.checks)

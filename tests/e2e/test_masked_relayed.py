"""Secure rounds over Anvil whose records come in batches: every role in this process.

Part of a batch's gas is the same for any size. So many agents take part that a record costs less
than 5,500 in the last round, which only writes storage that was written before.
"""

from collections import Counter
from dataclasses import replace

import pytest

from flchain.learning.data.digits import load_digits
from flchain.protocol.digests import decode_bitmap
from flchain.protocol.events import (
    AgentMissed,
    RecordPosted,
    RecordsRelayed,
    RecordVoided,
)
from flchain.protocol.types import Outcome, Phase, Seconds
from flchain.roles.audit import verify_task
from tests.e2e.federation import QUICK, make_policy, make_site_federation, open_site

pytestmark = [pytest.mark.anvil, pytest.mark.slow]

AGENTS = 40
ROWS = 15
ROUNDS = 3
MOST_GAS = 5_500
RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)
_SECURE = replace(
    QUICK.schedule,
    submit_window=Seconds(60),
    attest_window=Seconds(60),
    propose_window=Seconds(60),
    vote_window=Seconds(60),
    masking=replace(
        QUICK.schedule.masking,
        forced_window=Seconds(10),
        join_window=Seconds(120),
        shares_window=Seconds(60),
        check_window=Seconds(60),
        unmask_window=Seconds(60),
    ),
)
_NETWORK = replace(QUICK.network, unbonding_period=Seconds(3_600))
ROOMY = replace(QUICK, network=_NETWORK, schedule=_SECURE)
"""Windows that a slow machine keeps: they close once everybody has acted."""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play all rounds; return site, federation, what was seen last, and all notices."""
    folder = tmp_path_factory.mktemp("relayed")
    policy = make_policy(
        mode="secure",
        min_agents=AGENTS,
        min_survivors=AGENTS - 2,
        max_agents=AGENTS,
        masking={"threshold": AGENTS // 2 + 2, "max_corrupt": 1},
    )
    with open_site(folder, ROOMY, members=AGENTS + 5) as site:
        federation = make_site_federation(
            site,
            folder,
            preset=ROOMY,
            policy=policy,
            agents=AGENTS,
            rounds=ROUNDS,
            patience=50,
            idle=lambda _seen: site.control.advance_time(2),
        )
        rows, notices = load_digits(0, AGENTS * ROWS), []
        for number, agent in enumerate(federation.agents):
            agent.data = rows.select(slice(number * ROWS, (number + 1) * ROWS))
            agent.is_relayed = True
        for role in [*federation.agents, federation.orchestrator.upkeep]:
            role.context = replace(role.context, report=notices.append)
        for agent in federation.agents:
            agent.upkeep.context = agent.context
        yield site, federation, federation.run(ROUNDS), notices


def list_events(federation, kind, number):
    events = [entry.event for entry in federation.ledger.get_events(kinds=(kind,))]
    return [event for event in events if event.round == number]


def test_rounds__relayed__are_finalized_with_every_agent(played):
    _site, federation, seen, _notices = played
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.FINALIZED] * ROUNDS
    for past in seen.past.rounds.values():
        assert len(past.submissions) == AGENTS
    assert not federation.ledger.get_events(kinds=(RecordVoided, AgentMissed))


def test_records__relayed__come_in_one_batch_a_phase(played):
    _site, federation, _seen, notices = played
    posted = [event.phase for event in list_events(federation, RecordPosted, 1)]
    assert posted == [Phase.JOIN] * AGENTS
    for number in range(2, ROUNDS + 1):
        assert not list_events(federation, RecordPosted, number)
        batches = list_events(federation, RecordsRelayed, number)
        assert [batch.phase for batch in batches] == list(RECORDED)
        assert all(len(decode_bitmap(batch.added)) == AGENTS for batch in batches)
        sent = Counter(each.action for each in notices if each.round == number and each.gas)
        assert (sent["RelayRecords"], sent["PostRecord"]) == (len(RECORDED), 0)


def test_gas__relayed_record__is_below_the_limit_in_every_phase(played):
    _site, _federation, _seen, notices = played
    spent = [each.gas for each in notices if (each.action, each.round) == ("RelayRecords", ROUNDS)]
    costs = {phase.name: gas / AGENTS for phase, gas in zip(RECORDED, spent, strict=True)}
    print(f"gas of a relayed record among {AGENTS}: {costs}")
    assert max(costs.values()) < MOST_GAS


def test_chain__relayed_rounds__are_verified_as_sound(played):
    site, federation, _seen, _notices = played
    report = verify_task(
        federation.ledger,
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
    )
    assert report.is_sound, [str(check) for check in report.failures]

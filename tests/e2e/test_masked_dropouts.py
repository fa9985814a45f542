"""Agents killed before and after every step of a masked round, each a process of its own."""

import numpy as np
import pytest

from flchain.chain.ethereum import EthereumLedger
from flchain.protocol.events import ModelPublished
from flchain.protocol.types import Outcome, Phase, RoundId
from flchain.roles.audit import verify_task
from flchain.roles.execution import fetch_rewards
from tests.e2e.federation import make_site_federation, open_site
from tests.e2e.masked_child import AFTER, BEFORE, BETWEEN
from tests.e2e.masked_stage import (
    AGENTS,
    PATIENT,
    MaskedStage,
    Processes,
    Sums,
    list_manifests,
    make_secure_policy,
)

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.timeout(600)]

RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)
LOST = {
    1: {0: (Phase.JOIN, BEFORE), 1: (Phase.JOIN, AFTER)},
    2: {0: (Phase.SHARES, BEFORE), 1: (Phase.SHARES, AFTER)},
    3: {0: (Phase.CHECK, BEFORE), 1: (Phase.CHECK, AFTER)},
    4: {0: (Phase.SUBMIT, BEFORE), 1: (Phase.SUBMIT, AFTER)},
    5: {0: (Phase.UNMASK, BEFORE), 1: (Phase.UNMASK, BEFORE), 2: (Phase.UNMASK, AFTER)},
}
"""By round: who is killed where. Two of seven may be lost."""
BACK = 6
RETURNING = {
    0: (Phase.JOIN, BEFORE),
    1: (Phase.JOIN, AFTER),
    2: (Phase.SHARES, BEFORE),
    3: (Phase.SHARES, AFTER),
    4: (Phase.SUBMIT, BEFORE),
    5: (Phase.UNMASK, BEFORE),
    6: (Phase.UNMASK, BETWEEN),
}
"""Who is killed where in round 6 and started again at once."""
SUBMIT_LOST = {0: (Phase.CHECK, BEFORE), 1: (Phase.CHECK, AFTER), 2: (Phase.SUBMIT, BEFORE)}
FAILED = {
    7: (dict.fromkeys(range(3), (Phase.JOIN, BEFORE)), Outcome.ABORTED_TOO_FEW),
    8: (dict.fromkeys(range(3), (Phase.SHARES, BEFORE)), Outcome.ABORTED_TOO_FEW),
    9: (SUBMIT_LOST, Outcome.ABORTED_TOO_FEW),
    11: (dict.fromkeys(range(3), (Phase.UNMASK, BEFORE)), Outcome.ABORTED_UNMASK),
}
"""By round: one more than may be lost, and how the round ends."""
WHOLE = (10, 12)
"""Rounds after a failed one, which nobody leaves."""
LAST = 12
FINAL = [*LOST, BACK, *WHOLE]
HALTS = {**LOST, BACK: RETURNING, **{number: lost for number, (lost, _) in FAILED.items()}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("dropouts")


@pytest.fixture(scope="module")
def site(place):
    with open_site(place, PATIENT) as opened:
        yield opened


@pytest.fixture(scope="module")
def played(site, place):
    """All rounds of this module, one after the other, and everybody's stake after each."""
    federation = make_site_federation(
        site, place, policy=make_secure_policy(), preset=PATIENT, agents=AGENTS, rounds=LAST
    )
    processes = Processes(site, place, federation, RoundId(LAST))
    stage, stakes = MaskedStage(site, federation, processes), [get_stakes(federation)]
    try:
        for number in range(1, LAST + 1):
            stage.play(RoundId(number), HALTS.get(number, {}), comes_back=number == BACK)
            stakes.append(get_stakes(federation))
    finally:
        processes.stop()
    return federation, federation.watch.observe(), stakes


def get_stakes(federation):
    """Return the agents' stakes, in their order."""
    accounts = [agent.context.signer.address for agent in federation.agents]
    return [federation.ledger.get_agent(account).stake for account in accounts]


def get_sums(played, number):
    federation, seen, _stakes = played
    return Sums(federation, seen, seen.past.rounds[RoundId(number)])


def name_agents(federation, numbers):
    return {federation.agents[number].context.signer.address for number in numbers}


def find_survivors(federation, halts):
    """Return whose vectors must be in the sum: of all who were not killed before they were."""
    in_time = {(Phase.SUBMIT, AFTER), (Phase.UNMASK, BEFORE), (Phase.UNMASK, AFTER)}
    lost = {number for number, where in halts.items() if where not in in_time}
    return name_agents(federation, set(range(AGENTS)) - lost)


@pytest.mark.parametrize("number", FINAL)
def test_round__as_many_lost_as_may_be__the_sum_is_the_plain_one(played, number):
    sums = get_sums(played, number)
    assert sums.past.outcome is Outcome.FINALIZED
    assert set(sums.survivors) == find_survivors(played[0], LOST.get(number, {}))
    found, expected = sums.read(), sums.add(sums.survivors)
    assert found.keys() == expected.keys()
    for name, section in expected.items():
        assert np.array_equal(found[name], section)
        assert np.any(section)


def test_agents__killed_and_started_again__make_the_records_they_had_written_down(played):
    masked = get_sums(played, BACK).past.masked
    for phase in RECORDED:
        assert len(masked.get_records(phase)) == AGENTS
    # What a killed process had published before it died is what stands on the chain.
    for kind in ("keys", "sharing", "masked", "release"):
        assert len(list_round(played, BACK, kind)) == AGENTS


def list_round(played, number, kind):
    """Return the messages of a kind that anybody has published in a round."""
    federation = played[0]
    key = federation.agents[0].context.get_round_key(RoundId(number)).hex()
    return [m for m in list_manifests(federation.store) if (m.round_key, m.kind) == (key, kind)]


@pytest.mark.parametrize("number", FAILED)
def test_round__one_more_lost__aborts(played, number):
    assert get_sums(played, number).past.outcome is FAILED[number][1]


@pytest.mark.parametrize(
    "number", [n for n, (row, _) in FAILED.items() if row[0][0] < Phase.UNMASK]
)
def test_round__aborted_before_unmasking__nothing_is_released(played, number):
    masked = get_sums(played, number).past.masked
    assert masked.get_records(Phase.UNMASK) == {}
    assert list_round(played, number, "release") == []


def test_round__too_few_releases__nobody_killed_before_has_told_anything(played):
    masked = get_sums(played, 11).past.masked
    assert len(masked.get_records(Phase.UNMASK)) == AGENTS - 3
    # A release is stored only once its record stands on the chain.
    assert len(list_round(played, 11, "release")) == AGENTS - 3


@pytest.mark.parametrize("number", range(1, LAST + 1))
def test_stakes__after_a_round__whole_but_for_the_penalty_of_who_missed_a_step(played, number):
    stakes = played[2]
    lost = {} if number == BACK else HALTS.get(number, {})
    excused = {(Phase.JOIN, BEFORE), (Phase.UNMASK, AFTER)}
    penalty = PATIENT.network.validator_stake // 100
    expected = [
        penalty if agent in lost and lost[agent] not in excused else 0 for agent in range(AGENTS)
    ]
    taken = [
        before - after for before, after in zip(stakes[number - 1], stakes[number], strict=True)
    ]
    assert taken == expected


def test_versions__only_finished_rounds_make_one(played):
    federation, *_ = played
    found = federation.ledger.get_events(task_id=federation.task_id, kinds=(ModelPublished,))
    assert [entry.event.round for entry in found][1:] == sorted(FINAL)


@pytest.mark.parametrize("number", FINAL)
def test_rewards__survivors_whose_release_counted__equal_pay(played, number):
    federation, seen, _stakes = played
    sums = get_sums(played, number)
    places = sums.past.masked.get_records(Phase.UNMASK)
    released = {seen.past.holders[place] for place in places}
    archive = federation.orchestrator.upkeep.context.archive
    rewards = fetch_rewards(archive, sums.past.final_proposal.content.aggregate_root)
    agents = name_agents(federation, range(AGENTS))
    paid = {each.account: each.amount for each in rewards if each.account in agents}
    assert {agent for agent, amount in paid.items() if amount} == released & set(sums.survivors)
    assert len({amount for amount in paid.values() if amount}) == 1


def test_audit__after_all_of_it__the_chain_is_sound(site, played):
    federation, *_ = played
    report = verify_task(
        EthereumLedger(site.devnet.rpc, site.book),
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
    )
    assert report.is_sound, [str(check) for check in report.failures]

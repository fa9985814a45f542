"""Federations over Anvil in which somebody cheats, sleeps or fails: the rules carry the round."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from flchain.chain.address_book import save_address_book
from flchain.chain.ethereum import EthereumLedger
from flchain.protocol.events import (
    AgentSlashed,
    BondReleased,
    ModelPublished,
    ProposalVoided,
    RoundOpened,
    VoteCast,
)
from flchain.protocol.types import Outcome, Reason, RoundId, Seconds, Verdict
from flchain.roles.audit import verify_task
from flchain.roles.upkeep import is_over
from tests.e2e import forgeries
from tests.e2e.federation import (
    QUICK,
    Behaviour,
    make_policy,
    make_secret,
    make_site_federation,
    open_site,
)

pytestmark = pytest.mark.anvil

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = 7
ROUND = RoundId(1)
HASTY = replace(QUICK, schedule=replace(QUICK.schedule, propose_window=Seconds(3)))
"""A proposer that is silent, or barred, is passed over after three seconds."""

_turns = count()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("adversarial")


@pytest.fixture(scope="module")
def site(place):
    with open_site(place, members=1 + 8 * MEMBERS) as opened:
        save_address_book(opened.book, place / "book.json")
        yield opened


def take_keys(site):
    """Return members whom no other test has slashed."""
    start = 1 + MEMBERS * next(_turns)
    return site.keys[start : start + MEMBERS]


@pytest.fixture
def keys(site):
    return take_keys(site)


def start(site, place, keys, **options):
    options.setdefault("preset", HASTY)
    options.setdefault("rounds", 1)
    return make_site_federation(site, place, keys=keys, **options)


def get_stakes(federation):
    members = [*federation.agents, *federation.validators, federation.orchestrator.upkeep]
    accounts = [member.context.signer.address for member in members]
    return {account: federation.ledger.get_agent(account).stake for account in accounts}


def get_events(federation, *kinds):
    return [entry.event for entry in federation.ledger.get_events(kinds=kinds)]


def is_sound(site, federation):
    report = verify_task(
        EthereumLedger(site.devnet.rpc, site.book),
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
    )
    assert report.is_sound, [str(check) for check in report.failures]
    return True


@contextmanager
def run_validators(site, place, federation, rounds) -> Iterator[None]:
    """Run the federation's validators in processes of their own, from before the first round."""
    numbers = {key.address: number for number, key in enumerate(site.keys)}
    children = []
    for place_in_line, validator in enumerate(federation.validators):
        first = 1_200 + 100 * place_in_line
        options = {
            "url": site.devnet.rpc_url,
            "book": str(place / "book.json"),
            "store": str(place / "store"),
            "task_id": federation.task_id,
            "key": make_secret(numbers[validator.context.signer.address]).hex(),
            "rows": [first, first + 100],
            "rounds": rounds,
        }
        command = [sys.executable, str(ROOT / "tests/e2e/federation_child.py"), json.dumps(options)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
    try:
        assert [child.stdout.readline() for child in children] == [b"ready\n"] * len(children)
        yield
        for child in children:
            assert child.wait(timeout=60) == 0
    finally:
        for child in children:
            child.kill()
            child.communicate()


def forge_reward(context, terms, inputs, result):
    """One wei of a random reward goes to another account."""
    order = list(range(len(result.rewards)))
    random.Random(context.task_id).shuffle(order)
    first, second = order[:2]
    rewards = list(result.rewards)
    rewards[first] = replace(rewards[first], amount=rewards[first].amount + 1)
    rewards[second] = replace(rewards[second], amount=rewards[second].amount - 1)
    return forgeries.rebuild(context, terms, inputs, result.counted, rewards=tuple(rewards))


def forge_somewhere(section):
    """Return a forgery of one integer at a random place of a section of the state."""

    def forge(context, terms, inputs, result):
        place = random.Random(context.task_id).randrange(terms.policy.model.parameters)
        print(f"the forged integer is {section}[{place}]")
        return forgeries.forge_section(section, place)(context, terms, inputs, result)

    return forge


WRONG_INTEGERS = {
    1: (forge_somewhere("params"), Reason.WRONG_MODEL),
    2: (forge_somewhere("server/momentum"), Reason.WRONG_MODEL),
    # The record behind the aggregate root lists the rewards, so it is what differs first.
    3: (forge_reward, Reason.WRONG_AGGREGATE),
}
"""By round: what the orchestrator forges, and what every validator answers."""


@pytest.fixture(scope="module")
def lied_to(site, place):
    """Three rounds with one wrong integer each, and validators in other processes."""
    forge = {RoundId(number): forge for number, (forge, _) in WRONG_INTEGERS.items()}
    schedule = replace(HASTY.schedule, attest_window=Seconds(20), vote_window=Seconds(20))
    federation = start(
        site,
        place,
        take_keys(site),
        behaviour=Behaviour(forge=forge),
        policy=make_policy("mimelite"),
        preset=replace(HASTY, schedule=schedule),
        rounds=3,
    )
    before = get_stakes(federation)
    with run_validators(site, place, federation, rounds=3):
        here = [federation.orchestrator, *federation.agents]
        seen = federation.run_roles(here, lambda seen: is_over(seen, 3))
    return federation, seen.past, before


@pytest.mark.parametrize("number", WRONG_INTEGERS)
def test_one_wrong_integer__is_rejected_and_the_next_proposer_finishes_the_round(lied_to, number):
    federation, past, _ = lied_to
    liar = federation.orchestrator.upkeep.context.signer.address
    current = past.rounds[RoundId(number)]
    wrong, right = current.proposals
    votes = [vote for vote in current.votes if vote.attempt == 0]
    # Every validator, on its own, found the same fault and the same true result.
    assert len(votes) == len(federation.validators)
    reason = WRONG_INTEGERS[number][1]
    assert {(vote.vote.verdict, vote.vote.reason) for vote in votes} == {(Verdict.WRONG, reason)}
    assert {vote.vote.counter_content_id for vote in votes} == {right.content_id}
    # The next proposer finishes the round on the same updates.
    assert current.outcome is Outcome.FINALIZED
    assert wrong.proposer == liar != right.proposer
    assert right.survivor_root == wrong.survivor_root
    assert len(current.submissions) == len(federation.agents)


def test_one_wrong_integer__gives_no_version(lied_to):
    federation, past, _ = lied_to
    published = get_task_events(federation, ModelPublished)[1:]
    right = [current.proposals[1].proposal_id for current in past.rounds.values()]
    assert [(e.version, e.round, e.proposal_id) for e in published] == [
        (number, number, proposal_id) for number, proposal_id in enumerate(right, 1)
    ]


def test_one_wrong_integer__costs_the_bond_by_the_rules_and_nothing_else(lied_to):
    federation, past, before = lied_to
    bond = federation.terms.task.proposal_bond
    liar = federation.orchestrator.upkeep.context.signer.address
    voided = get_task_events(federation, ProposalVoided)
    assert [(e.round, e.attempt, e.is_proven_wrong) for e in voided] == [
        (number, 0, True) for number in WRONG_INTEGERS
    ]
    slashed = [e for e in get_events(federation, AgentSlashed) if e.agent in before]
    assert [(e.agent, e.amount) for e in slashed] == [(liar, bond)] * 3
    released = [e.agent for e in get_events(federation, BondReleased) if e.agent in before]
    assert released == [current.proposals[1].proposer for current in past.rounds.values()]
    after = get_stakes(federation)
    taken = {account: before[account] - after[account] for account in before}
    assert taken == {account: 3 * bond if account == liar else 0 for account in before}


def test_one_wrong_integer__leaves_a_chain_that_the_audit_confirms(site, lied_to):
    assert is_sound(site, lied_to[0])


def get_task_events(federation, kind):
    found = federation.ledger.get_events(task_id=federation.task_id, kinds=(kind,))
    return [entry.event for entry in found]


def test_silent_orchestrator__another_participant_finishes(site, place, keys):
    federation = start(site, place, keys, behaviour=Behaviour(is_silent=True), patience=1)
    seen = federation.run(1)
    past = seen.past.rounds[ROUND]
    assert past.outcome is Outcome.FINALIZED
    assert past.final_proposal.proposer in {a.context.signer.address for a in federation.agents} | {
        v.context.signer.address for v in federation.validators
    }
    assert not [
        e for e in get_events(federation, AgentSlashed) if e.agent in get_stakes(federation)
    ]
    assert is_sound(site, federation)


def test_withheld_blob__the_agent_is_left_out_and_the_round_finishes(site, place, keys):
    federation = start(site, place, keys, behaviour=Behaviour(withholders=(1,)))
    seen = federation.run(1)
    past = seen.past.rounds[ROUND]
    assert past.outcome is Outcome.FINALIZED
    assert len(past.submissions) == 3
    withholder = federation.agents[1].context.signer.address
    paid = past.rewards
    survivors = [s.agent for s in past.submissions if s.agent != withholder]
    held = {i for indices in past.attested.values() for i in indices}
    assert {past.submissions[i].agent for i in held} == set(survivors)
    assert paid is not None
    assert federation.agents[1].claim_rewards(federation.watch.observe()) == 0
    assert is_sound(site, federation)


def test_too_few_agents__the_round_aborts_stakes_stay_whole_and_the_next_opens(site, place, keys):
    behaviour = Behaviour(absent={0: [ROUND], 1: [ROUND]})
    schedule = replace(HASTY.schedule, submit_window=Seconds(3))
    preset = replace(HASTY, schedule=schedule)
    federation = start(site, place, keys, behaviour=behaviour, preset=preset, rounds=2)
    before = get_stakes(federation)
    seen = federation.run(2)
    outcomes = [past.outcome for past in seen.past.rounds.values()]
    assert outcomes == [Outcome.ABORTED_TOO_FEW, Outcome.FINALIZED]
    assert get_stakes(federation) == before
    opened = get_task_events(federation, RoundOpened)
    # The second round starts from the same model: nothing came of the first.
    assert [e.parent_version for e in opened] == [0, 0]
    assert is_sound(site, federation)


def test_model_worse_on_the_validators_own_data__is_rejected_and_nobody_slashed(site, place, keys):
    policy = make_policy(**{"quality.tolerance_bps": 100, "training.local_epochs": 4})
    behaviour = Behaviour(poisoned=(RoundId(2),))
    federation = start(site, place, keys, behaviour=behaviour, policy=policy, rounds=3)
    before = get_stakes(federation)
    seen = federation.run(3)
    rounds = seen.past.rounds
    assert [past.outcome for past in rounds.values()] == [
        Outcome.FINALIZED,
        Outcome.REJECTED_QUALITY,
        Outcome.FINALIZED,
    ]
    votes = [e.vote for e in get_task_events(federation, VoteCast) if e.round == 2]
    assert {vote.verdict for vote in votes} == {Verdict.WORSE}
    assert get_stakes(federation) == before
    # No version came of it: the next round starts from the last good one.
    assert [e.version for e in get_task_events(federation, ModelPublished)] == [0, 1, 2]
    assert rounds[RoundId(3)].opened.parent_version == 1
    # Taking part is still paid, at the policy's lower rate.
    assert rounds[RoundId(2)].rewards.payout_bps == policy.rewards.participation_bps
    assert is_sound(site, federation)

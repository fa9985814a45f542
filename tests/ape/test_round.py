"""One small round through Ape's contract objects: from registration to a claimed reward."""

import ape
import pytest

from flchain.chain.contracts import flatten
from flchain.crypto.merkle import compute_root
from flchain.protocol.digests import reward_leaf, round_key
from flchain.protocol.params import MINIMAL
from flchain.protocol.records import Content, Task, Vote
from flchain.protocol.types import Mode, Outcome, Phase, Role, Verdict

RESERVE = 10**18
REWARD = RESERVE // 2


def digest(number):
    return number.to_bytes(32, "big")


@pytest.fixture
def members(accounts, at, book, sponsor):
    """Two agents and a validator, registered with stake."""
    network = MINIMAL.network
    roles = [(Role.AGENT, network.agent_stake)] * 2 + [(Role.VALIDATOR, network.validator_stake)]
    for number, (role, stake) in enumerate(roles, start=1):
        account = accounts[number]
        at("LocalToken").transfer(account, stake, sender=sponsor)
        at("LocalToken").approve(book.addresses.agent_registry, stake, sender=account)
        at("AgentRegistry").register(role, stake, digest(number), sender=account)
    return accounts[1:4]


@pytest.fixture
def task(at, book, members, sponsor, chain):
    """A funded task with everybody enrolled, active and endorsed; round 1 is open."""
    manager = at("RoundManager")
    manager.createTask(list(flatten(build_task(sponsor.address))), sender=sponsor)
    at("LocalToken").approve(book.addresses.reward_distributor, RESERVE, sender=sponsor)
    at("RewardDistributor").fund(1, RESERVE, sender=sponsor)
    manager.enrol(1, Role.PROPOSER, sender=become_proposer(at, book, sponsor))
    for account, role in zip(members, (Role.AGENT, Role.AGENT, Role.VALIDATOR), strict=True):
        manager.enrol(1, role, sender=account)
    chain.pending_timestamp += 3 * MINIMAL.network.epoch_length
    manager.endorse(1, digest(100), digest(101), sender=members[2])
    manager.openRound(1, sender=sponsor)
    return 1


def become_proposer(at, book, account):
    stake = MINIMAL.network.proposer_stake
    at("LocalToken").approve(book.addresses.agent_registry, stake, sender=account)
    at("AgentRegistry").register(Role.PROPOSER, stake, digest(99), sender=account)
    return account


def build_task(orchestrator):
    schedule = MINIMAL.schedule
    unused = ("forced_window", "join_window", "shares_window", "check_window", "unmask_window")
    return Task(
        orchestrator=orchestrator,
        round_reserve=RESERVE,
        proposal_bond=schedule.proposal_bond,
        max_agents=4,
        min_agents=2,
        min_survivors=2,
        min_validators=1,
        w_max=10,
        max_attempts=schedule.max_attempts,
        propose_ranks=schedule.propose_ranks,
        mode=Mode.PLAIN,
        max_share_bps=10_000,
        participation_bps=1_000,
        max_rounds=schedule.max_rounds,
        submit_window=schedule.submit_window,
        attest_window=schedule.attest_window,
        propose_window=schedule.propose_window,
        vote_window=schedule.vote_window,
        open_delay=schedule.open_delay,
        claim_delay=0,
        claim_window=schedule.claim_window,
        **dict.fromkeys((*unused, "seat_window", "committee"), 0),
        coordinate_bound=1_000,
        policy_digest=digest(100),
        initial_state=digest(101),
    )


def test_round__everybody_acts__finalised_and_paid(at, book, task, members, chain):
    manager = at("RoundManager")
    for account in members[:2]:
        manager.submit(task, 1, digest(7), 5, sender=account)
    assert manager.getPhase(task) == Phase.ATTEST
    manager.attest(task, 1, [0b11], sender=members[2])

    key = round_key(chain.chain_id, book.addresses.round_manager, task, 1)
    distributor = book.addresses.reward_distributor
    leaf = reward_leaf(
        chain.chain_id, distributor, key, index=0, account=members[0].address, amount=REWARD
    )
    content = Content(digest(20), digest(21), compute_root([leaf]), REWARD)
    proposed = manager.propose(
        task, 1, list(flatten(content)), sender=manager.getTask(task).orchestrator
    )
    proposal_id = proposed.events.filter(manager.ProposalSubmitted)[0].proposalId

    vote = Vote(bytes(proposal_id), Verdict.APPROVE)
    manager.vote(task, 1, list(flatten(vote)), sender=members[2])
    settled = manager.settle(task, sender=members[0])
    (event,) = settled.events.filter(manager.RoundSettled)
    assert (event.round, event.outcome) == (1, Outcome.FINALIZED)
    assert at("ModelRegistry").getStateDigest(task, 1) == digest(21)

    before = at("LocalToken").balanceOf(members[0])
    at("RewardDistributor").claim(task, 1, 0, members[0], REWARD, [], sender=members[1])
    assert at("LocalToken").balanceOf(members[0]) == before + REWARD


def test_submit__second_time__reverts(at, task, members):
    manager = at("RoundManager")
    manager.submit(task, 1, digest(7), 5, sender=members[0])
    with ape.reverts(manager.AlreadySubmitted, agent=members[0].address):
        manager.submit(task, 1, digest(8), 5, sender=members[0])


def test_submit__stranger__reverts(at, task, accounts):
    manager = at("RoundManager")
    with ape.reverts(manager.NotEntitled, account=accounts[8].address):
        manager.submit(task, 1, digest(7), 5, sender=accounts[8])


def test_submit__events__carry_index_and_digest(at, task, members):
    manager = at("RoundManager")
    receipt = manager.submit(task, 1, digest(7), 5, sender=members[0])
    assert receipt.events == [
        manager.UpdateSubmitted(
            taskId=task, round=1, agent=members[0], index=0, digest=digest(7), weight=5
        )
    ]


def test_settle__nobody_submitted__aborts_and_stakes_stay(at, task, members, sponsor, chain):
    manager, schedule = at("RoundManager"), MINIMAL.schedule
    chain.pending_timestamp += schedule.submit_window + 1
    settled = manager.settle(task, sender=sponsor)
    assert settled.events.filter(manager.RoundSettled)[0].outcome == Outcome.ABORTED_TOO_FEW
    for account in members:
        assert at("AgentRegistry").getAgent(account).stake > 0

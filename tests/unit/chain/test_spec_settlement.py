# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
import pytest

from flchain.chain.spec.models import get_latest_version, get_state_digest
from flchain.chain.spec.rewards import get_budget, get_distribution
from flchain.chain.spec.tasks import get_task_status
from flchain.protocol import calls, events, reverts
from flchain.protocol.records import Budget
from flchain.protocol.types import ZERO_DIGEST, Outcome, Phase, Verdict
from tests.unit.chain.stage import (
    ADDRESSES,
    AGENTS,
    CONTENT,
    ETHER,
    TASK,
    TASK_ID,
    VALIDATORS,
    Stage,
)

QUORUM = VALIDATORS[:3]


def decide(stage, verdict, **fields):
    for name in QUORUM:
        stage.vote(name, verdict, **fields)
    return stage.settle()


def test_settle__quorum_approves__finalises_and_frees_the_bond():
    stage = Stage().reach_vote()
    settled, released, published, rewards = decide(stage, Verdict.APPROVE)
    assert settled == events.RoundSettled(1, 1, Outcome.FINALIZED, stage.time)
    assert released == events.BondReleased(ADDRESSES["orchestrator"], 5 * ETHER)
    assert published.version == 1
    assert published.proposal_id == stage.book.proposal.proposal_id
    assert rewards.total == 400
    assert get_state_digest(stage.state, TASK_ID, 1) == CONTENT.state_digest
    assert get_budget(stage.state, TASK_ID) == Budget(2_600, 0)
    assert get_distribution(stage.state, TASK_ID, 1).remaining == 400
    # The next round opens at once and builds on the new version.
    assert stage.send("stranger", calls.OpenRound(1))[0].parent_version == 1


def test_settle__most_seats_find_it_worse__rejects_without_a_slash():
    stage = Stage().reach_vote()
    settled, released, rewards = decide(stage, Verdict.WORSE)
    assert settled.outcome == Outcome.REJECTED_QUALITY
    assert settled.next_open_at == stage.time + TASK.open_delay
    assert released.amount == 5 * ETHER
    assert rewards.payout_bps == 2_500
    assert get_latest_version(stage.state, TASK_ID) == 0
    assert get_distribution(stage.state, TASK_ID, 1).remaining == 100
    assert get_budget(stage.state, TASK_ID).available == 2_900


def test_settle__same_objection_from_a_quorum__burns_the_bond_and_goes_on():
    stage = Stage().reach_vote()
    voided, slashed = decide(stage, Verdict.WRONG)
    assert voided == events.ProposalVoided(1, 1, 0, True)
    assert slashed == events.AgentSlashed(ADDRESSES["orchestrator"], 5 * ETHER)
    assert stage.phase == Phase.PROPOSE
    assert (stage.ballot.attempt, stage.ballot.start_rank, stage.ballot.cast) == (1, 1, 0)
    assert get_latest_version(stage.state, TASK_ID) == 0
    with pytest.raises(reverts.Barred):
        stage.propose("orchestrator")


def test_settle__next_proposer__finishes_on_the_same_updates():
    stage = Stage().reach_vote()
    commitment = stage.book.submissions.commitment
    decide(stage, Verdict.WRONG)
    stage.time += 20
    stage.propose("a1")
    assert stage.book.submissions.commitment == commitment
    assert decide(stage, Verdict.APPROVE)[0].outcome == Outcome.FINALIZED
    assert stage.agent("a1").locked == 0


def test_settle__different_objections__prove_nothing():
    stage = Stage().reach_vote()
    for seat, name in enumerate(QUORUM):
        stage.vote(name, Verdict.WRONG, counter_content_id=bytes([seat + 1]) * 32)
    assert (stage.ballot.reject_kinds, stage.ballot.top_reject) == (3, 1)
    voided, released = stage.settle()
    assert not voided.is_proven_wrong
    assert released.amount == 5 * ETHER


def test_settle__votes_that_cannot_agree__void_the_proposal_without_a_slash():
    stage = Stage().reach_vote()
    for name, verdict in zip(VALIDATORS, (1, 3, 4), strict=False):
        stage.vote(name, verdict)
    voided, released = stage.settle()
    assert voided == events.ProposalVoided(1, 1, 0, False)
    assert released.amount == 5 * ETHER


def test_settle__last_attempt_void__aborts_and_keeps_the_ballot():
    stage = Stage().reach_vote()
    decide(stage, Verdict.WRONG)
    stage.time += 20
    stage.propose("a1")
    for name, verdict in zip(VALIDATORS, (1, 3, 4), strict=False):
        stage.vote(name, verdict)
    voided, settled, released = stage.settle()
    assert voided.attempt == 1
    assert settled.outcome == Outcome.ABORTED_NO_QUORUM
    assert released == events.BondReleased(ADDRESSES["a1"], 5 * ETHER)
    assert get_budget(stage.state, TASK_ID) == Budget(3_000, 0)


def test_settle__quorum_misses_data__aborts_without_a_slash():
    stage = Stage().reach_vote()
    settled, released = decide(stage, Verdict.DATA_MISSING)
    assert settled.outcome == Outcome.ABORTED_DATA_LOST
    assert released.amount == 5 * ETHER
    assert stage.agent("orchestrator").stake == 30 * ETHER


def test_settle__undecided_vote__is_extended_once_then_void():
    stage = Stage().reach_vote()
    stage.vote("v1")
    stage.time += 40
    (extended,) = stage.settle()
    assert extended == events.VoteExtended(1, 1, 0, stage.time + 40)
    stage.vote("v2")
    stage.time += 40
    voided, _ = stage.settle()
    assert voided == events.ProposalVoided(1, 1, 0, False)
    assert stage.phase == Phase.PROPOSE


def test_settle__correct_quorum_at_the_deadline__finalises_despite_silence():
    stage = Stage().reach_vote()
    for name, verdict in (("v1", 1), ("v2", 2), ("v3", 2)):
        stage.vote(name, verdict)
    assert stage.phase == Phase.VOTE
    stage.time += 40
    assert stage.settle()[0].outcome == Outcome.FINALIZED


def test_settle__no_bond__frees_and_burns_nothing():
    stage = Stage(proposal_bond=0).reach_vote()
    kinds = [type(event) for event in decide(stage, Verdict.APPROVE)]
    assert kinds == [events.RoundSettled, events.ModelPublished, events.RewardsPublished]


def test_settle__final_round_after_aborts__ends_the_streak():
    stage = Stage().gather()
    stage.send("stranger", calls.OpenRound(1))
    stage.time += 60
    stage.settle()
    assert get_task_status(stage.state, TASK_ID).abort_streak == 1
    stage.time += 7
    stage.send("stranger", calls.OpenRound(1))
    stage.submit().attest()
    stage.propose()
    decide(stage, Verdict.APPROVE)
    assert get_task_status(stage.state, TASK_ID).abort_streak == 0


def test_slash__without_a_token__suspends_the_proposer():
    stage = Stage(has_token=False, proposal_bond=0, round_reserve=0)
    for name in ("orchestrator", *AGENTS, *VALIDATORS):
        stage.send("governance", calls.SetAllowed(ADDRESSES[name], allowed=True))
    stage.send("sponsor", calls.CreateTask(stage.task))
    for seed, name in enumerate(("orchestrator", *AGENTS, *VALIDATORS)):
        role = {"o": 4, "a": 1, "v": 2}[name[0]]
        stage.send(name, calls.Register(role, 0, bytes([seed + 1]) * 32))
        stage.send(name, calls.Enrol(1, role))
        if role == 2:
            stage.send(name, calls.Endorse(1, TASK.policy_digest, TASK.initial_state))
    stage.time += 30
    stage.send("stranger", calls.OpenRound(1))
    stage.submit().attest()
    stage.propose(content=type(CONTENT)(b"\1" * 32, b"\2" * 32, ZERO_DIGEST, 0))
    voided, slashed, suspended = decide(stage, Verdict.WRONG)
    assert voided.is_proven_wrong
    assert slashed == events.AgentSlashed(ADDRESSES["orchestrator"], 0)
    assert suspended == events.SuspensionSet(ADDRESSES["orchestrator"], True)
    assert stage.send("stranger", calls.Dismiss(1, ADDRESSES["orchestrator"]))

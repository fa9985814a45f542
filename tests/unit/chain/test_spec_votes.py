# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy
from dataclasses import replace

import pytest

from flchain.chain.spec.proposals import get_proposer
from flchain.chain.spec.votes import Decision, compute_decision
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls, events, reverts
from flchain.protocol.digests import content_id, proposal_id, survivor_root
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_vote
from flchain.protocol.records import Ballot, SignedVote, Vote
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Phase, Reason, Verdict
from tests.unit.chain.stage import (
    ADDRESSES,
    CONTENT,
    ETHER,
    SIGNERS,
    TASK,
    TASK_ID,
    VALIDATORS,
    Stage,
)


def sign_vote(stage, name, verdict=Verdict.APPROVE, attempt=None):
    paper = Vote(stage.book.proposal.proposal_id, verdict)
    number = stage.ballot.attempt if attempt is None else attempt
    domain = Domain(stage.state.config.chain_id, stage.addresses.round_manager)
    digest = compute_signing_digest(domain, hash_vote(stage.key, number, paper))
    signature = SIGNERS[name].sign_digest(digest)
    return SignedVote(ADDRESSES[name], paper, *compact_signature(signature))


def test_propose__orchestrator__binds_round_survivors_policy_and_parent():
    stage = Stage().open().submit().attest()
    recorded, locked = stage.propose()
    commitment = stage.book.submissions.commitment
    root = survivor_root(stage.key, commitment, {0, 1, 2}, 3)
    bound = content_id(stage.key, root, CONTENT, TASK.policy_digest, 0)
    assert recorded.survivor_root == root
    assert recorded.content_id == bound
    assert recorded.proposal_id == proposal_id(bound, 0, ADDRESSES["orchestrator"])
    assert locked == events.BondLocked(ADDRESSES["orchestrator"], 5 * ETHER)
    assert stage.ballot.vote_close == stage.time + 40
    assert stage.phase == Phase.VOTE


def test_propose__ranks__take_turns_until_the_window_is_open_to_all():
    stage = Stage().open().submit().attest()
    assert get_proposer(stage.state, TASK_ID, stage.time) == (0, ADDRESSES["orchestrator"])
    with pytest.raises(reverts.NotYourRank):
        stage.propose("p1")
    stage.time += 20
    rank, holder = get_proposer(stage.state, TASK_ID, stage.time)
    assert rank == 1
    assert holder in {ADDRESSES["orchestrator"], ADDRESSES["p1"]}
    other = "p1" if holder == ADDRESSES["orchestrator"] else "orchestrator"
    with pytest.raises(reverts.NotYourRank):
        stage.propose(other)
    stage.time += 20
    assert get_proposer(stage.state, TASK_ID, stage.time) == (2, ZERO_ADDRESS)
    stage.propose("a1")
    assert stage.ballot.rank == 2


def test_propose__nobody_in_line__orchestrator_holds_every_rank_but_the_last():
    stage = Stage(orchestrator=ADDRESSES["a1"]).create().enrol("a1", "a2", *VALIDATORS)
    stage.time += 30
    stage.send("stranger", calls.OpenRound(1))
    stage.submit("a1", "a2").attest()
    stage.time += 20
    assert get_proposer(stage.state, TASK_ID, stage.time) == (1, ADDRESSES["a1"])


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("stranger", {}, reverts.NotEntitled(ADDRESSES["stranger"])),
        ("orchestrator", {"state_digest": ZERO_DIGEST}, reverts.InvalidDigest(ZERO_DIGEST)),
        ("orchestrator", {"aggregate_root": ZERO_DIGEST}, reverts.InvalidDigest(ZERO_DIGEST)),
        ("orchestrator", {"reward_total": 1_001}, reverts.RewardTooHigh(1_001, 1_000)),
    ],
)
def test_propose__bad_proposal__is_refused_and_changes_nothing(name, changes, error):
    stage = Stage().open().submit().attest()
    before = deepcopy(stage.state)
    with pytest.raises(type(error)) as caught:
        stage.propose(name, replace(CONTENT, **changes))
    assert caught.value == error
    assert stage.state == before


def test_propose__bond_beyond_the_free_stake__is_refused():
    stage = Stage(proposal_bond=11 * ETHER).open().submit().attest()
    stage.time += 40
    with pytest.raises(reverts.BondTooHigh) as caught:
        stage.propose("a1")
    assert caught.value == reverts.BondTooHigh(ADDRESSES["a1"], 10 * ETHER, 11 * ETHER)


def test_propose__while_voting_or_submitting__is_refused():
    stage = Stage().open()
    with pytest.raises(reverts.WrongPhase) as caught:
        stage.propose()
    assert caught.value == reverts.WrongPhase(Phase.PROPOSE, Phase.SUBMIT)
    stage.submit().attest()
    stage.propose()
    with pytest.raises(reverts.WrongPhase):
        stage.propose()
    with pytest.raises(reverts.WrongPhase):
        get_proposer(stage.state, TASK_ID, stage.time)


def test_vote__three_of_four__close_the_vote_early():
    stage = Stage().reach_vote()
    stage.vote("v1")
    stage.vote("v2")
    assert stage.phase == Phase.VOTE
    (event,) = stage.vote("v3", quality=9_100)
    assert event.vote.quality == 9_100
    assert stage.phase == Phase.SETTLE
    assert (stage.ballot.approvals, stage.ballot.cast, stage.ballot.voted) == (3, 3, 0b0111)


def test_vote__bad_vote__is_refused_and_changes_nothing():
    stage = Stage().reach_vote()
    live = stage.book.proposal.proposal_id
    before = deepcopy(stage.state)
    cases = {
        "a1": (Vote(live, Verdict.APPROVE), reverts.NotEntitled),
        "v1": (Vote(b"\1" * 32, Verdict.APPROVE), reverts.WrongProposal),
        "v2": (Vote(live, Verdict.NONE), reverts.InvalidVote),
        "v3": (Vote(live, Verdict.APPROVE, Reason.WRONG_SET), reverts.InvalidVote),
        "v4": (Vote(live, Verdict.WRONG, Reason.WRONG_SET), reverts.InvalidVote),
    }
    for name, (paper, error) in cases.items():
        with pytest.raises(error):
            stage.send(name, calls.CastVote(1, 1, paper))
    for verdict, reason, counter in [
        (Verdict.WRONG, Reason.NONE, b"\1" * 32),
        (Verdict.WRONG, 5, b"\1" * 32),
        (5, Reason.NONE, ZERO_DIGEST),
    ]:
        with pytest.raises(reverts.InvalidVote) as caught:
            stage.send("v1", calls.CastVote(1, 1, Vote(live, verdict, reason, counter)))
        assert caught.value == reverts.InvalidVote(verdict, reason)
    assert stage.state == before


def test_vote__twice__is_refused():
    stage = Stage().reach_vote()
    stage.vote("v1")
    with pytest.raises(reverts.AlreadyVoted):
        stage.vote("v1", Verdict.WORSE)


def test_vote__on_ones_own_proposal__is_refused_and_no_silence():
    stage = Stage().open().submit().attest()
    stage.time += 40
    stage.propose("v2")
    assert stage.ballot.voted == 0b0010
    with pytest.raises(reverts.OwnProposal):
        stage.vote("v2")
    assert stage.ballot.cast == 0


def test_vote__at_the_deadline__is_too_late():
    stage = Stage().reach_vote()
    stage.time += 39
    stage.vote("v1")
    stage.time += 1
    with pytest.raises(reverts.WrongPhase) as caught:
        stage.vote("v2")
    assert caught.value == reverts.WrongPhase(Phase.VOTE, Phase.SETTLE)


def test_vote_bundle__signed_votes__count_once_each():
    stage = Stage().reach_vote()
    stage.vote("v1")
    entries = tuple(sign_vote(stage, name) for name in ("v1", "v2", "v2", "v3"))
    made = stage.send("stranger", calls.VoteBundle(1, 1, entries))
    assert [event.validator for event in made] == [ADDRESSES["v2"], ADDRESSES["v3"]]
    assert stage.phase == Phase.SETTLE


def test_vote_bundle__vote_of_another_attempt_or_validator__refuses_all():
    stage = Stage().reach_vote()
    good = sign_vote(stage, "v1")
    before = deepcopy(stage.state)
    replayed = sign_vote(stage, "v2", attempt=1)
    stolen = replace(good, validator=ADDRESSES["v3"])
    for bad in (replayed, stolen):
        with pytest.raises(reverts.SignatureInvalid):
            stage.send("stranger", calls.VoteBundle(1, 1, (good, bad)))
    with pytest.raises(reverts.InvalidVote):
        stage.send("stranger", calls.VoteBundle(1, 1, (good, sign_vote(stage, "v2", Verdict.NONE))))
    for length in (0, 33):
        with pytest.raises(reverts.InvalidBundle):
            stage.send("stranger", calls.VoteBundle(1, 1, (good,) * length))
    assert stage.state == before


@pytest.mark.parametrize(
    ("seats", "counts", "decision"),
    [
        (4, {"approvals": 2}, Decision.OPEN),
        (4, {"approvals": 3}, Decision.FINAL),
        (4, {"approvals": 1, "worse": 2}, Decision.OPEN),
        (4, {"approvals": 2, "worse": 2}, Decision.FINAL),
        (4, {"worse": 3}, Decision.WORSE),
        (4, {"approvals": 1, "worse": 3}, Decision.WORSE),
        (4, {"top_reject": 3}, Decision.WRONG),
        (4, {"missing": 3}, Decision.MISSING),
        (4, {"approvals": 2, "missing": 2}, Decision.VOID),
        (4, {"approvals": 1, "missing": 1, "top_reject": 1}, Decision.VOID),
        (5, {"approvals": 3, "worse": 1}, Decision.FINAL),
        (5, {"approvals": 2, "worse": 2}, Decision.OPEN),
        (1, {"approvals": 1}, Decision.FINAL),
    ],
)
def test_decision__counts_among_seats__is_the_rule_books(seats, counts, decision):
    cast = sum(counts.values())
    assert compute_decision(seats, Ballot(cast=cast, **counts)) == decision

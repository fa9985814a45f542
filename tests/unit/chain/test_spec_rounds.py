# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy

import pytest

from flchain.chain.spec.rewards import get_budget
from flchain.chain.spec.rounds import get_round, get_survivors
from flchain.protocol import calls, events, reverts
from flchain.protocol.digests import chain_submission, empty_chain
from flchain.protocol.eip712 import (
    Domain,
    compute_signing_digest,
    hash_attestation,
    hash_update,
)
from flchain.protocol.records import Budget, SignedAttestation
from flchain.protocol.types import ZERO_DIGEST, Outcome, Phase
from tests.unit.chain.stage import (
    ADDRESSES,
    AGENTS,
    SIGNERS,
    START,
    TASK,
    TASK_ID,
    VALIDATORS,
    Stage,
)

DIGEST = b"\x05" * 32


def sign(stage, name, struct_hash):
    domain = Domain(stage.state.config.chain_id, stage.addresses.round_manager)
    return SIGNERS[name].sign_digest(compute_signing_digest(domain, struct_hash))


def sign_attestation(stage, name, bitmap):
    signature = sign(stage, name, hash_attestation(stage.key, bitmap))
    return SignedAttestation(ADDRESSES[name], bitmap, signature)


def test_open_round__everything_ready__takes_the_snapshot():
    stage = Stage().gather()
    (event,) = stage.send("stranger", calls.OpenRound(1))
    assert event == events.RoundOpened(1, 1, 0, 3, 4)
    opened = get_round(stage.state, TASK_ID)
    assert opened.submit_close == stage.time + 60
    assert opened.attest_close == stage.time + 90
    assert (opened.members, opened.validators, opened.attesters, opened.w_max) == (3, 4, 0, 8)
    assert stage.phase == Phase.SUBMIT
    assert get_budget(stage.state, TASK_ID) == Budget(2_000, 1_000)


def test_open_round__lacking_parts__are_refused_in_order():
    stage = Stage()
    with pytest.raises(reverts.UnknownTask):
        stage.send("stranger", calls.OpenRound(1))
    stage.send("sponsor", calls.CreateTask(stage.task))
    with pytest.raises(reverts.TooEarly) as early:
        stage.send("stranger", calls.OpenRound(1))
    assert early.value.opens_at == START + 7
    stage.time += 7
    with pytest.raises(reverts.TooFewValidators):
        stage.send("stranger", calls.OpenRound(1))
    for name in VALIDATORS:
        stage.register(name)
        stage.send(name, calls.Enrol(1, 2))
    stage.time += 30
    with pytest.raises(reverts.NotEndorsed) as missing:
        stage.send("stranger", calls.OpenRound(1))
    assert missing.value == reverts.NotEndorsed(0, 3)
    for name in VALIDATORS[:3]:
        stage.send(name, calls.Endorse(1, TASK.policy_digest, TASK.initial_state))
    with pytest.raises(reverts.TooFewAgents):
        stage.send("stranger", calls.OpenRound(1))
    stage.enrol("a1", "a2")
    stage.time += 30
    with pytest.raises(reverts.BudgetTooLow):
        stage.send("stranger", calls.OpenRound(1))


def test_open_round__live_closed_or_used_up__is_refused():
    stage = Stage(max_rounds=1).finish()
    with pytest.raises(reverts.RoundsExhausted):
        stage.send("stranger", calls.OpenRound(1))
    stage.send("sponsor", calls.CloseTask(1))
    with pytest.raises(reverts.TaskIsClosed):
        stage.send("stranger", calls.OpenRound(1))
    with pytest.raises(reverts.RoundIsLive):
        Stage().open().send("stranger", calls.OpenRound(1))


def test_submit__last_member__closes_the_window():
    stage = Stage().open()
    commitment = empty_chain(stage.key)
    for index, name in enumerate(AGENTS):
        assert stage.phase == Phase.SUBMIT
        (event,) = stage.send(name, calls.Submit(1, 1, DIGEST, index + 1))
        assert event == events.UpdateSubmitted(1, 1, ADDRESSES[name], index, DIGEST, index + 1)
        commitment = chain_submission(commitment, ADDRESSES[name], DIGEST, index + 1)
    assert stage.book.submissions.commitment == commitment
    assert stage.phase == Phase.ATTEST
    assert stage.book.round.attest_close == stage.time + 30


@pytest.mark.parametrize(
    ("name", "call", "error"),
    [
        ("a1", calls.Submit(1, 2, DIGEST, 1), reverts.WrongRound(1, 2)),
        ("a1", calls.Submit(1, 0, DIGEST, 1), reverts.WrongRound(1, 0)),
        ("a1", calls.Submit(2, 1, DIGEST, 1), reverts.WrongRound(0, 1)),
        ("a1", calls.Submit(2, 0, DIGEST, 1), reverts.WrongPhase(Phase.SUBMIT, Phase.NONE)),
        ("v1", calls.Submit(1, 1, DIGEST, 1), reverts.NotEntitled(ADDRESSES["v1"])),
        ("stranger", calls.Submit(1, 1, DIGEST, 1), reverts.NotEntitled(ADDRESSES["stranger"])),
        ("a1", calls.Submit(1, 1, ZERO_DIGEST, 1), reverts.InvalidDigest(ZERO_DIGEST)),
        ("a1", calls.Submit(1, 1, DIGEST, 0), reverts.InvalidWeight(0, 8)),
        ("a1", calls.Submit(1, 1, DIGEST, 9), reverts.InvalidWeight(9, 8)),
    ],
)
def test_submit__bad_call__is_refused_and_changes_nothing(name, call, error):
    stage = Stage().open()
    before = deepcopy(stage.state)
    with pytest.raises(type(error)) as caught:
        stage.send(name, call)
    assert caught.value == error
    assert stage.state == before


def test_submit__twice__is_refused():
    stage = Stage().open().submit("a1")
    with pytest.raises(reverts.AlreadySubmitted):
        stage.send("a1", calls.Submit(1, 1, DIGEST, 1))


def test_submit__at_the_deadline__is_too_late():
    stage = Stage().open()
    stage.time += 59
    stage.send("a1", calls.Submit(1, 1, DIGEST, 1))
    stage.time += 1
    with pytest.raises(reverts.WrongPhase) as caught:
        stage.send("a2", calls.Submit(1, 1, DIGEST, 1))
    assert caught.value == reverts.WrongPhase(Phase.SUBMIT, Phase.ATTEST)


def test_submit__agent_that_left_during_the_round__still_may():
    stage = Stage().open()
    stage.time += 1
    stage.send("a1", calls.LeaveTask(1))
    stage.send("a1", calls.Submit(1, 1, DIGEST, 1))
    stage.send("a1", calls.Enrol(1, 1))
    with pytest.raises(reverts.NotEntitled):
        # The new enrolment is not yet active, and the old one is gone.
        stage.send("a1", calls.Submit(1, 1, DIGEST, 1))


def test_submit__agent_enrolled_too_late__waits_for_the_next_round():
    stage = Stage(max_agents=8).create().enrol("orchestrator", "a1", "a2", *VALIDATORS)
    stage.time += 19
    stage.enrol("a3")
    stage.time += 10
    stage.send("stranger", calls.OpenRound(1))
    stage.time += 20
    with pytest.raises(reverts.NotEntitled):
        stage.send("a3", calls.Submit(1, 1, DIGEST, 1))


def test_submit_with_sig__sent_by_a_stranger__counts_for_the_signer_once():
    stage = Stage().open()
    deadline = stage.time
    signature = sign(stage, "a1", hash_update(stage.key, DIGEST, 3, deadline))
    call = calls.SubmitWithSig(ADDRESSES["a1"], 1, 1, DIGEST, 3, deadline, signature)
    assert stage.send("stranger", call)[0].agent == ADDRESSES["a1"]
    with pytest.raises(reverts.AlreadySubmitted):
        stage.send("stranger", call)
    heavier = calls.SubmitWithSig(ADDRESSES["a1"], 1, 1, DIGEST, 4, deadline, signature)
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", heavier)
    stage.time += 1
    with pytest.raises(reverts.SignatureExpired):
        stage.send("stranger", call)


def test_attest__majority__makes_survivors():
    stage = Stage().open().submit()
    stage.attest("v1", "v2", held={0, 1})
    assert get_survivors(stage.book) == frozenset()
    stage.attest("v3", held={1, 2})
    assert get_survivors(stage.book) == {1}
    stage.attest("v4", held={0})
    assert get_survivors(stage.book) == {0, 1}
    assert get_round(stage.state, TASK_ID).attesters == 4
    assert stage.phase == Phase.PROPOSE


def test_attest__again__adds_and_reports_only_what_is_new():
    stage = Stage().open().submit()
    stage.attest("v1", held={0})
    (event,) = stage.send("v1", calls.Attest(1, 1, (0b011,)))
    assert event == events.BlobsAttested(1, 1, ADDRESSES["v1"], (0b010,))
    with pytest.raises(reverts.AlreadyAttested):
        stage.send("v1", calls.Attest(1, 1, (0b001,)))
    # One that names nothing counts as an attester, once.
    assert stage.send("v2", calls.Attest(1, 1, (0,)))[0].bitmap == (0,)
    with pytest.raises(reverts.AlreadyAttested):
        stage.send("v2", calls.Attest(1, 1, (0,)))


@pytest.mark.parametrize("bitmap", [(), (0, 0), (0b1000,), (1 << 224,), (2**256 - 1,)])
def test_attest__bitmap_of_another_size__is_refused(bitmap):
    stage = Stage().open().submit()
    with pytest.raises(reverts.InvalidBitmap) as caught:
        stage.send("v1", calls.Attest(1, 1, bitmap))
    assert caught.value.submissions == 3


def test_attest__agent_or_wrong_phase__is_refused():
    stage = Stage().open()
    with pytest.raises(reverts.WrongPhase):
        stage.send("v1", calls.Attest(1, 1, (0,)))
    stage.submit()
    with pytest.raises(reverts.NotEntitled):
        stage.send("a1", calls.Attest(1, 1, (0,)))
    stage.time += 30
    with pytest.raises(reverts.WrongPhase) as caught:
        stage.send("v1", calls.Attest(1, 1, (0,)))
    assert caught.value.actual == Phase.SETTLE


def test_attest_bundle__of_all__closes_the_window_and_skips_repeats():
    stage = Stage().open().submit()
    entries = tuple(sign_attestation(stage, name, (0b111,)) for name in VALIDATORS)
    made = stage.send("stranger", calls.AttestBundle(1, 1, (entries[0], *entries)))
    assert [event.validator for event in made] == [ADDRESSES[name] for name in VALIDATORS]
    assert stage.phase == Phase.PROPOSE


def test_attest_bundle__one_invalid__changes_nothing():
    stage = Stage().open().submit()
    good = sign_attestation(stage, "v1", (0b111,))
    forged = SignedAttestation(ADDRESSES["v2"], (0b111,), good.signature)
    before = deepcopy(stage.state)
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", calls.AttestBundle(1, 1, (good, forged)))
    agent = sign_attestation(stage, "a1", (0b111,))
    with pytest.raises(reverts.NotEntitled):
        stage.send("stranger", calls.AttestBundle(1, 1, (good, agent)))
    for length in (0, 33):
        with pytest.raises(reverts.InvalidBundle):
            stage.send("stranger", calls.AttestBundle(1, 1, (good,) * length))
    assert stage.state == before


def test_settle__too_few_submissions__need_not_wait_for_attest():
    stage = Stage().open().submit("a1")
    stage.time += 60
    (event,) = stage.settle()
    assert event.outcome == Outcome.ABORTED_TOO_FEW
    assert get_budget(stage.state, TASK_ID) == Budget(3_000, 0)


@pytest.mark.parametrize(
    ("attesters", "held", "outcome"),
    [
        ((), {0, 1, 2}, Outcome.ABORTED_NO_ATTESTERS),
        (("v1", "v2"), {0, 1, 2}, Outcome.ABORTED_NO_ATTESTERS),
        (("v1", "v2", "v3"), {0}, Outcome.ABORTED_TOO_FEW),
        (("v1", "v2", "v3"), {0, 1}, Outcome.ABORTED_NO_PROPOSAL),
    ],
)
def test_settle__after_all_windows__says_why_the_round_failed(attesters, held, outcome):
    stage = Stage().open().submit()
    for name in attesters:
        stage.attest(name, held=held)
    stage.time += 30 + 3 * 20
    (event,) = stage.settle()
    assert event.outcome == outcome
    assert stage.phase == Phase.ENDED


def test_settle__nothing_decided__is_refused():
    stage = Stage()
    with pytest.raises(reverts.WrongPhase) as caught:
        stage.settle()
    assert caught.value == reverts.WrongPhase(Phase.SETTLE, Phase.NONE)
    stage.open()
    with pytest.raises(reverts.WrongPhase):
        stage.settle()


def test_aborts__in_a_row__double_the_pause_six_times_at_most():
    stage = Stage(max_rounds=100, round_reserve=0).gather()
    pauses = []
    for _ in range(9):
        stage.send("stranger", calls.OpenRound(1))
        stage.time += 60
        (event,) = stage.settle()
        pauses.append(event.next_open_at - stage.time)
        stage.time = event.next_open_at
    assert pauses == [7 * 2**power for power in (0, 1, 2, 3, 4, 5, 6, 6, 6)]

# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy
from dataclasses import asdict, replace

import pytest

from flchain.chain.memory import build_config
from flchain.chain.spec.tasks import count_active, get_task_status, verify_task
from flchain.protocol import calls, events, reverts
from flchain.protocol.eip712 import (
    Domain,
    compute_signing_digest,
    hash_endorsement,
    hash_enrolment,
    hash_leave,
)
from flchain.protocol.params import PRESETS
from flchain.protocol.records import Population
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Mode
from tests.unit.chain.stage import ADDRESSES, ETHER, FUNDS, SIGNERS, START, TASK, VALIDATORS, Stage

V1 = ADDRESSES["v1"]


@pytest.fixture
def stage():
    return Stage()


def sign(stage, name, struct_hash):
    domain = Domain(stage.state.config.chain_id, stage.addresses.round_manager)
    return SIGNERS[name].sign_digest(compute_signing_digest(domain, struct_hash))


def test_create_task__sound_task__publishes_version_0(stage):
    created, published = stage.send("sponsor", calls.CreateTask(TASK))
    assert created == events.TaskCreated(1, ADDRESSES["sponsor"], TASK)
    assert published == events.ModelPublished(1, 0, 0, TASK.initial_state, ZERO_DIGEST)
    status = get_task_status(stage.state, 1)
    assert (status.sponsor, status.next_open_at) == (ADDRESSES["sponsor"], START + TASK.open_delay)
    assert stage.send("a1", calls.CreateTask(TASK))[0].task_id == 2


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("orchestrator", {"orchestrator": ZERO_ADDRESS}),
        ("maxAgents", {"max_agents": 0}),
        ("maxAgents", {"max_agents": 1025}),
        ("minAgents", {"min_agents": 0}),
        ("minAgents", {"min_agents": 9}),
        ("minSurvivors", {"min_survivors": 0}),
        ("minSurvivors", {"min_survivors": 3}),
        ("minValidators", {"min_validators": 0}),
        ("minValidators", {"min_validators": 65}),
        ("committee", {"committee": 4, "seat_window": 1}),
        ("committee", {"committee": 65, "seat_window": 1, "min_validators": 64}),
        ("seatWindow", {"committee": 4, "min_validators": 4}),
        ("wMax", {"w_max": 0}),
        ("coordinateBound", {"coordinate_bound": 0}),
        ("maxAttempts", {"max_attempts": 0}),
        ("maxAttempts", {"max_attempts": 4}),
        ("proposeRanks", {"propose_ranks": 0}),
        ("proposeRanks", {"propose_ranks": 9}),
        ("maxShareBps", {"max_share_bps": 0}),
        ("maxShareBps", {"max_share_bps": 10_001}),
        ("participationBps", {"participation_bps": 10_001}),
        ("maxRounds", {"max_rounds": 0}),
        ("maxRounds", {"max_rounds": 2**24}),
        ("submitWindow", {"submit_window": 0}),
        ("attestWindow", {"attest_window": 0}),
        ("proposeWindow", {"propose_window": 0}),
        ("voteWindow", {"vote_window": 0}),
        ("claimWindow", {"claim_window": 0}),
        ("secureWindows", {"join_window": 1}),
        ("secureWindows", {"forced_window": 1}),
        ("seatWindow", {"seat_window": 1}),
        ("secureWindows", {"mode": Mode.SECURE}),
        ("policyDigest", {"policy_digest": ZERO_DIGEST}),
        ("initialState", {"initial_state": ZERO_DIGEST}),
    ],
)
def test_create_task__field_out_of_range__is_named(stage, field, changes):
    with pytest.raises(reverts.InvalidTask) as caught:
        stage.send("sponsor", calls.CreateTask(replace(TASK, **changes)))
    assert caught.value.field == field.encode().ljust(32, b"\0")
    assert stage.state.books == {}


def test_create_task__two_fields_wrong__names_the_first(stage):
    with pytest.raises(reverts.InvalidTask) as caught:
        stage.send("sponsor", calls.CreateTask(replace(TASK, mode=Mode.SECURE, w_max=0)))
    assert caught.value.field.startswith(b"wMax")


def test_create_task__largest_sum_of_2_to_31__does_not_fit(stage):
    bound = 2**31 // (TASK.max_agents * TASK.w_max)
    with pytest.raises(reverts.CapacityExceeded) as caught:
        stage.send("sponsor", calls.CreateTask(replace(TASK, coordinate_bound=bound)))
    assert caught.value.largest_sum == 2**31
    stage.send("sponsor", calls.CreateTask(replace(TASK, coordinate_bound=bound - 1)))


def test_create_task__round_longer_than_unbonding__is_refused(stage):
    # 60 + 30 + 2 * (3 * 20 + 2 * vote window) <= 1000
    stage.send("sponsor", calls.CreateTask(replace(TASK, vote_window=197)))
    with pytest.raises(reverts.UnbondingTooShort) as caught:
        stage.send("sponsor", calls.CreateTask(replace(TASK, vote_window=198)))
    assert caught.value == reverts.UnbondingTooShort(1_002, 1_000)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_preset__its_own_tasks__are_sound(preset):
    config = build_config(preset.network, ADDRESSES["governance"])
    schedule = {name: getattr(preset.schedule, name) for name in preset.schedule.__slots__}
    windows = asdict(schedule.pop("masking"))
    verify_task(config, replace(TASK, **schedule))
    secure = {"mode": Mode.SECURE, "threshold": 3, "min_agents": 4, "min_survivors": 4}
    verify_task(config, replace(TASK, **schedule, **windows, **secure))
    assert preset.schedule.proposal_bond <= preset.network.proposer_stake


def test_close_task__without_a_live_round__refunds_the_sponsor(stage):
    stage.create()
    with pytest.raises(reverts.NotSponsor):
        stage.send("a1", calls.CloseTask(1))
    with pytest.raises(reverts.UnknownTask):
        stage.send("sponsor", calls.CloseTask(2))
    closed, refunded = stage.send("sponsor", calls.CloseTask(1))
    assert refunded == events.TaskRefunded(1, ADDRESSES["sponsor"], 3_000)
    assert closed == events.TaskClosed(1)
    assert stage.balance("sponsor") == FUNDS
    stage.register("a1")
    with pytest.raises(reverts.TaskIsClosed):
        stage.send("a1", calls.Enrol(1, 1))


def test_close_task__round_is_live__is_refused():
    stage = Stage().open()
    with pytest.raises(reverts.RoundIsLive):
        stage.send("sponsor", calls.CloseTask(1))


def test_enrol__eligible_identity__counts_from_two_epochs_later(stage):
    stage.create().enrol("a1", "v1")
    assert count_active(stage.state.config, stage.book, stage.time) == Population()
    stage.time += 20
    assert count_active(stage.state.config, stage.book, stage.time) == Population(1, 1, 0)
    assert stage.agent("a1").duties == 1


@pytest.mark.parametrize("role", [0, 3, 7, 8])
def test_enrol__not_exactly_one_role__is_refused(stage, role):
    stage.create()
    stage.register("a1")
    with pytest.raises(reverts.InvalidRoles):
        stage.send("a1", calls.Enrol(1, role))


def test_enrol__wrong_role_twice_or_in_a_full_task__is_refused():
    stage = Stage(max_agents=2).create().enrol("a1", "a2")
    stage.register("a3")
    with pytest.raises(reverts.TaskFull):
        stage.send("a3", calls.Enrol(1, 1))
    with pytest.raises(reverts.NotEligible):
        stage.send("a3", calls.Enrol(1, 2))
    with pytest.raises(reverts.AlreadyEnrolled):
        stage.send("a1", calls.Enrol(1, 1))
    with pytest.raises(reverts.UnknownTask):
        stage.send("a1", calls.Enrol(2, 1))


def test_enrol_with_sig__replayed_after_leaving__is_refused(stage):
    stage.create()
    stage.register("a1")
    signature = sign(stage, "a1", hash_enrolment(1, 1, 0, START))
    call = calls.EnrolWithSig(ADDRESSES["a1"], 1, 1, START, signature)
    stage.send("stranger", call)
    leave = sign(stage, "a1", hash_leave(1, 1, START))
    leaving = calls.LeaveTaskWithSig(ADDRESSES["a1"], 1, START, leave)
    assert stage.send("stranger", leaving) == [events.MemberLeft(1, ADDRESSES["a1"], False)]
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", call)
    stage.send("a1", calls.Enrol(1, 1))
    with pytest.raises(reverts.SignatureInvalid):
        stage.send("stranger", leaving)


def test_endorse__own_policy_and_model__counts_once(stage):
    stage.create()
    stage.register("v1")
    stage.send("v1", calls.Enrol(1, 2))
    with pytest.raises(reverts.WrongEndorsement):
        stage.send("v1", calls.Endorse(1, TASK.initial_state, TASK.policy_digest))
    stage.send("v1", calls.Endorse(1, TASK.policy_digest, TASK.initial_state))
    assert get_task_status(stage.state, 1).endorsements == 1
    with pytest.raises(reverts.AlreadyEndorsed):
        stage.send("v1", calls.Endorse(1, TASK.policy_digest, TASK.initial_state))
    stage.send("v1", calls.LeaveTask(1))
    assert get_task_status(stage.state, 1).endorsements == 0


def test_endorse__agent_or_stranger__is_refused(stage):
    stage.create().enrol("a1")
    for name in ("a1", "stranger"):
        with pytest.raises(reverts.NotEnrolled):
            stage.send(name, calls.Endorse(1, TASK.policy_digest, TASK.initial_state))


def test_endorse_with_sig__sent_by_a_stranger__endorses(stage):
    stage.create()
    stage.register("v1")
    stage.send("v1", calls.Enrol(1, 2))
    digests = (TASK.policy_digest, TASK.initial_state)
    signature = sign(stage, "v1", hash_endorsement(1, *digests, START))
    call = calls.EndorseWithSig(V1, 1, *digests, START, signature)
    assert stage.send("stranger", call) == [events.TaskEndorsed(1, V1)]


def test_seats__one_left__goes_to_the_next_validator(stage):
    stage.create().enrol(*VALIDATORS[:3])
    assert [stage.member(name).place for name in VALIDATORS[:3]] == [0, 1, 2]
    stage.send("v2", calls.LeaveTask(1))
    stage.enrol("v4")
    assert stage.member("v4").place == 1
    stage.send("v2", calls.Enrol(1, 2))
    assert stage.member("v2").place == 3
    assert stage.member("v2").nonce == 2


def test_proposers__first_left__last_takes_its_place(stage):
    stage.create().enrol("orchestrator", "p1")
    stage.send("orchestrator", calls.LeaveTask(1))
    assert stage.book.proposers == [ADDRESSES["p1"]]
    assert stage.member("p1").place == 0


def test_dismiss__member_in_good_standing__stays(stage):
    stage.create().enrol("a1", "v1")
    before = deepcopy(stage.state)
    for name in ("a1", "v1"):
        with pytest.raises(reverts.StillInGoodStanding):
            stage.send("stranger", calls.Dismiss(1, ADDRESSES[name]))
    with pytest.raises(reverts.NotEnrolled):
        stage.send("stranger", calls.Dismiss(1, ADDRESSES["a2"]))
    assert stage.state == before


def test_dismiss__suspended_member__leaves(stage):
    stage.create().enrol("a1")
    stage.send("governance", calls.SetSuspended(ADDRESSES["a1"], suspended=True))
    (event,) = stage.send("stranger", calls.Dismiss(1, ADDRESSES["a1"]))
    assert event == events.MemberLeft(1, ADDRESSES["a1"], True)
    assert stage.agent("a1").duties == 0


def run_silent_round(stage, voters):
    """Finalise a round whose vote stays open until its window runs out."""
    stage.send("stranger", calls.OpenRound(1))
    stage.submit().attest()
    stage.propose()
    for name, verdict in voters.items():
        stage.vote(name, verdict)
    stage.time += stage.task.vote_window
    stage.settle()
    stage.time += 10


def test_dismiss__three_silent_votes_that_ran_out__evict_the_validator():
    stage = Stage().gather()
    undecided = {"v1": 1, "v2": 2, "v3": 2}
    for _ in range(2):
        run_silent_round(stage, undecided)
        with pytest.raises(reverts.StillInGoodStanding):
            stage.send("stranger", calls.Dismiss(1, ADDRESSES["v4"]))
    run_silent_round(stage, undecided)
    with pytest.raises(reverts.StillInGoodStanding):
        stage.send("stranger", calls.Dismiss(1, ADDRESSES["v3"]))
    assert stage.send("stranger", calls.Dismiss(1, ADDRESSES["v4"]))


def test_dismiss__votes_decided_early__do_not_count_against_the_slow():
    stage = Stage().gather()
    for _ in range(3):
        stage.send("stranger", calls.OpenRound(1))
        stage.submit().attest()
        stage.propose()
        for name in VALIDATORS[:3]:
            stage.vote(name)
        stage.settle()
    with pytest.raises(reverts.StillInGoodStanding):
        stage.send("stranger", calls.Dismiss(1, ADDRESSES["v4"]))


def test_dismiss__seat_taken_over__does_not_inherit_silence():
    stage = Stage().gather()
    for _ in range(3):
        run_silent_round(stage, {"v1": 1, "v2": 2, "v3": 2})
    stage.send("v4", calls.LeaveTask(1))
    stage.send("v4", calls.Enrol(1, 2))
    assert stage.member("v4").place == 3
    with pytest.raises(reverts.StillInGoodStanding):
        stage.send("stranger", calls.Dismiss(1, ADDRESSES["v4"]))


def test_stake__of_all_actors__is_what_they_registered_with():
    stage = Stage().gather()
    assert stage.agent("v1").stake == 20 * ETHER

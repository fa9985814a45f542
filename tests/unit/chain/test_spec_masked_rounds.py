# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy
from dataclasses import replace

import pytest

from flchain.chain.spec.masked_clock import get_masked_set, is_differencing
from flchain.chain.spec.masked_penalties import MISSABLE
from flchain.chain.spec.rounds import get_round, get_survivors
from flchain.protocol import calls, events, reverts
from flchain.protocol.digests import survivor_root
from flchain.protocol.types import ZERO_DIGEST, Mode, Outcome, Phase
from tests.unit.chain.masked_stage import MASKED_AGENTS, SECURE, MaskedStage, digest_of
from tests.unit.chain.stage import ADDRESSES, VALIDATORS, Stage

DIGEST = b"\x05" * 32
PENALTY = 2 * 10**17


def reach(phase, missing=(), **changes):
    return MaskedStage(**changes).gather().reach(phase, missing=missing)


def settle(stage):
    stage.time = max(stage.time, stage.masked.closes_at)
    return stage.settle()


def get_outcome(settled):
    return next(event.outcome for event in settled if isinstance(event, events.RoundSettled))


def complain(stage, name, whom, **fields):
    values = {"task_id": 1, "round": stage.number, "anchor": stage.record.anchor}
    values |= {"accused": stage.place(whom), "digest": DIGEST}
    return stage.send(name, calls.Complain(**(values | fields)))


def reach_complaints(**changes):
    stage = reach(Phase.CHECK, **changes)
    stage.time = stage.masked.opens_at
    return stage


def test_round__everybody_acts__is_finalised_with_the_survivors():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    stage.finish_masked()
    assert stage.phase == Phase.PROPOSE
    assert get_survivors(stage.book) == frozenset(range(8))
    assert get_round(stage.state, 1).attesters == 4
    (proposed, _) = stage.propose()
    commitment = stage.book.submissions.commitment
    assert proposed.survivor_root == survivor_root(stage.key, commitment, range(8), 8)
    for name in VALIDATORS[:3]:
        stage.vote(name)
    assert get_outcome(stage.settle()) == Outcome.FINALIZED
    assert stage.phase == Phase.ENDED


def test_round__dropouts_in_every_phase__leaves_them_out():
    missing = {Phase.JOIN: ("a1",), Phase.SHARES: ("a2",), Phase.SUBMIT: ("a3",)}
    stage = reach(Phase.UNMASK, missing)
    sets = {phase: stage.masked.get_set(phase) for phase in Phase}
    names = {phase: sorted(stage.masked.holders[p] for p in sets[phase]) for phase in sets}
    everybody = set(MASKED_AGENTS)
    expected = {
        Phase.JOIN: everybody - {"a1"},
        Phase.SHARES: everybody - {"a1", "a2"},
        Phase.CHECK: everybody - {"a1", "a2"},
        Phase.SUBMIT: everybody - {"a1", "a2", "a3"},
        Phase.ATTEST: everybody - {"a1", "a2", "a3"},
    }
    for phase, members in expected.items():
        assert names[phase] == sorted(ADDRESSES[name] for name in members)
    assert stage.record.expected == 6
    assert get_masked_set(stage.state, 1, Phase.CHECK) == (0b1111110,)


@pytest.mark.parametrize(
    ("phase", "count", "outcome"),
    [
        (Phase.JOIN, 3, Outcome.ABORTED_TOO_FEW),
        (Phase.SHARES, 2, Outcome.ABORTED_TOO_FEW),
        (Phase.SUBMIT, 2, Outcome.ABORTED_TOO_FEW),
        (Phase.UNMASK, 1, Outcome.ABORTED_UNMASK),
    ],
)
def test_settle__too_few_records__aborts_and_one_more_goes_on(phase, count, outcome):
    stage = reach(phase)
    for name in MASKED_AGENTS[:count]:
        stage.post(name)
    enough = deepcopy(stage)
    stakes = {name: stage.agent(name).stake for name in MASKED_AGENTS}
    assert get_outcome(settle(stage)) == outcome
    assert {name: stage.agent(name).stake for name in MASKED_AGENTS} == stakes
    assert stage.phase == Phase.ENDED
    enough.post("a8")
    assert all(not isinstance(event, events.RoundSettled) for event in settle(enough))
    assert enough.phase == (Phase.PROPOSE if phase == Phase.UNMASK else phase + 1)


@pytest.mark.parametrize("phase", [Phase.CHECK, Phase.ATTEST])
def test_settle__fewer_than_a_majority_attested__aborts(phase):
    stage = reach(phase)
    stage.check("v1", "v2")
    enough = deepcopy(stage)
    assert get_outcome(settle(stage)) == Outcome.ABORTED_NO_ATTESTERS
    enough.check("v3")
    settle(enough)
    assert enough.phase == phase + 1


@pytest.mark.parametrize("phase", [Phase.CHECK, Phase.ATTEST])
def test_settle__majority_holds_too_little__aborts_and_reveals_nothing(phase):
    stage = reach(phase)
    stage.check("v1", "v2")
    stage.check("v3", "v4", held=("a1", "a2"))
    assert stage.phase == Phase.SETTLE
    assert get_outcome(stage.settle()) == Outcome.ABORTED_TOO_FEW
    assert stage.record.spent == 0


def test_settle__window_open__is_refused():
    stage = reach(Phase.SHARES)
    with pytest.raises(reverts.WrongPhase) as early:
        stage.settle()
    assert early.value == reverts.WrongPhase(Phase.SETTLE, Phase.SHARES)


def test_settle__abort__frees_the_reserve_and_doubles_the_pause():
    stage = reach(Phase.JOIN)
    pauses = []
    for _ in range(3):
        (settled,) = settle(stage)
        pauses.append(settled.next_open_at - stage.time)
        stage.time = settled.next_open_at
        stage.send("stranger", calls.OpenRound(1))
    assert pauses == [7, 14, 28]


def test_propose__last_window__is_ten_times_as_long():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    stage.finish_masked()
    opened = stage.time
    stage.time = opened + (2 + 10) * 8 - 1
    assert stage.phase == Phase.PROPOSE
    assert stage.get_holder() == "0x" + "00" * 20
    stage.time += 1
    assert stage.phase == Phase.SETTLE
    assert get_outcome(stage.settle()) == Outcome.ABORTED_NO_PROPOSAL


def test_attest_records__bitmaps__add_up_and_never_shrink():
    stage = reach(Phase.CHECK)
    stage.check("v1", held=("a1",))
    (added,) = stage.send(
        "v1",
        calls.AttestRecords(1, 1, Phase.CHECK, stage.record.anchor, stage.bitmap("a1", "a2")),
    )
    assert added == events.RecordsAttested(1, 1, ADDRESSES["v1"], Phase.CHECK, (0b10,))
    with pytest.raises(reverts.AlreadyAttested):
        stage.check("v1", held=("a2",))
    stage.check("v2", held=())
    with pytest.raises(reverts.AlreadyAttested):
        stage.check("v2", held=())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"round": 2}, reverts.WrongRound(1, 2)),
        ({"phase": Phase.SUBMIT}, reverts.NoRecords(Phase.SUBMIT)),
        ({"phase": Phase.ATTEST}, reverts.WrongPhase(Phase.ATTEST, Phase.CHECK)),
        ({"anchor": DIGEST}, reverts.StaleView),
        ({"bitmap": (1 << 8,)}, reverts.InvalidBitmap(8)),
        ({"bitmap": (1 << 230,)}, reverts.InvalidBitmap(8)),
        ({"bitmap": (0b10000000,)}, reverts.InvalidBitmap(8)),
        ({"bitmap": (1, 0)}, reverts.InvalidBitmap(8)),
        ({"bitmap": ()}, reverts.InvalidBitmap(8)),
    ],
)
def test_attest_records__wrong_part__is_refused_by_name(fields, error):
    stage = reach(Phase.CHECK, {Phase.SHARES: ("a8",)})
    with pytest.raises(reverts.Revert) as refused:
        stage.check("v1", **fields)
    assert refused.value == error or type(refused.value) is error


@pytest.mark.parametrize("name", ["a1", "stranger", "orchestrator"])
def test_attest_records__no_validator__is_refused(name):
    with pytest.raises(reverts.NotEntitled):
        reach(Phase.CHECK).check(name)


def test_attest_records__during_complaints__must_wait():
    stage = reach(Phase.CHECK)
    stage.time = stage.masked.opens_at + 9
    with pytest.raises(reverts.NotOpenYet) as early:
        stage.send(
            "v1", calls.AttestRecords(1, 1, Phase.CHECK, stage.record.anchor, stage.bitmap())
        )
    assert early.value.opens_at == stage.time + 1


@pytest.mark.parametrize("phase", [Phase.CHECK, Phase.ATTEST])
def test_attest_records_bundle__signed_bitmaps__close_the_phase(phase):
    stage = reach(phase)
    stage.check("v1")
    bitmap = stage.bitmap(*MASKED_AGENTS)
    signed = tuple(stage.sign_attestation(name, bitmap) for name in VALIDATORS)
    call = calls.AttestRecordsBundle(1, 1, phase, stage.record.anchor, signed)
    *attested, _ = stage.send("stranger", call)
    assert [event.validator for event in attested] == [ADDRESSES[n] for n in VALIDATORS[1:]]
    assert stage.phase == phase + 1


def test_attest_records_bundle__wrong_entry__refuses_all():
    stage = reach(Phase.CHECK)
    good = stage.sign_attestation("v1", stage.bitmap("a1"))
    anchor = stage.record.anchor
    call = calls.AttestRecordsBundle(1, 1, Phase.CHECK, anchor, (good,))
    foreign = stage.sign_attestation("stranger", stage.bitmap("a1"))
    for entries, error in (
        ((), reverts.InvalidBundle),
        ((good,) * 33, reverts.InvalidBundle),
        ((good, replace(good, bitmap=stage.bitmap("a2"))), reverts.SignatureInvalid),
        ((good, foreign), reverts.NotEntitled),
        ((replace(good, validator=ADDRESSES["v2"]),), reverts.SignatureInvalid),
        ((stage.sign_attestation("v2", (1 << 9,)),), reverts.InvalidBitmap),
    ):
        with pytest.raises(error):
            stage.send("stranger", replace(call, attestations=entries))
    later = reach(Phase.ATTEST)
    later_call = replace(call, phase=Phase.ATTEST, anchor=later.record.anchor)
    with pytest.raises(reverts.SignatureInvalid):
        later.send("stranger", later_call)


def test_complain__about_a_sender__is_recorded():
    stage = reach_complaints()
    anchor = stage.record.anchor
    assert complain(stage, "a1", "a2") == [
        events.AnchorPinned(1, 1, Phase.CHECK, anchor),
        events.ComplaintPosted(1, 1, ADDRESSES["a1"], 1, DIGEST),
    ]
    with pytest.raises(reverts.AlreadyAccused):
        complain(stage, "a1", "a2")
    complain(stage, "a1", "a3")
    complain(stage, "a3", "a2")


def test_complain__out_of_place__is_refused_by_name():
    stage = MaskedStage().gather().reach(Phase.CHECK, missing={Phase.SHARES: ("a8",)})
    stage.time = stage.masked.opens_at
    with pytest.raises(reverts.NotAccusable):
        complain(stage, "a1", "a1")
    with pytest.raises(reverts.NotAccusable):
        complain(stage, "a1", "a8")
    with pytest.raises(reverts.NotAccusable):
        complain(stage, "a1", "a2", accused=900)
    for name in ("a8", "v1", "stranger"):
        with pytest.raises(reverts.NotEntitled):
            complain(stage, name, "a1")
    with pytest.raises(reverts.InvalidDigest):
        complain(stage, "a1", "a2", digest=ZERO_DIGEST)
    with pytest.raises(reverts.StaleView):
        complain(stage, "a1", "a2", anchor=DIGEST)
    with pytest.raises(reverts.WrongRound):
        complain(stage, "a1", "a2", round=2)
    stage.time += 10
    with pytest.raises(reverts.ComplaintsClosed):
        complain(stage, "a1", "a2")
    with pytest.raises(reverts.WrongPhase):
        complain(reach(Phase.SHARES), "a1", "a2")


def test_punish_complaint__sender_was_kept__costs_the_accuser():
    stage = reach_complaints()
    complain(stage, "a1", "a2")
    complain(stage, "a3", "a4")
    call = calls.PunishComplaint(1, 1, 0, 1)
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", call)
    stage.check(held=[name for name in MASKED_AGENTS if name != "a4"])
    stake = stage.agent("a1").stake
    assert stage.send("stranger", call) == [
        events.AgentMissed(1, 1, ADDRESSES["a1"], Phase.CHECK),
        events.AgentSlashed(ADDRESSES["a1"], PENALTY),
    ]
    assert stage.agent("a1").stake == stake - PENALTY
    for accuser, accused in ((0, 1), (2, 3), (1, 0)):
        with pytest.raises(reverts.NothingMissed):
            stage.send("stranger", calls.PunishComplaint(1, 1, accuser, accused))


def test_check__convicted_sender__is_left_out():
    stage = reach_complaints()
    complain(stage, "a1", "a4")
    stage.check(held=[name for name in MASKED_AGENTS if name != "a4"])
    stage.begin()
    with pytest.raises(reverts.NotEntitled):
        stage.post("a4")
    stage.post("a1")


@pytest.mark.parametrize("phase", MISSABLE)
def test_punish_missing__missed_its_step__pays_once(phase):
    stage = reach(phase)
    late, later = stage.place("a7"), stage.place("a8")
    call = calls.PunishMissing(1, 1, phase, (late, later))
    for name in MASKED_AGENTS[:6]:
        stage.post(name)
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", call)
    settle(stage)
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", replace(call, places=(late, late)))
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", replace(call, places=(0,)))
    paid = stage.send("stranger", call)
    assert [event for event in paid if isinstance(event, events.AgentMissed)] == [
        events.AgentMissed(1, 1, ADDRESSES[name], phase) for name in ("a7", "a8")
    ]
    assert stage.agent("a7").stake == 10 * 10**18 - PENALTY
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", call)


def test_punish_missing__missed_two_steps__pays_one_penalty():
    stage = reach(Phase.UNMASK, {Phase.SUBMIT: ("a8",)})
    place = stage.place("a8")
    stage.send("stranger", calls.PunishMissing(1, 1, Phase.SUBMIT, (place,)))
    stage.post_all(*MASKED_AGENTS[:7])
    settle(stage)
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", calls.PunishMissing(1, 1, Phase.UNMASK, (place,)))


def test_punish_missing__after_an_abort__costs_those_alone_who_missed():
    stage = reach(Phase.SHARES)
    stage.post("a1")
    settle(stage)
    assert stage.phase == Phase.ENDED
    stage.send("stranger", calls.PunishMissing(1, 1, Phase.SHARES, (1, 2, 3)))
    for phase, place in ((Phase.SHARES, 0), (Phase.SUBMIT, 4), (Phase.UNMASK, 4)):
        with pytest.raises(reverts.NothingMissed):
            stage.send("stranger", calls.PunishMissing(1, 1, phase, (place,)))


def test_punish_missing__joined_through_a_relayer__owes_nothing_for_shares():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    for name in MASKED_AGENTS:
        stage.post(name)
    stage.time = stage.masked.closes_at
    stage.settle()
    stage.time += 100
    stage.send("stranger", calls.OpenRound(1))
    stage.relay("a1", "a2", "a3")
    stage.post("a4")
    settle(stage)
    settle(stage)
    with pytest.raises(reverts.NothingMissed):
        stage.send("stranger", calls.PunishMissing(1, 2, Phase.SHARES, (0,)))
    stage.send("stranger", calls.PunishMissing(1, 2, Phase.SHARES, (3,)))


def test_punish_missing__wrong_part__is_refused_by_name():
    stage = reach(Phase.SHARES)
    settle(stage)
    for places in ((), tuple(range(33))):
        with pytest.raises(reverts.InvalidBundle):
            stage.send("stranger", calls.PunishMissing(1, 1, Phase.SHARES, places))
    with pytest.raises(reverts.WrongRound):
        stage.send("stranger", calls.PunishMissing(1, 2, Phase.SHARES, (0,)))
    for phase in (Phase.JOIN, Phase.CHECK, Phase.ATTEST, Phase.VOTE):
        with pytest.raises(reverts.NothingMissed):
            stage.send("stranger", calls.PunishMissing(1, 1, phase, (0,)))


def report(stage, first, second, **fields):
    values = {"task_id": 1, "round": 1, "phase": Phase.SHARES, "agent": ADDRESSES["a1"]}
    return stage.send(
        "stranger", calls.ReportEquivocation(**(values | fields), first=first, second=second)
    )


def test_report_equivocation__two_digests__costs_half_and_pays_the_reporter():
    stage = reach(Phase.SHARES)
    first, second = stage.anchored("a1", b"\1" * 32), stage.anchored("a1", b"\2" * 32)
    reward = stage.balance("stranger")
    punished, slashed = report(stage, first, second)
    assert isinstance(punished, events.EquivocationPunished)
    assert slashed == events.AgentSlashed(ADDRESSES["a1"], 10 * 10**18)
    assert stage.balance("stranger") == reward + 10**18
    with pytest.raises(reverts.AlreadyPunished):
        report(stage, second, first)


def test_report_equivocation__two_anchors__is_one_too():
    stage = reach(Phase.SHARES)
    first = stage.anchored("a1", b"\1" * 32)
    report(stage, first, stage.anchored("a1", b"\1" * 32, anchor=b"\3" * 32))


def test_report_equivocation__later_round__still_counts():
    stage = reach(Phase.SHARES)
    pair = stage.anchored("a1", b"\1" * 32), stage.anchored("a1", b"\2" * 32)
    settle(stage)
    stage.time += 500
    stage.send("stranger", calls.OpenRound(1))
    report(stage, *pair)


def test_report_equivocation__no_two_records_of_one_agent__is_no_offence():
    stage = reach(Phase.SHARES)
    first, second = stage.anchored("a1", b"\1" * 32), stage.anchored("a1", b"\2" * 32)
    other = stage.anchored("a2", b"\2" * 32)
    for pair, fields in (
        ((first, first), {}),
        ((first, other), {}),
        ((first, second), {"agent": ADDRESSES["a2"]}),
        ((first, second), {"phase": Phase.JOIN}),
        ((first, second), {"phase": Phase.CHECK}),
        ((first, second), {"round": 2}),
        ((first, second), {"task_id": 2}),
        ((first, replace(second, digest=b"\3" * 32)), {}),
    ):
        with pytest.raises(reverts.NoOffence):
            report(stage, *pair, **fields)
    stranger = stage.anchored("stranger", b"\1" * 32), stage.anchored("stranger", b"\2" * 32)
    with pytest.raises(reverts.NotEntitled):
        report(stage, *stranger, agent=ADDRESSES["stranger"])


def run_round(stage, submitting):
    """Bring a new round to the close of ATTEST with these survivors."""
    stage.send("stranger", calls.OpenRound(1))
    absent = tuple(name for name in stage.agents if name not in submitting)
    stage.reach(Phase.ATTEST, missing={Phase.SUBMIT: absent})
    stage.check()
    return stage


def abort_unmask(stage):
    """Let the sum be revealed, but no model come of it."""
    stage.time = stage.masked.closes_at
    stage.settle()
    stage.time += 1_000
    return stage


@pytest.mark.parametrize(
    ("second", "is_revealed"),
    [
        (MASKED_AGENTS, True),
        (MASKED_AGENTS[:-1], False),
        (MASKED_AGENTS[:-2], False),
        (MASKED_AGENTS[:-3], True),
        (MASKED_AGENTS[:4], True),
    ],
)
def test_attest__second_sum_on_one_version__must_not_tell_on_few(second, is_revealed):
    stage = abort_unmask(run_round(MaskedStage().gather(), MASKED_AGENTS))
    run_round(stage, second)
    if is_revealed:
        assert stage.phase == Phase.UNMASK
        assert (stage.record.revealed, stage.record.spent) == (2, 2)
    else:
        assert stage.phase == Phase.SETTLE
        assert get_outcome(stage.settle()) == Outcome.ABORTED_DIFFERENCING
        assert (stage.record.revealed, stage.record.spent) == (1, 1)


def test_attest__swap_of_few__is_refused_both_ways():
    stage = abort_unmask(run_round(MaskedStage().gather(), MASKED_AGENTS[:5]))
    masked, book = stage.masked, stage.book
    assert not is_differencing(book, masked, frozenset(range(5)))
    assert not is_differencing(book, masked, frozenset(range(8)))
    assert is_differencing(book, masked, frozenset({1, 2, 3, 4, 5, 6, 7}))
    assert is_differencing(book, masked, frozenset({0, 1, 2, 3, 4, 5}))
    assert not is_differencing(book, masked, frozenset({0, 1, 5, 6, 7}))


def test_attest__third_sum_on_one_version__is_refused_and_a_new_version_is_free():
    stage = MaskedStage().gather()
    for _ in range(2):
        abort_unmask(run_round(stage, MASKED_AGENTS))
    third = run_round(deepcopy(stage), MASKED_AGENTS)
    assert get_outcome(third.settle()) == Outcome.ABORTED_DIFFERENCING
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    stage.finish_masked().propose()
    for name in VALIDATORS[:3]:
        stage.vote(name)
    stage.settle()
    run_round(stage, MASKED_AGENTS[:-1])
    seen = stage.record
    assert (stage.phase, seen.revealed_version, seen.revealed) == (Phase.UNMASK, 1, 1)
    assert seen.spent == 2


def test_open_round__privacy_budget_spent__is_refused():
    stage = MaskedStage(privacy_rounds=1).gather()
    stage.send("stranger", calls.OpenRound(1))
    settle(stage)
    stage.time += 1_000
    abort_unmask(run_round(stage, MASKED_AGENTS))
    with pytest.raises(reverts.PrivacyBudgetSpent) as refused:
        stage.send("stranger", calls.OpenRound(1))
    assert refused.value == reverts.PrivacyBudgetSpent(1)


def test_open_round__plain_mode__charges_every_round():
    stage = Stage(privacy_rounds=1).finish()
    with pytest.raises(reverts.PrivacyBudgetSpent):
        stage.send("stranger", calls.OpenRound(1))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 4}, "threshold"),
        ({"max_corrupt": 2}, "threshold"),
        ({"max_corrupt": 1}, "threshold"),
        ({"min_survivors": 2}, "threshold"),
        ({"forced_window": 0}, "secureWindows"),
        ({"join_window": 10}, "secureWindows"),
        ({"shares_window": 10}, "secureWindows"),
        ({"check_window": 10}, "secureWindows"),
        ({"unmask_window": 10}, "secureWindows"),
        ({"submit_window": 10}, "secureWindows"),
    ],
)
def test_create_task__unsound_secure_parameter__is_named(changes, field):
    stage = MaskedStage(**changes)
    with pytest.raises(reverts.InvalidTask) as refused:
        stage.send("sponsor", calls.CreateTask(stage.task))
    assert refused.value == reverts.InvalidTask(field.encode().ljust(32, b"\0"))


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, SECURE[name]) for name in ("threshold", "finality_delay", "join_window")]
    + [("max_corrupt", 1), ("forced_window", 1), ("unmask_window", 1)],
)
def test_create_task__secure_parameter_in_plain_mode__is_refused(name, value):
    stage = Stage(**{name: value})
    with pytest.raises(reverts.InvalidTask):
        stage.send("sponsor", calls.CreateTask(stage.task))


def test_create_task__secure_windows__count_for_unbonding():
    needed = 60 + 30 + 50 + 40 + 30 + 35 + 3 * 6 + (3 + 9) * 8 + 2 * 20
    spare = 1_000 - needed
    stage = MaskedStage(unmask_window=35 + spare)
    stage.send("sponsor", calls.CreateTask(stage.task))
    stage = MaskedStage(unmask_window=35 + spare + 1)
    with pytest.raises(reverts.UnbondingTooShort):
        stage.send("sponsor", calls.CreateTask(stage.task))
    assert stage.task.mode == Mode.SECURE


def test_digest_of__names_and_phases__differ():
    digests = {digest_of(name, phase) for name in MASKED_AGENTS for phase in Phase}
    assert len(digests) == len(MASKED_AGENTS) * len(Phase)

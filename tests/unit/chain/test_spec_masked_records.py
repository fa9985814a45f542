# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from copy import deepcopy
from dataclasses import replace

import pytest

from flchain.chain.spec import masked_records
from flchain.protocol import calls, events, reverts
from flchain.protocol.digests import chain_record, compute_anchor, pack_bits, set_root, start_chain
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import ZERO_DIGEST, Phase
from tests.unit.chain.masked_stage import MASKED_AGENTS, RECORDED, MaskedStage, digest_of
from tests.unit.chain.stage import ADDRESSES

DIGEST = b"\x05" * 32
OTHERS = {
    Phase.JOIN: (),
    Phase.SHARES: (Phase.JOIN,),
    Phase.SUBMIT: (Phase.JOIN, Phase.SHARES),
    Phase.UNMASK: (Phase.JOIN, Phase.SHARES, Phase.SUBMIT),
}


def reach(phase, **changes):
    return MaskedStage(**changes).gather().reach(phase)


def find(events_, kind):
    return [event for event in events_ if isinstance(event, kind)]


def test_open_round__secure_task__opens_join_for_the_members():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    assert stage.phase == Phase.JOIN
    assert (stage.book.round.submit_close, stage.book.round.attest_close) == (0, 0)
    seen = stage.record
    assert (seen.expected, seen.opens_at, seen.closes_at) == (8, stage.time, stage.time + 50)
    assert (seen.anchor, seen.commitment) == (stage.key, start_chain(stage.key))


def test_plain_calls__masked_part__find_their_windows_closed():
    stage = reach(Phase.SHARES)
    with pytest.raises(reverts.WrongPhase) as refused:
        stage.send("a1", calls.Submit(1, 1, DIGEST, 1))
    assert refused.value == reverts.WrongPhase(Phase.SUBMIT, Phase.SHARES)
    with pytest.raises(reverts.WrongPhase):
        stage.send("v1", calls.Attest(1, 1, (0,)))
    with pytest.raises(reverts.WrongPhase):
        stage.propose()


@pytest.mark.parametrize("phase", RECORDED)
def test_post_record__every_phase__is_chained_and_counted(phase):
    stage = reach(phase)
    before = stage.record
    (*pinned, posted) = stage.post("a3")
    place = stage.place("a3")
    digest = digest_of("a3", phase)
    assert posted == events.RecordPosted(1, 1, ADDRESSES["a3"], phase, place, digest)
    expected = [] if phase == Phase.JOIN else [events.AnchorPinned(1, 1, phase, before.anchor)]
    assert pinned == expected
    after = stage.record
    assert after.count == before.count + 1 == 1
    assert after.commitment == chain_record(before.commitment, ADDRESSES["a3"], digest, place)
    assert after.anchor == before.anchor


@pytest.mark.parametrize("phase", RECORDED)
def test_post_record__twice__is_refused_for_ever(phase):
    stage = reach(phase)
    stage.post("a1")
    for digest in (digest_of("a1", phase), DIGEST):
        with pytest.raises(reverts.AlreadyPosted):
            stage.post("a1", digest)


@pytest.mark.parametrize("phase", RECORDED)
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"round": 2}, reverts.WrongRound(1, 2)),
        ({"task_id": 2}, reverts.WrongRound(0, 1)),
        ({"phase": Phase.CHECK}, reverts.NoRecords(Phase.CHECK)),
        ({"phase": Phase.PROPOSE}, reverts.NoRecords(Phase.PROPOSE)),
        ({"anchor": DIGEST}, reverts.StaleView),
        ({"digest": ZERO_DIGEST}, reverts.InvalidDigest(ZERO_DIGEST)),
    ],
)
def test_post_record__wrong_part__is_refused_by_name(phase, fields, error):
    stage = reach(phase)
    with pytest.raises(reverts.Revert) as refused:
        stage.post("a1", **{"digest": DIGEST} | fields)
    assert refused.value == error or type(refused.value) is error


@pytest.mark.parametrize("phase", RECORDED)
def test_post_record__other_phase__says_which_it_is(phase):
    stage = reach(phase)
    other = Phase.JOIN if phase != Phase.JOIN else Phase.UNMASK
    with pytest.raises(reverts.WrongPhase) as refused:
        stage.post("a1", phase=other)
    assert refused.value == reverts.WrongPhase(other, phase)


@pytest.mark.parametrize("phase", RECORDED)
@pytest.mark.parametrize("name", ["v1", "stranger", "orchestrator"])
def test_post_record__no_agent_of_the_round__is_refused(phase, name):
    with pytest.raises(reverts.NotEntitled):
        reach(phase).post(name)


@pytest.mark.parametrize("phase", RECORDED[1:])
def test_post_record__missed_an_earlier_step__is_refused(phase):
    stage = MaskedStage().gather().reach(phase, missing={OTHERS[phase][0]: ("a8",)})
    with pytest.raises(reverts.NotEntitled):
        stage.post("a8")
    stage.post("a7")


def test_post_record__dropout_in_submit__still_unmasks():
    stage = MaskedStage().gather().reach(Phase.UNMASK, missing={Phase.SUBMIT: ("a8",)})
    assert stage.place("a8") not in stage.masked.get_set(Phase.ATTEST)
    stage.begin()
    stage.post("a8")


@pytest.mark.parametrize("phase", RECORDED[1:])
def test_post_record__before_finality__must_wait(phase):
    stage = MaskedStage().gather().reach(phase)
    stage.time -= 1
    with pytest.raises(reverts.NotOpenYet) as early:
        stage.post("a1")
    assert early.value.opens_at == stage.time + 1


def test_post_record__block_that_closed_the_last_phase__must_wait():
    stage = reach(Phase.SHARES, finality_delay=0)
    stage.block = stage.masked.close_block - 1
    with pytest.raises(reverts.NotOpenYet):
        stage.post("a1")


@pytest.mark.parametrize("phase", RECORDED)
def test_post_record__window_over__is_refused(phase):
    stage = reach(phase)
    stage.post("a1")
    stage.time = stage.masked.closes_at
    assert stage.phase == Phase.SETTLE
    with pytest.raises(reverts.WrongPhase) as late:
        stage.post("a2", phase=phase)
    assert late.value == reverts.WrongPhase(phase, Phase.SETTLE)


def test_post_record__after_the_masked_part__names_the_real_phase():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    stage.finish_masked()
    with pytest.raises(reverts.WrongPhase) as late:
        stage.post("a1", phase=Phase.UNMASK, anchor=DIGEST)
    assert late.value == reverts.WrongPhase(Phase.UNMASK, Phase.PROPOSE)


def test_post_record__places__are_kept_over_rounds(monkeypatch):
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    for name in reversed(MASKED_AGENTS):
        stage.post(name)
    assert [stage.place(name) for name in MASKED_AGENTS] == [7, 6, 5, 4, 3, 2, 1, 0]
    stage.time = stage.masked.closes_at + 999
    stage.settle()
    stage.time += 100
    stage.send("stranger", calls.OpenRound(1))
    stage.post("a1")
    assert stage.place("a1") == 7
    assert stage.record.places == 8


def test_post_record__no_place_left__is_refused(monkeypatch):
    monkeypatch.setattr(masked_records, "MAX_PLACES", 2)
    stage = reach(Phase.JOIN)
    stage.post("a1")
    stage.post("a2")
    with pytest.raises(reverts.PlacesExhausted):
        stage.post("a3")


def test_close_phase__last_agent__fixes_root_anchor_and_next_opening():
    stage = reach(Phase.JOIN)
    for name in MASKED_AGENTS[:-1]:
        stage.post(name)
    _, closed = stage.post("a8")
    commitment = start_chain(stage.key)
    for place, name in enumerate(MASKED_AGENTS):
        digest = digest_of(name, Phase.JOIN)
        commitment = chain_record(commitment, ADDRESSES[name], digest, place)
    root = set_root(stage.key, Phase.JOIN, commitment, pack_bits(range(8), 8, 224))
    assert closed == events.PhaseClosed(1, 1, Phase.JOIN, root, 8, stage.time + 6)
    assert stage.masked.close_block == stage.block
    assert stage.phase == Phase.SHARES
    stage.block += 1
    assert stage.get_block_hash(stage.block - 1) != ZERO_DIGEST
    known = stage.get_block_hash(stage.block - 1)
    stage.block -= 1
    assert stage.record.anchor == compute_anchor(root, known)
    assert stage.record.commitment == start_chain(root)


def test_anchor__set_of_another_fork__differs():
    one, other = reach(Phase.JOIN), reach(Phase.JOIN)
    for name in MASKED_AGENTS:
        one.post(name)
        other.post(name, DIGEST if name == "a4" else None)
    assert one.masked.close_block == other.masked.close_block
    one.begin()
    other.begin()
    with pytest.raises(reverts.StaleView):
        other.post("a1", anchor=one.record.anchor)


def test_anchor__nobody_acted_for_256_blocks__has_no_hash():
    stage = reach(Phase.SHARES)
    root = stage.masked.anchor
    stage.block += 300
    assert stage.record.anchor == compute_anchor(root, ZERO_DIGEST)
    stage.post("a1")


def test_pin_anchor__before_the_hash_is_lost__keeps_it():
    stage = reach(Phase.SHARES)
    anchor = stage.record.anchor
    assert stage.send("stranger", calls.PinAnchor(1)) == [
        events.AnchorPinned(1, 1, Phase.SHARES, anchor)
    ]
    assert stage.send("stranger", calls.PinAnchor(1)) == []
    stage.block += 300
    assert stage.record.anchor == anchor
    with pytest.raises(reverts.WrongPhase):
        stage.send("stranger", calls.PinAnchor(2))


@pytest.mark.parametrize("phase", RECORDED[1:])
def test_relay_records__every_phase__counts_without_reading_signatures(phase):
    stage = reach(phase)
    before = stage.record
    call = stage.build_batch(("a1", "a3", "a8"), false=("a3",))
    *_, relayed = stage.send("orchestrator", call)
    assert relayed.added == call.places == (0b10000101,)
    assert relayed.records == call.records
    after = stage.record
    assert (after.count, after.batches) == (3, before.batches + 1)
    relayer = ADDRESSES["orchestrator"]
    expected = chain_record(before.commitment, relayer, relayed.root, before.batches)
    assert after.commitment == expected


def rejoin(stage):
    """Open a second round after one that only gave places away."""
    stage.send("stranger", calls.OpenRound(1))
    for name in MASKED_AGENTS:
        stage.post(name)
    stage.time += 6 + 40
    stage.settle()
    stage.time += 100
    stage.send("stranger", calls.OpenRound(1))
    return stage


def test_relay_records__join_of_known_places__counts():
    stage = rejoin(MaskedStage().gather())
    assert stage.phase == Phase.JOIN
    stage.relay("a1", "a2")
    assert stage.record.count == 2
    stage.post("a3")
    assert stage.masked.get_set(Phase.JOIN) == {0, 1, 2}


def test_relay_records__places_that_have_a_record__are_skipped():
    stage = reach(Phase.SHARES)
    stage.post("a1")
    stage.relay("a2")
    (relayed,) = stage.relay("a1", "a2", "a3")
    assert relayed.places == (0b111,)
    assert relayed.added == (0b100,)
    assert stage.record.count == 3
    with pytest.raises(reverts.NothingToRelay):
        stage.relay("a1", "a2", "a3")
    with pytest.raises(reverts.NothingToRelay):
        stage.relay()


def test_relay_records__places_without_a_part__are_skipped():
    stage = MaskedStage().gather().reach(Phase.SUBMIT, missing={Phase.SHARES: ("a1",)})
    *_, relayed = stage.relay("a1", "a2")
    assert relayed.added == (0b10,)


def test_relay_records__last_part_of_the_window__belongs_to_direct_records():
    stage = reach(Phase.SHARES)
    stage.time = stage.masked.closes_at - 10
    stage.relay("a1")
    stage.time += 1
    with pytest.raises(reverts.TooLateToRelay) as late:
        stage.relay("a2")
    assert late.value.latest == stage.time - 1
    stage.post("a2")


@pytest.mark.parametrize("relayer", ["a1", "v1", "stranger"])
def test_relay_records__without_a_bond__is_refused(relayer):
    with pytest.raises(reverts.NotRelayer):
        reach(Phase.SHARES).relay("a1", relayer=relayer)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"round": 2}, reverts.WrongRound(1, 2)),
        ({"phase": Phase.ATTEST}, reverts.NoRecords(Phase.ATTEST)),
        ({"phase": Phase.UNMASK}, reverts.WrongPhase(Phase.UNMASK, Phase.SHARES)),
        ({"anchor": DIGEST}, reverts.StaleView),
        ({"places": (0b111,)}, reverts.InvalidPlaces(8)),
        ({"places": (0b1,)}, reverts.InvalidPlaces(8)),
        ({"places": (0b100000001,)}, reverts.InvalidPlaces(8)),
        ({"places": (0b11, 0)}, reverts.InvalidPlaces(8)),
        ({"places": ()}, reverts.InvalidPlaces(8)),
        ({"places": (1 | 1 << 230,)}, reverts.InvalidPlaces(8)),
        ({"records": ()}, reverts.InvalidPlaces(8)),
    ],
)
def test_relay_records__wrong_part__is_refused_by_name(fields, error):
    stage = reach(Phase.SHARES)
    call = replace(stage.build_batch(("a1", "a2")), **fields)
    with pytest.raises(reverts.Revert) as refused:
        stage.send("orchestrator", call)
    assert refused.value == error or type(refused.value) is error


@pytest.mark.parametrize("phase", RECORDED[1:])
def test_post_record__after_a_batch__replaces_the_relayed_one_once(phase):
    stage = reach(phase)
    stage.relay("a1", "a2", false=("a1",))
    assert stage.record.count == 2
    stage.post("a1", DIGEST)
    assert stage.record.count == 2
    with pytest.raises(reverts.AlreadyPosted):
        stage.post("a1")
    with pytest.raises(reverts.NothingToRelay):
        stage.relay("a1")


def test_relay_records__batch_completes_a_phase__waits_for_direct_records():
    stage = reach(Phase.SHARES)
    stage.relay(*MASKED_AGENTS)
    assert stage.phase == Phase.SHARES
    assert stage.masked.closes_at == stage.time + 10
    stage.post("a1", DIGEST)
    assert stage.masked.closes_at == stage.time + 10
    stage.time += 10
    assert stage.phase == Phase.SETTLE
    stage.settle()
    assert stage.phase == Phase.CHECK


def test_complete_phase__direct_record_long_after_the_batch__closes_at_once():
    stage = reach(Phase.SHARES)
    stage.relay(*MASKED_AGENTS[:-1])
    stage.time += 10
    stage.post("a8")
    assert stage.phase == Phase.CHECK


@pytest.mark.parametrize("phase", RECORDED[1:])
def test_void_record__forged_signature__removes_it_and_costs_the_relayer(phase):
    stage = reach(phase)
    *_, relayed = stage.relay("a1", "a2", "a5", false=("a2",))
    before, stake = stage.record, stage.agent("orchestrator").stake
    reward = stage.balance("stranger")
    void = stage.build_void(relayed.batch, "a2", relayed)
    voided, slashed = stage.send("stranger", void)
    place, agent = stage.place("a2"), ADDRESSES["a2"]
    assert voided == events.RecordVoided(1, 1, agent, phase, relayed.batch, place)
    assert slashed == events.AgentSlashed(ADDRESSES["orchestrator"], 10 * 10**18)
    assert stage.agent("orchestrator").stake == stake - 10 * 10**18
    assert stage.balance("stranger") == reward + 10**18
    assert stage.record.count == before.count - 1
    assert stage.record.commitment == chain_record(before.commitment, agent, ZERO_DIGEST, place)
    with pytest.raises(reverts.NoSuchRecord):
        stage.send("stranger", void)
    with pytest.raises((reverts.NothingToRelay, reverts.NotRelayer)):
        stage.relay("a2")
    stage.post("a2")
    assert stage.record.count == before.count
    with pytest.raises(reverts.NoSuchRecord):
        stage.send("stranger", void)


def test_void_record__second_of_a_batch__costs_nothing_more():
    stage = reach(Phase.SHARES)
    *_, relayed = stage.relay("a1", "a2", false=("a1", "a2"))
    stage.send("stranger", stage.build_void(0, "a1", relayed))
    (only,) = stage.send("stranger", stage.build_void(0, "a2", relayed))
    assert isinstance(only, events.RecordVoided)


def test_void_record__sound_record__is_refused():
    stage = reach(Phase.SHARES)
    *_, relayed = stage.relay("a1", "a2", false=("a2",))
    with pytest.raises(reverts.RecordIsSound):
        stage.send("stranger", stage.build_void(0, "a1", relayed))


def test_void_record__zero_digest__is_false_though_signed():
    stage = reach(Phase.SHARES)
    signed = stage.sign_record("a1", digest=ZERO_DIGEST)
    assert signed.digest == ZERO_DIGEST
    call = replace(stage.build_batch(("a1",)), records=(signed,))
    *_, relayed = stage.send("orchestrator", call)
    stage.send("stranger", stage.build_void(0, "a1", relayed))
    assert stage.record.count == 0


def test_void_record__join_of_an_agent_who_left_before__is_removed_and_costs_nobody():
    stage = MaskedStage().gather()
    stage.send("stranger", calls.OpenRound(1))
    for name in MASKED_AGENTS:
        stage.post(name)
    stage.time += 6 + 40
    stage.settle()
    stage.send("a1", calls.LeaveTask(1))
    stage.time += 100
    stage.send("stranger", calls.OpenRound(1))
    *_, relayed = stage.relay("a1", "a2")
    with pytest.raises(reverts.NotEntitled):
        stage.post("a1")
    stake = stage.agent("orchestrator").stake
    # It signed, and could have left after that.
    (only,) = stage.send("a1", stage.build_void(0, "a1", relayed))
    assert isinstance(only, events.RecordVoided)
    assert stage.agent("orchestrator").stake == stake
    with pytest.raises(reverts.RecordIsSound):
        stage.send("stranger", stage.build_void(0, "a2", relayed))


def test_void_record__wrong_proof_batch_or_place__is_refused():
    stage = reach(Phase.SHARES)
    *_, relayed = stage.relay("a1", "a2", "a3", false=("a1",))
    void = stage.build_void(0, "a1", relayed)
    stray = SignedRecord(DIGEST, void.record.r, void.record.vs)
    for changed in (
        replace(void, batch=1),
        replace(void, place=1),
        replace(void, place=900),
        replace(void, proof=void.proof[1:]),
        replace(void, anchor=DIGEST),
        replace(void, record=stray),
    ):
        with pytest.raises(reverts.NoSuchRecord):
            stage.send("stranger", changed)
    with pytest.raises(reverts.WrongRound):
        stage.send("stranger", replace(void, round=2))


def test_void_record__replaced_by_a_direct_one__is_no_longer_in_force():
    stage = reach(Phase.SHARES)
    *_, relayed = stage.relay("a1", "a2", false=("a1",))
    void = stage.build_void(0, "a1", relayed)
    stage.post("a1")
    with pytest.raises(reverts.NoSuchRecord):
        stage.send("stranger", void)


def test_void_record__complete_phase__gives_the_window_back():
    stage = reach(Phase.SHARES)
    close = stage.masked.closes_at
    *_, relayed = stage.relay(*MASKED_AGENTS, false=("a1",))
    assert stage.masked.closes_at < close
    stage.send("stranger", stage.build_void(0, "a1", relayed))
    assert stage.masked.closes_at == close


def test_void_record__window_over__is_refused():
    stage = reach(Phase.SHARES)
    *_, relayed = stage.relay("a1", "a2", "a3", "a4", false=("a1",))
    void = stage.build_void(0, "a1", relayed)
    stage.time = stage.masked.closes_at
    with pytest.raises(reverts.WrongPhase):
        stage.send("stranger", void)
    stage.settle()
    with pytest.raises(reverts.WrongPhase):
        stage.send("stranger", void)


def test_void_record__submission__until_attest_closes():
    stage = reach(Phase.SUBMIT).remember_anchor()
    *_, relayed = stage.relay(*MASKED_AGENTS[:4], false=("a1",))
    for name in MASKED_AGENTS[4:]:
        stage.post(name)
    stage.time = stage.masked.closes_at
    stage.settle()
    stage.check("v1", "v2", "v3")
    void = stage.build_void(0, "a1", relayed)
    late = deepcopy(stage)
    close = stage.masked.closes_at
    stage.send("stranger", void)
    assert stage.masked.closes_at == close
    stage.check("v4", held=[n for n in MASKED_AGENTS if n != "a1"])
    assert stage.masked.get_set(Phase.ATTEST) == {1, 2, 3, 4, 5, 6, 7}
    late.time = late.masked.closes_at
    with pytest.raises(reverts.WrongPhase):
        late.send("stranger", void)

# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""Laws of secure mode that hold after any sequence of commands to the specification."""

from hypothesis import given, settings

from flchain.chain.spec.masked_clock import is_masked
from flchain.chain.spec.masked_state import ENTITLING, PHASES
from flchain.protocol import events
from flchain.protocol.types import Outcome, Phase
from tests.properties.masked_play import BUDGET, DRAWS, SEEDS, STARTS, draw_evidence, play
from tests.unit.chain.masked_stage import RECORDED


@given(seed=SEEDS)
@settings(max_examples=20)
def test_sets__any_sequence__are_nested_and_counted(seed):
    for stage, _ in play(seed):
        masked = stage.masked
        for phase, source in ENTITLING.items():
            # A submission may be voided after CHECK's set was fixed, never the other way.
            assert masked.get_set(phase) <= masked.get_set(source)
        if masked.phase in RECORDED:
            assert masked.count == len(masked.get_set(masked.phase)) <= masked.expected
        assert len(set(masked.holders)) == len(masked.holders)


@given(seed=SEEDS)
@settings(max_examples=20)
def test_records__any_sequence__are_one_per_agent_and_phase_for_ever(seed):
    seen = set()
    for stage, happened in play(seed):
        for event in happened or ():
            if isinstance(event, events.RecordPosted):
                assert (event.round, event.phase, event.agent) not in seen
                seen.add((event.round, event.phase, event.agent))
                assert event.place in stage.masked.get_set(event.phase)
            if isinstance(event, events.RecordVoided):
                assert (event.round, event.phase, event.agent) not in seen


@given(seed=SEEDS)
@settings(max_examples=20)
def test_phases__any_sequence__go_forward_after_finality(seed):
    last = (0, 0)
    for stage, happened in play(seed):
        masked = stage.masked
        assert (masked.round, masked.phase) >= last
        last = (masked.round, masked.phase)
        for event in happened or ():
            if isinstance(event, events.PhaseClosed) and event.phase + 1 in RECORDED:
                assert event.opens_at == stage.time + stage.task.finality_delay
            if isinstance(event, events.RecordPosted | events.RecordsRelayed):
                closed = masked.closed
                assert event.phase in {closed, masked.phase}


@given(seed=SEEDS)
@settings(max_examples=20)
def test_revealed_sums__any_sequence__keep_budget_and_distance(seed):
    start = STARTS[seed % len(STARTS)].masked
    known_sets = [start.revealed_set] * start.revealed
    revealed: dict[int, list[frozenset[int]]] = {0: known_sets}
    for stage, happened in play(seed):
        for event in happened or ():
            if isinstance(event, events.PhaseClosed) and event.phase == Phase.ATTEST:
                version = stage.book.round.parent_version
                revealed.setdefault(version, []).append(stage.masked.get_set(Phase.ATTEST))
        assert stage.masked.spent == sum(map(len, revealed.values())) <= BUDGET
        for known in revealed.values():
            assert len(known) <= 2
            for one in known:
                assert len(one) >= stage.task.min_survivors
                for other in known:
                    difference = len(one - other)
                    assert difference == 0 or difference >= stage.task.min_survivors


@given(seed=SEEDS)
@settings(max_examples=20)
def test_stake__any_sequence__is_lost_for_a_named_cause_alone(seed):
    causes = (events.AgentMissed, events.RecordVoided, events.EquivocationPunished)
    for stage, happened in play(seed, [*DRAWS, draw_evidence]):
        for event in happened or ():
            if isinstance(event, events.AgentSlashed):
                assert any(isinstance(one, causes) for one in happened)
            if isinstance(event, events.AgentMissed):
                place = stage.masked.holders.index(event.agent)
                sets, joined = stage.masked.get_set, place in stage.masked.get_set(Phase.JOIN)
                assert joined
                assert event.phase == Phase.CHECK or place not in sets(event.phase)


@given(seed=SEEDS)
@settings(max_examples=20)
def test_settle__from_any_state__leads_to_propose_or_to_an_end(seed):
    *_, (stage, _) = play(seed)
    for _ in PHASES:
        if not is_masked(stage.book):
            break
        stage.time = max(stage.time, stage.masked.closes_at)
        stage.settle()
    assert not is_masked(stage.book)
    assert stage.book.round.outcome != Outcome.NONE or stage.book.round.attest_close > 0


def test_play__many_sequences__reach_every_phase_and_penalty():
    kinds, phases = set(), set()
    for seed in range(60):
        for stage, happened in play(seed, [*DRAWS, draw_evidence]):
            kinds |= {type(event).__name__ for event in happened or ()}
            phases.add(stage.masked.phase)
    assert set(PHASES) <= phases
    assert {
        "AgentMissed",
        "ComplaintPosted",
        "EquivocationPunished",
        "PhaseClosed",
        "RecordPosted",
        "RecordVoided",
        "RecordsAttested",
        "RecordsRelayed",
        "RoundSettled",
    } <= kinds

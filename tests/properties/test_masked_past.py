"""What roles read off the events of masked rounds is what the specification remembers."""

from hypothesis import given, settings

from flchain.chain.base import LoggedEvent
from flchain.chain.spec.masked_state import ATTESTED
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Phase
from flchain.roles.history import TaskPast, apply_event
from flchain.roles.masked.past import MaskedPast, chain_events
from tests.properties.masked_play import LOGS, SEEDS, STARTS, play
from tests.unit.chain.masked_stage import RECORDED


def log(event):
    return LoggedEvent(event, ZERO_ADDRESS, 0, ZERO_DIGEST, ZERO_DIGEST, 0)


def read(past, happened):
    for event in happened:
        past = apply_event(past, log(event))
    return past


BEFORE = [read(TaskPast(), log_) for log_ in LOGS]


def chain(stage, seed):
    """Return the commitment after all events of the stage's round."""
    known = [*LOGS[seed % len(LOGS)], *stage.log]
    return chain_events(stage.key, [e for e in known if getattr(e, "round", 0) == stage.number])


def check_agreement(past, stage):
    book, number = stage.masked, stage.number
    masked = past.rounds[number].masked or MaskedPast(past.rounds[number].opened.validators)
    assert list(past.holders) == book.holders
    for phase in RECORDED:
        assert masked.get_set(phase) == frozenset(masked.get_records(phase)) == book.get_set(phase)
    for phase in ATTESTED:
        assert masked.attested.get(phase, {}) == book.attestations.get(phase, {})
        if masked.has_closed(phase):
            assert masked.get_set(phase) == book.get_set(phase)
    assert len(masked.batches) == len(book.batches)
    accused = {(book.find_place(each.agent), each.accused) for each in masked.complaints}
    assert accused == book.complaints
    assert masked.missed == {book.holders[place] for place in book.punished}
    if book.is_pinned and Phase.JOIN < book.phase < Phase.ENDED:
        assert masked.anchors[book.phase] == book.anchor


@given(seed=SEEDS)
@settings(max_examples=10)
def test_past__any_sequence__agrees_with_the_specification(seed):
    past = BEFORE[seed % len(STARTS)]
    check_agreement(past, STARTS[seed % len(STARTS)])
    for stage, happened in play(seed):
        if happened:
            past = read(past, happened)
            check_agreement(past, stage)
            check_submissions(past, stage)
    assert chain(stage, seed) == stage.masked.commitment


def check_submissions(past, stage):
    """Check that a round's submissions are the records of SUBMIT, by place and without weights."""
    live = past.rounds[stage.number]
    if live.masked is None:
        return
    held = live.masked.get_records(Phase.SUBMIT)
    found = {item.index: (item.agent, item.digest, item.weight) for item in live.submissions}
    assert found == {p: (past.holders[p], d, 0) for p, d in held.items()}
    assert [item.index for item in live.submissions] == sorted(held)
    assert live.attested == live.masked.attested.get(Phase.ATTEST, {})

"""The masked part of a round by hand-made events: who counts, who was voided, who attested."""

from dataclasses import replace

from flchain.chain.base import LoggedEvent
from flchain.protocol.digests import WORD, encode_bitmap, pack_bits
from flchain.protocol.events import (
    AnchorPinned,
    RecordPosted,
    RecordsAttested,
    RecordsRelayed,
    RecordVoided,
    RoundOpened,
)
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import ZERO_DIGEST, Address, Digest, Phase, RoundId, TaskId, Version
from flchain.roles.history import TaskPast, apply_event
from flchain.roles.masked.past import MaskedPast, apply_masked, list_relayed

TASK, ROUND = TaskId(1), RoundId(1)
ANCHOR = Digest(b"a" * 32)


def account(number):
    return Address(f"0x{number:040x}")


def digest(number):
    return Digest(bytes([number]) * 32)


def sign(number):
    return SignedRecord(digest(number), bytes(32), bytes(32))


def log(event):
    return LoggedEvent(event, account(99), 1, bytes(32), bytes(32), 0)


def post(place, phase=Phase.JOIN, number=None):
    found = digest(place + 1 if number is None else number)
    return RecordPosted(TASK, ROUND, account(place), phase, place, found)


def relay(places, added, phase=Phase.SUBMIT, batch=0):
    named, new = (pack_bits(each, 300, WORD) for each in (places, added))
    records = tuple(sign(place % 200 + 50) for place in places)
    return RecordsRelayed(TASK, ROUND, account(99), phase, batch, ZERO_DIGEST, named, new, records)


def attest(validator, places, phase=Phase.ATTEST):
    return RecordsAttested(TASK, ROUND, account(validator), phase, encode_bitmap(places, 300))


def read(*events, validators=3):
    past = MaskedPast(validators)
    for event in events:
        past = apply_masked(past, event)
    return past


def test_sets__records__are_by_phase():
    past = read(post(0), post(1), post(0, Phase.SHARES))
    assert past.get_set(Phase.JOIN) == {0, 1}
    assert past.get_set(Phase.SHARES) == {0}
    assert past.get_set(Phase.SUBMIT) == frozenset()
    assert past.get_records(Phase.JOIN) == {0: digest(1), 1: digest(2)}


def test_relayed__batch__counts_for_the_places_that_were_added():
    past = read(post(3, Phase.SUBMIT), relay([1, 3, 250], [1, 250]))
    assert past.get_records(Phase.SUBMIT) == {1: digest(51), 3: digest(4), 250: digest(100)}


def test_relayed__direct_record_after_it__replaces_it():
    past = read(relay([1, 3], [1, 3]), post(3, Phase.SUBMIT))
    assert past.get_records(Phase.SUBMIT) == {1: digest(51), 3: digest(4)}


def test_voided__relayed_record__is_gone_until_a_direct_one():
    void = RecordVoided(TASK, ROUND, account(3), Phase.SUBMIT, 0, 3)
    past = read(relay([1, 3], [1, 3]), void)
    assert past.get_set(Phase.SUBMIT) == {1}
    assert past.voided == {(0, 3)}
    assert read(relay([1, 3], [1, 3]), void, post(3, Phase.SUBMIT)).get_set(Phase.SUBMIT) == {1, 3}


def test_attested__majority_of_those_at_opening__decides_among_records():
    records = [post(n, Phase.SUBMIT) for n in (0, 1, 2)]
    one = [*records, attest(10, [0, 1]), attest(11, [0, 2]), attest(11, [1])]
    assert read(*one).get_set(Phase.ATTEST) == {0, 1}
    assert read(*one, validators=4).get_set(Phase.ATTEST) == frozenset()
    # What nobody recorded, or what was voided since, is not in it.
    assert read(*one[1:]).get_set(Phase.ATTEST) == {1}
    assert read(*one).get_set(Phase.CHECK) == frozenset()


def test_list_relayed__batches__come_with_the_anchor_of_their_phase():
    events = [relay([1], [1]), relay([2, 3], [3], batch=1), relay([4], [4], Phase.UNMASK, 2)]
    past = read(AnchorPinned(TASK, ROUND, Phase.SUBMIT, ANCHOR), *events)
    found = list_relayed(past, {})
    assert [(each.batch, each.place, each.anchor) for each in found] == [
        (0, 1, ANCHOR),
        (1, 3, ANCHOR),
    ]
    assert found[1].record == sign(53)
    assert len(list_relayed(past, {Phase.UNMASK: ANCHOR})) == 3


def test_holders__places__are_taken_with_the_first_join_and_kept_over_rounds():
    past = TaskPast()
    for event in (RoundOpened(TASK, ROUND, Version(0), 3, 3), post(0), post(1), post(0)):
        past = apply_event(past, log(event))
    assert past.holders == (account(0), account(1))
    second = RoundOpened(TASK, RoundId(2), Version(0), 3, 3)
    later = replace(post(2), round=RoundId(2))
    past = apply_event(apply_event(past, log(second)), log(later))
    assert past.holders == (account(0), account(1), account(2))
    assert past.rounds[RoundId(2)].masked.get_set(Phase.JOIN) == {2}
    assert past.rounds[ROUND].masked.get_set(Phase.JOIN) == {0, 1}


def test_submissions__relayed_and_voided__follow_the_records_of_submit():
    past = TaskPast()
    opened = RoundOpened(TASK, ROUND, Version(0), 3, 3)
    void = RecordVoided(TASK, ROUND, account(1), Phase.SUBMIT, 0, 1)
    joins, batch = [post(n) for n in range(3)], relay([0, 1], [0, 1])
    for event in (opened, *joins, post(2, Phase.SUBMIT), batch):
        past = apply_event(past, log(event))
    found = [(s.agent, s.index, s.weight) for s in past.rounds[ROUND].submissions]
    assert found == [(account(n), n, 0) for n in range(3)]
    past = apply_event(past, log(void))
    assert [s.index for s in past.rounds[ROUND].submissions] == [0, 2]

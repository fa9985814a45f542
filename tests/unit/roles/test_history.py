"""The past of a task follows from its events alone."""

from flchain.chain.base import LoggedEvent
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.events import (
    BlobsAttested,
    Event,
    ModelPublished,
    RewardClaimed,
    RoundOpened,
    RoundSettled,
    SeatsOpened,
    SeatsProven,
    SeatsReplaced,
    SeedFixed,
    UpdateSubmitted,
)
from flchain.protocol.types import (
    Address,
    Digest,
    Outcome,
    RoundId,
    TaskId,
    Timestamp,
    Version,
    Wei,
)
from flchain.roles.execution import compute_attesters, compute_survivors
from flchain.roles.history import RoundPast, TaskPast, apply_event

TASK, ROUND = TaskId(1), RoundId(1)


def account(number: int) -> Address:
    return Address(f"0x{number:040x}")


def log(event: Event, number: int = 1) -> LoggedEvent:
    return LoggedEvent(event, account(99), number, bytes(32), bytes(32), 0)


def build_past(*events: Event) -> TaskPast:
    past = TaskPast()
    for event in (RoundOpened(TASK, ROUND, Version(0), 3, 3), *events):
        past = apply_event(past, log(event))
    return past


def submit(index: int) -> UpdateSubmitted:
    digest = Digest(bytes([index]) * 32)
    return UpdateSubmitted(TASK, ROUND, account(index), index, digest, weight=1)


def attest(validator: int, *indices: int) -> BlobsAttested:
    return BlobsAttested(TASK, ROUND, account(validator), encode_bitmap(indices, 3))


def get_round(past: TaskPast) -> RoundPast:
    return past.rounds[ROUND]


def test_apply_event__submissions__stay_in_order() -> None:
    past = get_round(build_past(submit(0), submit(1), submit(2)))
    assert [item.index for item in past.submissions] == [0, 1, 2]


def test_apply_event__attestations_of_one_validator__add_up() -> None:
    past = get_round(build_past(submit(0), submit(1), attest(10, 0), attest(10, 1)))
    assert past.attested == {account(10): frozenset({0, 1})}


def test_apply_event__event_of_an_unknown_round__changes_nothing() -> None:
    past = build_past()
    other = UpdateSubmitted(TASK, RoundId(7), account(1), 0, Digest(bytes(32)), 1)
    assert apply_event(past, log(other)) == past


def test_outcome__settled__is_the_events() -> None:
    settled = RoundSettled(TASK, ROUND, Outcome.FINALIZED, Timestamp(5))
    assert get_round(build_past()).outcome is Outcome.NONE
    assert get_round(build_past(settled)).outcome is Outcome.FINALIZED


def test_apply_event__model_and_claim__are_kept() -> None:
    model = ModelPublished(TASK, Version(1), ROUND, Digest(b"s" * 32), Digest(b"p" * 32))
    claim = RewardClaimed(TASK, ROUND, account(1), 4, Wei(5))
    past = build_past(model, claim)
    assert past.versions[Version(1)] == model
    assert get_round(past).claimed == frozenset({4})


def test_compute_survivors__held_by_a_majority_of_those_at_opening__count() -> None:
    past = get_round(
        build_past(submit(0), submit(1), submit(2), attest(10, 0, 1), attest(11, 0, 2))
    )
    assert [item.index for item in compute_survivors(past)] == [0]


def test_compute_attesters__only_those_who_held_every_survivor() -> None:
    past = get_round(
        build_past(submit(0), submit(1), attest(10, 0, 1), attest(11, 0, 1), attest(12, 0))
    )
    assert compute_attesters(past) == (account(10), account(11))


def test_committee__draws_of_a_round__is_the_newest_word() -> None:
    opened = SeatsOpened(TASK, ROUND, 0, Digest(b"s" * 32))
    proven = SeatsProven(TASK, ROUND, 0, (1,), (Digest(b"o" * 32),), 0x120)
    replaced = SeatsReplaced(TASK, ROUND, 0, 0x1011)
    words = [get_round(build_past(*events)) for events in ((), (opened,), (opened, proven))]
    assert [(past.committee, past.seats) for past in words] == [(0, 3), (0, 3), (0x120, 3)]
    last = get_round(build_past(opened, proven, replaced))
    assert (last.committee, last.seats) == (0x1011, 3)
    anew = get_round(build_past(opened, proven, SeatsOpened(TASK, ROUND, 1, Digest(bytes(32)))))
    assert (anew.committee, anew.seats) == (0, 3)


def test_seeds__of_each_attempt__are_kept_in_order() -> None:
    fixed = [SeedFixed(TASK, ROUND, number, 0, Digest(bytes([7]) * 32)) for number in (0, 1)]
    assert get_round(build_past(*fixed)).seeds == tuple(fixed)

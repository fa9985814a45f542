"""A validator that leaves and enrols at another place changes nothing that it said before."""

from dataclasses import replace
from itertools import count

import pytest

from flchain.chain.memory import build_config
from flchain.chain.spec.evidence import is_audited, process_audit_vote
from flchain.chain.spec.state import Book, Env, State, get_round_key
from flchain.chain.spec.votes import cast_vote, get_ballot
from flchain.protocol.calls import AuditVote
from flchain.protocol.params import MINIMAL
from flchain.protocol.records import Audit, Draw, Member, Round, Vote
from flchain.protocol.reverts import AlreadyAudited
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Role,
    RoundId,
    TaskId,
    Timestamp,
    Verdict,
)

TASK = TaskId(1)
FIRST, SECOND, ACCUSED = (Address(f"0x{digit * 40}") for digit in "123")
SEED = Digest(b"\x05" * 32)


@pytest.fixture
def state():
    """A task in whose newest committee place 0 has two seats and place 1 has one."""
    book = Book(
        round=Round(round=RoundId(2), seats=5),
        draw=Draw(round=RoundId(2), entries=3, is_seeded=True),
        seed=SEED,
        committee={0: 2, 1: 1},
        members={
            FIRST: Member(role=Role.VALIDATOR, place=0),
            ACCUSED: Member(role=Role.VALIDATOR, place=2),
        },
        holders={0: FIRST, 2: ACCUSED},
    )
    return State(build_config(MINIMAL.network, ZERO_ADDRESS), books={TASK: book})


def audit(state, auditor):
    key = get_round_key(state.config, TASK, RoundId(1))
    attempt = next(n for n in count() if is_audited(SEED, key, n, ACCUSED))
    finding = Audit(RoundId(1), attempt, ACCUSED, ZERO_DIGEST, SEED)
    return process_audit_vote(state, Env(auditor, Timestamp(0)), AuditVote(TASK, finding))


def move(state, member, place):
    book = state.books[TASK]
    book.members[member] = Member(role=Role.VALIDATOR, place=place)
    book.holders[place] = member


def test_ballot__voter_moves_to_another_place__vote_keeps_its_seats(state):
    book = state.books[TASK]
    cast_vote(book, TASK, FIRST, Vote(SEED, Verdict.APPROVE))
    book.members[FIRST] = replace(book.members[FIRST], place=1)
    ballot = get_ballot(book)
    assert (ballot.approvals, ballot.cast, ballot.voted) == (2, 2, 1)


def test_audit__somebody_else_at_the_same_place__counted_once(state):
    assert len(audit(state, FIRST)) == 1
    move(state, SECOND, 0)
    with pytest.raises(AlreadyAudited):
        audit(state, SECOND)


def test_audit__same_auditor_at_another_place__counted_for_its_seats_there(state):
    audit(state, FIRST)
    move(state, FIRST, 1)
    assert len(audit(state, FIRST)) == 1
    assert list(state.books[TASK].audits.values()) == [{0: 2, 1: 1}]

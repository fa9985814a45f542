"""One round that can't be paid, expired or with a wrong record, keeps no other from it."""

from dataclasses import replace

import pytest

from flchain.protocol.errors import FlchainError
from flchain.protocol.types import RoundId, Seconds
from flchain.roles.payouts import claim_rewards
from flchain.storage.cid import cid_from_digest
from tests.e2e.federation import QUICK, Clock, make_memory_federation

WINDOW = 100
BRIEF = replace(QUICK, schedule=replace(QUICK.schedule, claim_window=Seconds(WINDOW)))


def is_paid(federation, number):
    """Return whether the first agent's reward of a round was paid."""
    past = federation.watch.observe().past.rounds[number]
    return len(past.claimed) == 1


def claim(federation, done=None):
    context = federation.agents[0].context
    return claim_rewards(context, federation.watch.observe(), set() if done is None else done)


def test_claim__expired_round_before_a_payable_one__pays_the_payable_one():
    federation = make_memory_federation(preset=BRIEF)
    federation.run(1, claims=False)
    clock = federation.ledger._clock
    assert isinstance(clock, Clock)
    clock.now += WINDOW
    federation.run(2, claims=False)
    done = set()
    assert claim(federation, done) == 1
    assert not is_paid(federation, RoundId(1))
    assert is_paid(federation, RoundId(2))
    assert done == {1, 2}
    assert claim(federation, done) == 0


def spoil_record(federation, number):
    """Put bytes in the place of a round's record that it does not commit to."""
    past = federation.watch.observe().past.rounds[number]
    cid = cid_from_digest(past.final_proposal.content.aggregate_root)
    federation.store.blocks.replace_unverified(cid, b"{}")
    federation.agents[0].context.archive._kept.clear()


def test_claim__record_of_the_first_round_is_wrong__pays_the_second_and_then_says_so():
    federation = make_memory_federation()
    federation.run(2, claims=False)
    spoil_record(federation, RoundId(1))
    done = set()
    with pytest.raises(FlchainError):
        claim(federation, done)
    assert not is_paid(federation, RoundId(1))
    assert is_paid(federation, RoundId(2))
    # The failed round is tried again, as somebody may have mended the store.
    assert done == {2}

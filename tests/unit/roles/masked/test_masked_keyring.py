"""The keyring: a key that comes back, from another round or another agent, is refused."""

from dataclasses import replace

import pytest

from flchain.crypto.secagg.keys import PublicKeys, derive_secrets, get_public_keys
from flchain.protocol.types import RoundId, TaskId
from flchain.roles.journal import MemoryJournal
from flchain.roles.masked.keyring import Keyring
from flchain.roles.masked.rosters import Joined
from tests.unit.crypto.secagg_round import CONTEXT, address, digest
from tests.unit.roles.masked.scenes import make_secure

ONE, TWO, THREE = RoundId(1), RoundId(2), RoundId(3)
A, B = address(1), address(2)


@pytest.fixture(scope="module")
def context():
    return make_secure(3).validators[0].context


@pytest.fixture
def journal():
    return MemoryJournal()


def open_ring(context, journal, **changes):
    return Keyring(replace(context, journal=journal, **changes))


def make_joined(*seeds):
    """Return keys of which each follows from a seed of its own."""
    made = [get_public_keys(derive_secrets(digest(seed), CONTEXT)) for seed in seeds]
    keys = PublicKeys(made[0].encryption, made[1].masking, made[2].self_mask)
    return Joined(keys, None)


def test_keys__new_ones__are_nobodys(context, journal):
    ring = open_ring(context, journal)
    joined = {A: make_joined(1, 2, 3), B: make_joined(4, 5, 6)}
    assert ring.find_used(ONE, joined) == frozenset()
    # Looking again in the same round is no reuse.
    assert ring.find_used(ONE, joined) == frozenset()


@pytest.mark.parametrize("kept", [(1, 8, 9), (7, 2, 9), (7, 8, 3)], ids=str)
def test_keys__one_of_an_earlier_round__is_refused(context, journal, kept):
    ring = open_ring(context, journal)
    ring.find_used(ONE, {A: make_joined(1, 2, 3)})
    joined = {A: make_joined(*kept), B: make_joined(4, 5, 6)}
    assert ring.find_used(TWO, joined) == {A}
    assert ring.find_used(THREE, {B: make_joined(*kept)}) == {B}


def test_keys__of_another_agent_in_another_place__are_refused(context, journal):
    ring = open_ring(context, journal)
    first = make_joined(1, 2, 3)
    ring.find_used(ONE, {A: first})
    swapped = PublicKeys(
        first.keys.masking, make_joined(7, 7, 7).keys.masking, first.keys.self_mask
    )
    assert ring.find_used(TWO, {B: Joined(swapped, None)}) == {B}


def test_keys__negative_of_one__counts_as_the_same(context, journal):
    ring = open_ring(context, journal)
    first = make_joined(1, 2, 3)
    ring.find_used(ONE, {A: first})
    x, y = first.keys.masking
    prime = 2**256 - 2**32 - 977
    negative = replace(make_joined(7, 8, 9).keys, masking=type(first.keys.masking)(x, prime - y))
    assert ring.find_used(TWO, {A: Joined(negative, None)}) == {A}


def test_keys__twice_in_one_round__both_are_refused(context, journal):
    ring = open_ring(context, journal)
    joined = {A: make_joined(1, 2, 3), B: make_joined(4, 2, 5), address(3): make_joined(7, 8, 9)}
    assert ring.find_used(ONE, joined) == {A, B}


def test_keyring__restart__still_knows_earlier_rounds(context, journal):
    open_ring(context, journal).find_used(ONE, {A: make_joined(1, 2, 3)})
    again = open_ring(context, journal)
    assert again.find_used(ONE, {A: make_joined(1, 2, 3)}) == frozenset()
    assert again.find_used(TWO, {A: make_joined(1, 8, 9)}) == {A}


def test_keyring__other_task_in_the_same_journal__is_another_ring(context, journal):
    journal.write("something-else", b"\x00" * 16)
    open_ring(context, journal).find_used(ONE, {A: make_joined(1, 2, 3)})
    other = open_ring(context, journal, task_id=TaskId(2))
    assert other.find_used(TWO, {A: make_joined(1, 2, 3)}) == frozenset()

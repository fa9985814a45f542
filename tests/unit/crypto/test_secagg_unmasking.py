"""The sum comes out exactly, from any enough shares, in any order; bad shares are found."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from flchain.crypto.secagg import releases, unmasking
from flchain.crypto.secagg.errors import (
    BadShare,
    DoubleRelease,
    ForeignRound,
    ForeignSender,
    MalformedMessage,
    TooFewShares,
    TooFewSurvivors,
    WrongRelease,
)
from flchain.crypto.secagg.masking import from_words, to_words
from flchain.crypto.secagg.releases import Release, ReleasedShare, Secret
from flchain.crypto.secp256k1 import ORDER
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.secagg_round import (
    compute_excess,
    flip_bit,
    make_inputs,
    make_party,
)

PARTY = make_party(6, 3)
ROSTER, AGENTS = PARTY.roster, PARTY.agents
SIZE = 50
INPUTS = make_inputs(AGENTS, SIZE)
MASKED = {agent: PARTY.mask(agent, to_words(INPUTS[agent])) for agent in AGENTS}
SURVIVORS = AGENTS[:5]
DROPPED = AGENTS[5]
RELEASES = {holder: PARTY.release(holder, SURVIVORS) for holder in AGENTS}


def add(agents):
    return sum(INPUTS[agent].astype(np.int64) for agent in agents)


def pick(mapping, keys):
    return {key: mapping[key] for key in keys}


def tamper(release, place=0, **change):
    changed = list(release.shares)
    changed[place] = replace(changed[place], **change)
    return Release(tuple(changed))


def list_survivor_sets():
    # A survivor needs three surviving neighbours, hence four survivors at least.
    return [subset for size in (4, 5, 6) for subset in itertools.combinations(AGENTS, size)]


@pytest.mark.parametrize("survivors", list_survivor_sets(), ids=len)
def test_unmask__for_every_survivor_set__gives_the_plain_sum(survivors):
    released = {holder: PARTY.release(holder, survivors) for holder in survivors[:4]}
    total = PARTY.unmask(pick(MASKED, survivors), released)
    assert np.array_equal(from_words(total), add(survivors))


def test_unmask__with_any_enough_releases__gives_the_same_bytes():
    found = {
        PARTY.unmask(pick(MASKED, SURVIVORS), pick(RELEASES, holders)).tobytes()
        for size in (4, 5, 6)
        for holders in itertools.combinations(AGENTS, size)
    }
    assert len(found) == 1


def test_unmask__vectors_and_releases_in_another_order__gives_the_same_bytes():
    expected = PARTY.unmask(pick(MASKED, SURVIVORS), RELEASES)
    backwards = dict(reversed(RELEASES.items()))
    masked = pick(MASKED, reversed(SURVIVORS))
    assert np.array_equal(PARTY.unmask(masked, backwards), expected)


def test_unmask__member_never_shared__is_left_out_from_the_start():
    members = AGENTS[1:]
    masked = {a: PARTY.mask(a, to_words(INPUTS[a]), members) for a in AGENTS[1:5]}
    released = {a: PARTY.release(a, masked, members) for a in AGENTS[1:5]}
    total = PARTY.unmask(masked, released, members)
    assert np.array_equal(from_words(total), add(AGENTS[1:5]))


def test_unmask__extreme_inputs__are_summed_exactly():
    inputs = {agent: np.array([2**31 // 6 - 1, -(2**31 // 6)], np.int32) for agent in AGENTS}
    masked = {agent: PARTY.mask(agent, to_words(inputs[agent])) for agent in AGENTS}
    released = {agent: PARTY.release(agent, AGENTS) for agent in AGENTS}
    total = from_words(PARTY.unmask(masked, released))
    assert total.tolist() == [6 * (2**31 // 6 - 1), -6 * (2**31 // 6)]


def test_unmask__iterator_of_vectors__is_never_held():
    size, count = 1 << 18, 12
    ending = PARTY.finish(AGENTS)
    released = {agent: PARTY.release(agent, AGENTS) for agent in AGENTS}
    corrections = unmasking.build_corrections(ending, unmasking.restore_secrets(ending, released))
    tracemalloc.start()
    vectors = (np.full(size, number, "<u4") for number in range(count))
    unmasking.unmask(vectors, corrections, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The sum, one vector, the next one being made, and the blocks.
    assert peak < 3.5 * 4 * size


def test_mask__without_its_pair_masks_or_own__is_not_the_input():
    agent = AGENTS[0]
    zeros = PARTY.mask(agent, np.zeros(20_000, "<u4"))
    counts = np.bincount(zeros.view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4
    others = PARTY.mask(AGENTS[1], np.zeros(20_000, "<u4"))
    assert not np.array_equal(zeros, others)


@pytest.mark.parametrize("members", [AGENTS[1:], AGENTS[:3]], ids=["not a member", "too few"])
def test_mask__agent_left_out_or_left_alone__is_refused(members):
    with pytest.raises(TooFewSurvivors, match="nothing in this round"):
        PARTY.mask(AGENTS[0], to_words(INPUTS[AGENTS[0]]), members)


def test_mask__input__is_left_as_it_was():
    words = to_words(INPUTS[AGENTS[0]])
    before = words.copy()
    PARTY.mask(AGENTS[0], words)
    assert np.array_equal(words, before)


def test_restore__too_few_releases__names_the_owner():
    with pytest.raises(TooFewShares, match="2 valid shares of 3"):
        PARTY.unmask(pick(MASKED, SURVIVORS), pick(RELEASES, AGENTS[:3]))


@pytest.mark.parametrize("place", range(5))
def test_restore__one_wrong_share__is_found_and_done_without(place):
    bad = RELEASES | {AGENTS[0]: tamper(RELEASES[AGENTS[0]], place, value=5)}
    total = PARTY.unmask(pick(MASKED, SURVIVORS), bad)
    assert np.array_equal(from_words(total), add(SURVIVORS))
    faults = unmasking.find_bad_shares(PARTY.finish(SURVIVORS), bad)
    assert list(faults) == [AGENTS[0]]
    assert type(faults[AGENTS[0]]) is BadShare


def test_restore__wrong_share_and_none_to_spare__names_who_sent_it():
    few = pick(RELEASES, AGENTS[:4])
    few[AGENTS[1]] = tamper(few[AGENTS[1]], value=5)
    with pytest.raises(TooFewShares, match=f"wrong ones came from {AGENTS[1]}"):
        PARTY.unmask(pick(MASKED, SURVIVORS), few)


def test_find_bad_shares__errors_that_cancel_in_the_secret__are_found():
    # Two wrong shares whose errors cancel at 0: the secret is right, the shares are not.
    owner, holders = AGENTS[0], AGENTS[1:4]
    places = [ROSTER.graph.places[holder] for holder in holders]
    weights = [
        np.prod([other for other in places if other != at], dtype=object)
        * pow(int(np.prod([o - at for o in places if o != at], dtype=object)), -1, ORDER)
        % ORDER
        for at in places
    ]
    bad = dict(RELEASES)
    shift = (weights[1], -weights[0] % ORDER)
    for holder, change in zip(holders[:2], shift, strict=True):
        share = next(s for s in bad[holder].shares if s.owner == owner)
        place = bad[holder].shares.index(share)
        bad[holder] = tamper(bad[holder], place, value=(share.value + change) % ORDER)
    ending = PARTY.finish(SURVIVORS)
    restored = unmasking.restore_secrets(ending, bad)
    assert restored.self_masks[owner] == PARTY.secrets[owner].self_mask
    assert set(unmasking.find_bad_shares(ending, bad)) == set(holders[:2])


def test_find_bad_shares__all_right__finds_none():
    assert unmasking.find_bad_shares(PARTY.finish(SURVIVORS), RELEASES) == {}


def test_release__asks_for_each_neighbour__one_share_of_the_right_secret():
    kinds = {share.owner: share.secret for share in RELEASES[AGENTS[0]].shares}
    assert kinds == dict.fromkeys(AGENTS[1:5], Secret.SELF_MASK) | {DROPPED: Secret.MASKING}


def test_release__both_shares_of_one_owner__cannot_be_made():
    owner = AGENTS[1]
    with pytest.raises(DoubleRelease, match="both shares"):
        Release(
            (ReleasedShare(owner, Secret.SELF_MASK, 1), ReleasedShare(owner, Secret.MASKING, 2))
        )


def test_release__owners_out_of_order__cannot_be_made():
    first, second = (ReleasedShare(agent, Secret.MASKING, 1) for agent in AGENTS[:2])
    with pytest.raises(EncodingError, match="ascending"):
        Release((second, first))


def test_collect__two_releases_of_one_holder__are_refused():
    other = PARTY.release(AGENTS[0], AGENTS)
    with pytest.raises(DoubleRelease, match="twice"):
        releases.collect_releases([*RELEASES.items(), (AGENTS[0], other)])


def test_collect__the_same_release_again__counts_once():
    assert releases.collect_releases([*RELEASES.items()] * 2) == RELEASES


@pytest.mark.parametrize(
    "survivors", [(), AGENTS[:3], (*AGENTS[1:4],)], ids=["nobody", "three", "other three"]
)
def test_release__below_the_threshold__is_refused(survivors):
    with pytest.raises(TooFewSurvivors):
        PARTY.release(AGENTS[0], survivors)


def test_release__survivor_who_is_no_member__is_refused():
    with pytest.raises(TooFewSurvivors, match="some of the members"):
        PARTY.release(AGENTS[0], AGENTS, AGENTS[:5])


def test_release__dropped_member_out_of_reach__is_refused():
    # On a circle of degree two everybody beside a dropped agent would have one neighbour left.
    circle = make_party(8, 2, 2)
    with pytest.raises(TooFewSurvivors, match="1 surviving"):
        circle.release(circle.agents[1], circle.agents[1:])


WRONG = {
    "a's share of a survivor": tamper(RELEASES[AGENTS[0]], 0, secret=Secret.MASKING),
    "b's share of a dropped one": tamper(RELEASES[AGENTS[0]], 4, secret=Secret.SELF_MASK),
    "too few": Release(RELEASES[AGENTS[0]].shares[: ROSTER.threshold - 1]),
    "for other survivors": PARTY.release(AGENTS[0], AGENTS),
}


@pytest.mark.parametrize("release", WRONG.values(), ids=WRONG)
def test_release__of_other_shares_than_wanted__is_left_out(release):
    ending = PARTY.finish(SURVIVORS)
    with pytest.raises(WrongRelease):
        releases.check_release(ROSTER, AGENTS[0], release, ending.members, ending.survivors)
    bad = RELEASES | {AGENTS[0]: release}
    assert type(unmasking.find_bad_shares(ending, bad)[AGENTS[0]]) is WrongRelease
    total = PARTY.unmask(pick(MASKED, SURVIVORS), bad)
    assert np.array_equal(from_words(total), add(SURVIVORS))


def test_release__of_an_agent_that_shared_nothing__is_left_out():
    members = AGENTS[1:]
    masked = {a: PARTY.mask(a, to_words(INPUTS[a]), members) for a in members}
    released = {a: PARTY.release(a, members, members) for a in members}
    released[AGENTS[0]] = RELEASES[AGENTS[0]]
    assert np.array_equal(from_words(PARTY.unmask(masked, released, members)), add(members))
    faults = unmasking.find_bad_shares(PARTY.finish(members, members), released)
    assert list(faults) == [AGENTS[0]]
    assert type(faults[AGENTS[0]]) is WrongRelease


HOLDER = AGENTS[0]
MESSAGE = releases.encode_release(ROSTER.round_key, HOLDER, RELEASES[HOLDER])
ENTRY, HEAD = 53, 60


def test_release__encoded__is_read_back():
    assert releases.decode_release(ROSTER, HOLDER, MESSAGE) == RELEASES[HOLDER]
    assert len(MESSAGE) == HEAD + 5 * ENTRY


def swap_entries(data):
    first, second = data[HEAD : HEAD + ENTRY], data[HEAD + ENTRY : HEAD + 2 * ENTRY]
    return data[:HEAD] + second + first + data[HEAD + 2 * ENTRY :]


def repeat_entry(data):
    first = data[HEAD : HEAD + ENTRY]
    return data[:HEAD] + first + first + data[HEAD + 2 * ENTRY :]


@pytest.mark.parametrize(
    ("data", "holder", "error"),
    [
        (b"", HOLDER, MalformedMessage),
        (MESSAGE[:-1], HOLDER, MalformedMessage),
        (MESSAGE + b"\0", HOLDER, MalformedMessage),
        (MESSAGE[:58], HOLDER, MalformedMessage),
        (flip_bit(MESSAGE, 59), HOLDER, MalformedMessage),
        (flip_bit(MESSAGE, HEAD), HOLDER, MalformedMessage),
        (MESSAGE[: HEAD + 20] + b"\0" + MESSAGE[HEAD + 21 :], HOLDER, MalformedMessage),
        (MESSAGE[:-32] + b"\xff" * 32, HOLDER, MalformedMessage),
        (swap_entries(MESSAGE), HOLDER, MalformedMessage),
        (repeat_entry(MESSAGE), HOLDER, DoubleRelease),
        (flip_bit(MESSAGE, 6), HOLDER, ForeignRound),
        (MESSAGE, AGENTS[1], ForeignSender),
    ],
)
def test_release__bad_bytes__are_refused_each_with_its_error(data, holder, error):
    with pytest.raises(error):
        releases.decode_release(ROSTER, holder, data)


def test_secrets_and_shares__printed__are_hidden():
    ending = PARTY.finish(SURVIVORS)
    restored = unmasking.restore_secrets(ending, RELEASES)
    value = next(iter(restored.self_masks.values()))
    assert str(value) not in repr(restored)
    assert str(RELEASES[HOLDER].shares[0].value) not in repr(RELEASES[HOLDER])


@pytest.mark.parametrize("given", [4, 6])
def test_count_vectors__too_few_or_many__is_refused(given):
    vectors = unmasking.count_vectors([np.zeros(1, "<u4")] * given, 5)
    with pytest.raises(EncodingError, match="5 survivors"):
        unmasking.unmask(vectors, unmasking.Masks(), 1)


def test_count_vectors__as_many_as_expected__passes_them_on():
    vectors = [np.full(2, number, "<u4") for number in range(5)]
    counted = unmasking.count_vectors(vectors, 5)
    assert np.array_equal([*counted], vectors)


def test_release__share_that_was_never_given__is_left_out_and_the_rest_counts():
    held = PARTY.open_shares(HOLDER)
    del held[AGENTS[3]]
    sets = frozenset(AGENTS), frozenset(SURVIVORS)
    release = releases.release_shares(ROSTER, HOLDER, held, *sets)
    assert AGENTS[3] not in {share.owner for share in release.shares}
    releases.check_release(ROSTER, HOLDER, release, *sets)


def test_release__fewer_shares_than_restore__is_not_made():
    held = dict(list(PARTY.open_shares(HOLDER).items())[: ROSTER.threshold - 1])
    with pytest.raises(BadShare, match=f"{ROSTER.threshold - 1} valid shares of"):
        releases.release_shares(ROSTER, HOLDER, held, frozenset(AGENTS), frozenset(SURVIVORS))


@pytest.mark.parametrize("survivors", [(), AGENTS], ids=["nobody", "one who shared nothing"])
def test_unmasking__survivors_who_are_no_members__cannot_be_made(survivors):
    with pytest.raises(TooFewSurvivors, match="some of the members"):
        PARTY.finish(survivors, AGENTS[1:])

"""Laws of secure aggregation on random federations, vectors, dropouts and orders."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flchain.crypto.secagg import masking, masks, releases, unmasking, weights
from flchain.crypto.secagg.errors import TooFewSurvivors
from flchain.crypto.secagg.masking import decode_words, encode_words, from_words, to_words
from flchain.crypto.secagg.masks import Masks, apply_masks, expand_mask, sum_words
from flchain.crypto.secagg.parameters import compute_parameters
from tests.unit.crypto.secagg_round import make_party

LAWS = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
PARTIES = [make_party(5, 2), make_party(9, 4), make_party(16, 3, 6)]
INT32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def rounds(draw):
    """Draw a party, its members, its survivors, all as the rules allow."""
    party = draw(st.sampled_from(PARTIES))
    agents, most = party.agents, 1 if len(party.agents) == 16 else 2
    away = draw(st.sets(st.sampled_from(agents), max_size=most))
    members = [agent for agent in agents if agent not in away]
    dropped = draw(st.sets(st.sampled_from(members), max_size=most))
    survivors = [agent for agent in members if agent not in dropped]
    return party, members, draw(st.permutations(survivors))


@LAWS
@given(rounds(), st.integers(0, 40), st.integers(0, 2**32))
def test_unmask__whoever_drops_out__gives_the_plain_sum(drawn, size, seed):
    party, members, survivors = drawn
    try:
        releases.check_survivors(party.roster, frozenset(members), frozenset(survivors))
    except TooFewSurvivors:
        return
    rng = np.random.default_rng(seed)
    inputs = {agent: rng.integers(-(2**31), 2**31, size, dtype=np.int32) for agent in survivors}
    masked = {agent: party.mask(agent, to_words(inputs[agent]), members) for agent in survivors}
    told = {holder: party.release(holder, survivors, members) for holder in survivors}
    total = party.unmask(masked, told, members)
    expected = sum(int64(inputs[agent]) for agent in survivors)
    assert np.array_equal(int64(total), expected % 2**32)
    assert unmasking.find_bad_shares(party.finish(survivors, members), told) == {}


def int64(values):
    return values.astype(np.int64)


@LAWS
@given(rounds())
def test_release__whoever_drops_out__tells_one_share_of_each_neighbour(drawn):
    party, members, survivors = drawn
    holder = survivors[0]
    try:
        told = party.release(holder, survivors, members)
    except TooFewSurvivors:
        return
    owners = [share.owner for share in told.shares]
    assert len(set(owners)) == len(owners)
    neighbours = party.roster.graph.neighbours[holder]
    assert set(owners) == set(neighbours) & set(members)
    for share in told.shares:
        is_self = share.secret is releases.Secret.SELF_MASK
        assert is_self == (share.owner in survivors)
    message = releases.encode_release(party.roster.round_key, holder, told)
    assert releases.decode_release(party.roster, holder, message) == told


@given(st.lists(INT32, max_size=30))
def test_words__of_any_integers__are_read_back(values):
    array = np.array(values, np.int32)
    words = to_words(array)
    assert np.array_equal(from_words(words), array)
    assert np.array_equal(decode_words(encode_words(words), len(words)), words)


@given(
    st.lists(st.binary(min_size=16, max_size=16), max_size=6),
    st.lists(st.binary(min_size=16, max_size=16), max_size=6),
    st.integers(0, 100),
)
def test_masks__in_any_order__give_the_same_vector(added, subtracted, size):
    forwards, backwards = np.zeros(size, "<u4"), np.zeros(size, "<u4")
    apply_masks(forwards, Masks(tuple(added), tuple(subtracted)))
    apply_masks(backwards, Masks(tuple(added[::-1]), tuple(subtracted[::-1])))
    assert np.array_equal(forwards, backwards)
    one_by_one = sum_words([expand_mask(key, size) for key in added], size)
    one_by_one -= sum_words([expand_mask(key, size) for key in subtracted], size)
    assert np.array_equal(forwards, one_by_one)


@LAWS
@given(
    st.lists(st.binary(min_size=16, max_size=16), max_size=9),
    st.lists(st.binary(min_size=16, max_size=16), max_size=9),
    st.sampled_from([0, masks._HEAD, masks._BLOCK, masks._HEAD + masks._BLOCK]),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_masks__in_any_order_by_any_number_of_threads__give_the_same_vector(
    added, subtracted, border, more, random
):
    vector = np.arange(border + more, dtype="<u4")
    expected = vector.copy()
    apply_masks(expected, Masks(tuple(added), tuple(subtracted)))
    for threads in (1, 2, 3, 7):
        random.shuffle(added)
        random.shuffle(subtracted)
        masked = vector.copy()
        apply_masks(masked, Masks(tuple(added), tuple(subtracted)), threads=threads)
        assert masked.tobytes() == expected.tobytes()


@LAWS
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6),
    st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=9),
    st.sampled_from([1, masks._HEAD, masks._BLOCK]),
    st.randoms(use_true_random=False),
)
def test_unmask__vectors_in_any_order_by_any_number_of_threads__gives_the_same_sum(
    seeds, keys, size, random
):
    vectors = [
        np.random.default_rng(seed).integers(0, 2**32, size, dtype=np.uint32) for seed in seeds
    ]
    corrections = Masks(subtracted=tuple(keys))
    expected = unmasking.unmask(vectors, corrections, size)
    one_by_one = sum_words([*vectors], size) - sum_words(
        [expand_mask(key, size) for key in keys], size
    )
    assert np.array_equal(expected, one_by_one)
    for threads in (1, 2, 3, 7):
        random.shuffle(vectors)
        found = unmasking.unmask(iter(vectors), corrections, size, threads=threads)
        assert found.tobytes() == expected.tobytes()


@LAWS
@given(rounds(), st.integers(0, 40), st.sampled_from([2, 3, 7]))
def test_mask__by_any_number_of_threads__gives_the_same_vector(drawn, size, threads):
    party, members, survivors = drawn
    agent, words = survivors[0], np.arange(size, dtype="<u4")
    arguments = (party.roster, agent, party.secrets[agent], frozenset(members), words)
    expected = masking.mask_input(*arguments)
    assert np.array_equal(masking.mask_input(*arguments, threads=threads), expected)
    assert np.array_equal(words, np.arange(size))


@given(
    st.lists(st.tuples(st.integers(1, 255), st.integers(0, 2**256 - 1)), min_size=1, max_size=20)
)
def test_weights__summed_word_by_word__open_to_the_sums(openings):
    vectors = [
        weights.append_weight(np.zeros(1, np.int32), weights.Opening(*opening))
        for opening in openings
    ]
    total = weights.split_sum(sum_words(vectors, len(vectors[0])))
    assert total.weight == sum(weight for weight, _ in openings)
    blindings = sum(blinding for _, blinding in openings)
    assert weights.join_blinding(total.limbs, 2**300) == blindings


@given(st.integers(3, 64), st.integers(0, 3000), st.integers(0, 3000))
def test_parameters__of_a_small_federation__leave_room_between_corrupt_and_live(
    agents, corruption, dropout
):
    found = compute_parameters(agents, corruption, dropout)
    assert found.degree == agents - 1
    assert found.lowest == agents * corruption // 10_000 + 1
    assert found.highest == found.degree - agents * dropout // 10_000
    assert found.lowest <= found.highest

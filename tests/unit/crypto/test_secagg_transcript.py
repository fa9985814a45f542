"""What everybody sees of a round uncovers no smaller sum than the survivors'.

A masked vector gives itself away once its own mask and all its pair masks are known; several do
once every mask that they do not have in common with each other alone is. The transcript here is
every release; whoever holds t shares of a secret has the secret.
"""

import itertools

import numpy as np
import pytest

from flchain.crypto.secagg.masking import build_masks, to_words
from flchain.crypto.secagg.masks import Masks, apply_masks
from flchain.crypto.secagg.releases import ReleasedShare, Secret
from tests.unit.crypto.secagg_round import compute_excess, make_inputs, make_party
from tests.unit.crypto.secagg_transcripts import (
    count_shares,
    find_doubly_told,
    find_uncovered,
    list_strict_subsets,
    sample_subsets,
)

SMALL = make_party(6, 3)
LARGE = make_party(50, 9, 14)


def make_transcript(party, survivors):
    return [(holder, party.release(holder, survivors).shares) for holder in party.agents]


def plant_double_release(party, transcript, owner, times):
    """Let some holders tell the other share of one owner too, as a release cannot."""
    planted = list(transcript)
    holders = party.roster.graph.neighbours[owner][:times]
    for holder in holders:
        pair = party.open_shares(holder)[owner]
        extra = (
            ReleasedShare(owner, Secret.MASKING, pair.masking),
            ReleasedShare(owner, Secret.SELF_MASK, pair.self_mask),
        )
        planted.append((holder, extra))
    return planted


@pytest.mark.parametrize("count", [4, 5, 6])
def test_transcript__of_six__covers_every_strict_subset(count):
    for survivors in itertools.combinations(SMALL.agents, count):
        counts = count_shares(make_transcript(SMALL, survivors))
        assert find_doubly_told(SMALL, counts) == set()
        subsets = list_strict_subsets(survivors)
        assert len(subsets) == 2**count - 2
        assert find_uncovered(SMALL, counts, subsets, set(survivors)) == []


def test_transcript__of_fifty__covers_sampled_subsets():
    rng = np.random.default_rng(3)
    dropped = set(rng.choice(LARGE.agents, 5, replace=False))
    survivors = [agent for agent in LARGE.agents if agent not in dropped]
    counts = count_shares(make_transcript(LARGE, survivors))
    assert find_doubly_told(LARGE, counts) == set()
    subsets = sample_subsets(survivors, rng, 300)
    assert find_uncovered(LARGE, counts, subsets, set(survivors)) == []


@pytest.mark.parametrize("party", [SMALL, LARGE], ids=["six", "fifty"])
def test_transcript__with_enough_double_releases__is_found_out(party):
    survivors = party.agents
    victim, threshold = survivors[0], party.roster.threshold
    clean = make_transcript(party, survivors)
    counts = count_shares(plant_double_release(party, clean, victim, threshold))
    assert find_doubly_told(party, counts) == {victim}
    alone = [frozenset({victim})]
    assert find_uncovered(party, counts, alone, set(survivors)) == alone


def test_transcript__with_double_releases_below_the_threshold__still_covers():
    victim, threshold = SMALL.agents[0], SMALL.roster.threshold
    clean = make_transcript(SMALL, SMALL.agents)
    counts = count_shares(plant_double_release(SMALL, clean, victim, threshold - 1))
    assert find_doubly_told(SMALL, counts) == set()
    subsets = list_strict_subsets(SMALL.agents)
    assert find_uncovered(SMALL, counts, subsets, set(SMALL.agents)) == []


def peel(party, agent, words, known):
    """Return the masked vector without its own mask and those shared with `known`."""
    members = frozenset(party.agents)
    masked = party.mask(agent, words)
    mine = build_masks(party.roster, agent, party.secrets[agent], members)
    theirs = set()
    for other in known:
        masks = build_masks(party.roster, other, party.secrets[other], members)
        theirs |= {*masks.added, *masks.subtracted}
    own = mine.added[0]
    apply_masks(
        masked,
        Masks(
            tuple(key for key in mine.subtracted if key in theirs),
            tuple(key for key in mine.added if key in theirs or key == own),
        ),
    )
    return masked


def test_masked_vector__all_masks_but_one_known__looks_uniform():
    agent, hidden = SMALL.agents[0], SMALL.agents[3]
    words = to_words(np.full(20_000, 12_345, np.int32))
    known = [other for other in SMALL.agents if other not in {agent, hidden}]
    left = peel(SMALL, agent, words, known)
    counts = np.bincount(left.view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4
    # The test sees what it should: with the last mask known the vector lies open.
    assert np.array_equal(peel(SMALL, agent, words, [*known, hidden]), words)


def test_sum_of_a_strict_subset__own_masks_known__looks_uniform():
    inputs = make_inputs(SMALL.agents, 20_000)
    subset = SMALL.agents[:4]
    total = np.zeros(20_000, "<u4")
    for agent in subset:
        total += peel(SMALL, agent, to_words(inputs[agent]), [])
    counts = np.bincount(total.view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4

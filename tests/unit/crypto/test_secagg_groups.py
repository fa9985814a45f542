"""Groups of one round: each is masked and unmasked alone, and all together are the plain sum."""

from itertools import combinations, product

import numpy as np
import pytest

from flchain.crypto.secagg import keys, shares
from flchain.crypto.secagg.errors import NoParameters, TooFewShares
from flchain.crypto.secagg.graph import split_agents
from flchain.crypto.secagg.masking import from_words, to_words
from flchain.crypto.secagg.roster import Neighbourhood, build_grouped_roster
from tests.unit.crypto.secagg_round import (
    CONTEXT,
    GRAPH_SEED,
    Party,
    address,
    digest,
    make_context,
    make_inputs,
)

AGENTS = [address(number) for number in range(9)]
FEWEST, THRESHOLD = 3, 2


@pytest.fixture(scope="module", name="divided")
def make_divided():
    """Return a party in two groups of five and four, and the groups."""
    groups = split_agents(AGENTS, 2, GRAPH_SEED)
    seeds = {agent: digest("seed", agent) for agent in AGENTS}
    secrets = {agent: keys.derive_secrets(seeds[agent], make_context(agent)) for agent in AGENTS}
    public = {agent: keys.get_public_keys(secrets[agent]) for agent in AGENTS}
    parts = [Neighbourhood(group, len(group) - 1) for group in groups]
    roster = build_grouped_roster(CONTEXT, public, GRAPH_SEED, groups=parts, threshold=THRESHOLD)
    sharings = {
        agent: shares.deal_shares(roster, agent, secrets[agent], seeds[agent]) for agent in AGENTS
    }
    return Party(roster, seeds, secrets, sharings), groups


def list_survivors(group):
    members = sorted(group)
    for count in range(FEWEST, len(members) + 1):
        yield from combinations(members, count)


def unmask_group(party, group, survivors, inputs):
    masked = {agent: party.mask(agent, to_words(inputs[agent]), group) for agent in survivors}
    released = {holder: party.release(holder, survivors, group) for holder in group}
    return from_words(party.unmask(masked, released, group)).astype(np.int64)


def test_sums__any_survivors_of_each_group__are_those_of_the_plain_integers(divided):
    party, groups = divided
    inputs = make_inputs(AGENTS, 40)
    sums = [
        {some: unmask_group(party, group, some, inputs) for some in list_survivors(group)}
        for group in groups
    ]
    for first, second in product(*sums):
        total = sums[0][first] + sums[1][second]
        expected = sum(inputs[agent].astype(np.int64) for agent in (*first, *second))
        assert np.array_equal(total, expected)


def test_masks__of_a_group__have_nothing_of_another(divided):
    party, groups = divided
    inputs = make_inputs(AGENTS, 40)
    agent = min(groups[0])
    everybody = frozenset(AGENTS)
    words = to_words(inputs[agent])
    assert np.array_equal(party.mask(agent, words, groups[0]), party.mask(agent, words, everybody))
    assert set(party.open_shares(agent, everybody)) == groups[0] - {agent}


def test_releases__of_another_group__restore_nothing(divided):
    party, groups = divided
    inputs = make_inputs(AGENTS, 40)
    first, second = groups
    masked = {agent: party.mask(agent, to_words(inputs[agent]), first) for agent in first}
    others = {holder: party.release(holder, second, second) for holder in second}
    with pytest.raises(TooFewShares):
        party.unmask(masked, others, first)


def test_roster__group_too_small_for_the_threshold__is_refused():
    parts = [
        Neighbourhood(frozenset(AGENTS[:6]), 5),
        Neighbourhood(frozenset(AGENTS[6:]), 2),
    ]
    with pytest.raises(NoParameters, match="3 of 2 neighbours"):
        build_grouped_roster(CONTEXT, {}, GRAPH_SEED, groups=parts, threshold=3)
    assert build_grouped_roster(CONTEXT, {}, GRAPH_SEED, groups=parts, threshold=2).keys == {}

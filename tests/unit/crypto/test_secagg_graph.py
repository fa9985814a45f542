"""Neighbours follow from a seed that nobody chooses, and from nothing else."""

from collections import Counter

import pytest

from flchain.crypto.secagg.errors import NoParameters
from flchain.crypto.secagg.graph import build_graph, shuffle
from flchain.crypto.secagg.roster import build_roster
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.secagg_round import (
    CONTEXT,
    GRAPH_SEED,
    OTHER_ROUND,
    address,
    compute_excess,
    digest,
)

AGENTS = [address(number) for number in range(30)]
KEY = CONTEXT.round_key


def test_graph__of_any_order_of_agents__is_the_same():
    graph = build_graph(AGENTS, 6, KEY, GRAPH_SEED)
    assert build_graph(reversed(AGENTS), 6, KEY, GRAPH_SEED) == graph
    assert list(graph.agents) == sorted(AGENTS, key=str.lower)


def test_graph__on_a_circle__is_symmetric_regular_and_sorted():
    graph = build_graph(AGENTS, 6, KEY, GRAPH_SEED)
    for agent, neighbours in graph.neighbours.items():
        assert len(set(neighbours)) == 6
        assert agent not in neighbours
        assert list(neighbours) == sorted(neighbours, key=str.lower)
        assert all(agent in graph.neighbours[other] for other in neighbours)


@pytest.mark.parametrize(
    ("key", "seed"), [(KEY, digest("another seed")), (OTHER_ROUND, GRAPH_SEED)]
)
def test_graph__of_another_seed_or_round__is_another(key, seed):
    assert build_graph(AGENTS, 6, key, seed) != build_graph(AGENTS, 6, KEY, GRAPH_SEED)


def test_graph__of_degree_one_less_than_agents__is_complete():
    graph = build_graph(AGENTS, 29, KEY, GRAPH_SEED)
    assert all({agent, *others} == set(AGENTS) for agent, others in graph.neighbours.items())


def test_shuffle__word_beyond_the_last_multiple__is_skipped():
    # 2^64 - 1 would favour the low places of three.
    assert shuffle("abc", iter([2**64 - 1, 0, 0])) == shuffle("abc", iter([0, 0]))


def test_shuffle__over_many_seeds__gives_every_order_as_often():
    orders = Counter(
        build_graph(AGENTS[:5], 2, KEY, digest(number)).neighbours[AGENTS[0]]
        for number in range(1200)
    )
    assert len(orders) == 6
    assert compute_excess(orders.values()) < 4


def test_graph__places__count_all_agents_from_one():
    graph = build_graph(AGENTS, 4, KEY, GRAPH_SEED)
    assert [graph.places[agent] for agent in graph.agents] == list(range(1, 31))


def test_index__of_a_neighbour__counts_from_zero():
    graph = build_graph(AGENTS, 4, KEY, GRAPH_SEED)
    agent = AGENTS[3]
    indices = [graph.get_index(agent, other) for other in graph.neighbours[agent]]
    assert indices == [0, 1, 2, 3]


def test_index__of_a_stranger__is_refused():
    graph = build_graph(AGENTS, 2, KEY, GRAPH_SEED)
    stranger = next(a for a in AGENTS if a not in graph.neighbours[AGENTS[0]])
    for dealer in (AGENTS[0], address("nobody")):
        with pytest.raises(EncodingError, match="no neighbour"):
            graph.get_index(dealer, stranger)


@pytest.mark.parametrize("degree", [-2, 0, 3, 30, 32])
def test_graph__of_an_impossible_degree__is_refused(degree):
    with pytest.raises(EncodingError, match="cannot have"):
        build_graph(AGENTS, degree, KEY, GRAPH_SEED)


@pytest.mark.parametrize(
    ("agents", "seed", "reason"),
    [
        (AGENTS, GRAPH_SEED[:-1], "32 bytes"),
        ([*AGENTS, AGENTS[0].lower()], GRAPH_SEED, "twice"),
        ([*AGENTS, "0x12"], GRAPH_SEED, "no address"),
        ([*AGENTS, "ab" * 20], GRAPH_SEED, "no address"),
    ],
)
def test_graph__of_malformed_arguments__is_refused(agents, seed, reason):
    with pytest.raises(EncodingError, match=reason):
        build_graph(agents, 6, KEY, seed)


@pytest.mark.parametrize("threshold", [0, 7])
def test_roster__threshold_out_of_range__is_refused(threshold):
    keys = dict.fromkeys(AGENTS)
    with pytest.raises(NoParameters, match="cannot restore"):
        build_roster(CONTEXT, keys, GRAPH_SEED, degree=6, threshold=threshold)


def test_roster__context_of_an_agent__is_the_round_as_that_agent():
    roster = build_roster(CONTEXT, dict.fromkeys(AGENTS), GRAPH_SEED, degree=6, threshold=3)
    assert roster.get_context(AGENTS[4]).agent == AGENTS[4]
    assert roster.round_key == CONTEXT.round_key

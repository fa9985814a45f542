"""Who shares masks with whom: a graph that nobody chooses.

The agents in ascending order of address are shuffled (Fisher-Yates, from the last place down) by a
stream SHA-256("flchain/secagg/v1/graph" || round key || seed || u64 counter), read as 64-bit
big-endian numbers; a number at or above the largest multiple of the range is skipped, so that all
orders are equally likely. Each agent's neighbours are the k/2 on either side in that circle. The
seed must be fixed after the keys are.

Agents may be divided into groups, with such a graph for each: nobody has a neighbour in another
group, so that masks cancel and secrets are shared within one. The agents, in ascending order, are
then shuffled by the stream SHA-256("flchain/secagg/v1/groups" || seed || u64 counter) and cut into
runs whose lengths differ by one at most, longer ones first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from flchain.crypto.secagg.agents import sort_agents
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest

SEED_SIZE = 32
_DOMAIN = b"flchain/secagg/v1/graph"
_GROUPS_DOMAIN = b"flchain/secagg/v1/groups"
_WORD = 8
_RANGE = 1 << (8 * _WORD)


@dataclass(frozen=True, slots=True)
class Graph:
    """Each agent's neighbours, in ascending order of address."""

    neighbours: Mapping[Address, tuple[Address, ...]]
    places: Mapping[Address, int]
    """Where polynomials are evaluated for each agent: its number among all, from 1."""

    @property
    def agents(self) -> tuple[Address, ...]:
        """Everybody, in ascending order of address."""
        return tuple(self.neighbours)

    def get_index(self, agent: Address, other: Address) -> int:
        """Return the other's position among the agent's neighbours, from 0.

        Raises EncodingError if they are no neighbours.
        """
        neighbours = self.neighbours.get(agent, ())
        if other not in neighbours:
            raise EncodingError(f"secure aggregation: {other} is no neighbour of {agent}")
        return neighbours.index(other)


def build_graph(agents: Iterable[Address], degree: int, round_key: Digest, seed: bytes) -> Graph:
    """Return the graph: complete if `degree` is one less than the agents, else a circle.

    Raises EncodingError on agents named twice, on a degree that is odd or too large, and on a seed
    of another length than 32 bytes.
    """
    ordered = sort_agents(agents)
    if len(seed) != SEED_SIZE or len(round_key) != SEED_SIZE:
        raise EncodingError(f"graph: seed and round key have {SEED_SIZE} bytes each")
    if degree == len(ordered) - 1:
        return _number({agent: _leave_out(ordered, agent) for agent in ordered})
    if not 0 < degree < len(ordered) or degree % 2:
        raise EncodingError(f"graph: {len(ordered)} agents cannot have {degree} neighbours each")
    circle = shuffle(ordered, _draw_words(_DOMAIN + round_key + seed))
    steps = [step for step in range(-(degree // 2), degree // 2 + 1) if step]
    found = {
        agent: sort_agents(circle[(place + step) % len(circle)] for step in steps)
        for place, agent in enumerate(circle)
    }
    return _number({agent: found[agent] for agent in ordered})


def join_graphs(graphs: Iterable[Graph]) -> Graph:
    """Return one graph of agents none of whom is in two of the graphs.

    Places count all agents: they are what they would be in one graph. Raises EncodingError if an
    agent is in two.
    """
    found = [item for graph in graphs for item in graph.neighbours.items()]
    neighbours = dict(found)
    ordered = sort_agents(agent for agent, _ in found)
    return _number({agent: neighbours[agent] for agent in ordered})


def split_agents(
    agents: Iterable[Address], count: int, seed: bytes
) -> tuple[frozenset[Address], ...]:
    """Return the agents in `count` groups that nobody chose, all of them with members.

    Raises EncodingError on agents named twice, on more groups than agents, and on a seed of another
    length than 32 bytes, which must be the round's alone.
    """
    ordered = sort_agents(agents)
    if len(seed) != SEED_SIZE or not 0 < count <= len(ordered):
        raise EncodingError(f"graph: {len(ordered)} agents cannot make {count} groups")
    shuffled = shuffle(ordered, _draw_words(_GROUPS_DOMAIN + seed))
    least, longer = divmod(len(shuffled), count)
    ends = [(place + 1) * least + min(place + 1, longer) for place in range(count)]
    starts = [0, *ends[:-1]]
    return tuple(frozenset(shuffled[start:end]) for start, end in zip(starts, ends, strict=True))


def shuffle(items: Sequence[Address], words: Iterator[int]) -> list[Address]:
    """Return the items in the order that a stream of uniform 64-bit numbers gives them."""
    shuffled = list(items)
    for last in range(len(shuffled) - 1, 0, -1):
        other = _draw_below(last + 1, words)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return shuffled


def _draw_below(bound: int, words: Iterator[int]) -> int:
    limit = _RANGE - _RANGE % bound
    return next(word for word in words if word < limit) % bound


def _draw_words(key: bytes) -> Iterator[int]:
    counter = 0
    while True:
        block = sha256(key + counter.to_bytes(_WORD, "big")).digest()
        for start in range(0, len(block), _WORD):
            yield int.from_bytes(block[start : start + _WORD], "big")
        counter += 1


def _number(neighbours: Mapping[Address, tuple[Address, ...]]) -> Graph:
    return Graph(neighbours, {agent: place for place, agent in enumerate(neighbours, start=1)})


def _leave_out(agents: Sequence[Address], agent: Address) -> tuple[Address, ...]:
    return tuple(other for other in agents if other != agent)

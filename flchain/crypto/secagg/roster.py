"""What everybody knows once keys are fixed: who, with which keys, beside whom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flchain.crypto.secagg.errors import NoParameters
from flchain.crypto.secagg.graph import Graph, build_graph, join_graphs
from flchain.crypto.secagg.keys import PublicKeys
from flchain.crypto.sigma.statements import Context
from flchain.protocol.types import Address, Digest


@dataclass(frozen=True, slots=True)
class Roster:
    """One round's agents; `threshold` shares restore a secret, `context` is any agent's."""

    context: Context
    threshold: int
    graph: Graph
    keys: Mapping[Address, PublicKeys]

    @property
    def round_key(self) -> Digest:
        """The round's domain value."""
        return self.context.round_key

    def get_context(self, agent: Address) -> Context:
        """Return where and as whom an agent's proofs count."""
        return replace(self.context, agent=agent)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Agents with a graph of their own, in which each has `degree` neighbours."""

    agents: frozenset[Address]
    degree: int


def build_roster(
    context: Context,
    keys: Mapping[Address, PublicKeys],
    seed: bytes,
    *,
    degree: int,
    threshold: int,
    agents: Iterable[Address] | None = None,
) -> Roster:
    """Return the roster of agents whose keys have been collected, all in one graph.

    `context` is any agent's in this round, `seed` the graph's, fixed after the keys. `agents` has
    those too who joined but whose keys cannot be had or are not valid: they have places in the
    graph, so that it is the same for everybody, and get no shares.

    Raises NoParameters unless 0 < threshold <= degree.
    """
    everybody = frozenset(keys if agents is None else agents)
    groups = (Neighbourhood(everybody, degree),)
    return build_grouped_roster(context, keys, seed, groups=groups, threshold=threshold)


def build_grouped_roster(
    context: Context,
    keys: Mapping[Address, PublicKeys],
    seed: bytes,
    *,
    groups: Sequence[Neighbourhood],
    threshold: int,
) -> Roster:
    """Return the roster of agents in groups, whose threshold is the same.

    Raises NoParameters unless 0 < threshold <= degree in each.
    """
    least = min(group.degree for group in groups)
    if not 0 < threshold <= least:
        raise NoParameters(
            f"secure aggregation: {threshold} of {least} neighbours cannot restore a secret"
        )
    key = context.round_key
    graph = join_graphs(build_graph(each.agents, each.degree, key, seed) for each in groups)
    return Roster(context, threshold, graph, keys)

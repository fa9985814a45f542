"""What a set of released shares uncovers: the arithmetic of a round's transcript.

A masked vector gives itself away once its own mask and all its pair masks are known; several do
once every mask that they do not have in common with each other alone is. A transcript is every
share that anybody has told; whoever holds t shares of a secret has the secret.
"""

import itertools
from collections import Counter, defaultdict

from flchain.crypto.secagg.releases import Secret


def count_shares(transcript):
    """Return how many holders have told a share of each (owner, secret)."""
    told = defaultdict(set)
    for holder, shares in transcript:
        for share in shares:
            told[share.owner, share.secret].add(holder)
    return Counter({key: len(holders) for key, holders in told.items()})


def find_double_holders(transcript):
    """Return (holder, owner) where one holder has told both shares of one owner."""
    kinds = defaultdict(set)
    for holder, shares in transcript:
        for share in shares:
            kinds[holder, share.owner].add(share.secret)
    return {pair for pair, found in kinds.items() if len(found) == len(Secret)}


def find_doubly_told(roster, counts):
    """Return agents of whom both secrets can be restored."""
    return {
        agent
        for agent in roster.graph.agents
        if all(counts[agent, secret] >= roster.threshold for secret in Secret)
    }


def is_covered(roster, counts, subset, survivors):
    """Return whether a pair mask with a survivor outside the subset stays unknown."""
    threshold, graph = roster.threshold, roster.graph
    return any(
        counts[inside, Secret.MASKING] < threshold and counts[outside, Secret.MASKING] < threshold
        for inside in subset
        for outside in graph.neighbours[inside]
        if outside in survivors and outside not in subset
    )


def find_uncovered(roster, counts, subsets, survivors):
    """Return the strict subsets that have a neighbour outside and no unknown mask with one."""
    return [
        subset
        for subset in subsets
        if has_outside(roster, subset, survivors)
        and not is_covered(roster, counts, subset, survivors)
    ]


def has_outside(roster, subset, survivors):
    """Return whether somebody in the subset has a surviving neighbour outside."""
    neighbours = roster.graph.neighbours
    return any(
        other in survivors and other not in subset
        for agent in subset
        for other in neighbours[agent]
    )


def list_strict_subsets(survivors):
    """Return every subset but the empty and the whole one."""
    return [
        frozenset(subset)
        for size in range(1, len(survivors))
        for subset in itertools.combinations(survivors, size)
    ]


def sample_subsets(survivors, rng, count):
    """Return all single survivors, and random subsets."""
    agents = list(survivors)
    random = [
        frozenset(rng.choice(agents, rng.integers(1, len(agents)), replace=False))
        for _ in range(count)
    ]
    return [*map(frozenset, zip(agents)), *random]

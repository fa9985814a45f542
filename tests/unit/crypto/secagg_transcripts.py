"""What a transcript of releases uncovers: whoever holds t shares of a secret has the secret.

`party` is anything with a `roster` and its `agents`; a transcript is what each holder told.
"""

import itertools
from collections import Counter, defaultdict

from flchain.crypto.secagg.releases import Secret


def count_shares(transcript):
    """Return how many places of each (owner, secret) have been told."""
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


def find_doubly_told(party, counts):
    """Return agents of whom both secrets can be restored."""
    threshold = party.roster.threshold
    return {
        agent
        for agent in party.agents
        if all(counts[agent, secret] >= threshold for secret in Secret)
    }


def is_covered(party, counts, subset, survivors):
    """Return whether a pair mask with a survivor outside the subset stays unknown."""
    threshold, graph = party.roster.threshold, party.roster.graph
    return any(
        counts[inside, Secret.MASKING] < threshold and counts[outside, Secret.MASKING] < threshold
        for inside in subset
        for outside in graph.neighbours[inside]
        if outside in survivors and outside not in subset
    )


def find_uncovered(party, counts, subsets, survivors):
    return [
        subset
        for subset in subsets
        if has_outside(party, subset, survivors)
        and not is_covered(party, counts, subset, survivors)
    ]


def has_outside(party, subset, survivors):
    neighbours = party.roster.graph.neighbours
    return any(
        other in survivors and other not in subset
        for agent in subset
        for other in neighbours[agent]
    )


def list_strict_subsets(survivors):
    return [
        frozenset(subset)
        for size in range(1, len(survivors))
        for subset in itertools.combinations(survivors, size)
    ]


def sample_subsets(survivors, rng, count):
    # Runs along the circle have the fewest neighbours outside, so they are the hardest.
    agents = list(survivors)
    random = [
        frozenset(rng.choice(agents, rng.integers(1, len(agents)), replace=False))
        for _ in range(count)
    ]
    return [*map(frozenset, zip(agents)), *random]

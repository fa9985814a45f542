"""How many neighbours, and how many of them restore a secret: computed, never guessed.

Of n agents at most a share gamma is corrupt and at most a share delta drops out; each has k random
neighbours, of whom t restore its secrets. With h(C, i) the hypergeometric chance that i of k
neighbours, drawn from n - 1, are among C marked ones, the bounds are

    n * sum of h(floor(gamma * n), i) for i >= t       <= 2^-40   nobody's secrets are learnt
    n * sum of h(floor(delta * n), i) for i > k - t    <= 2^-20   nobody's secrets are lost
    n * (gamma + delta)^(k / 2)                        <= 2^-40   the honest stay connected

(J. Bell et al., "Secure single-server aggregation with (poly)logarithmic overhead", CCS 2020, with
the set of survivors the same for everybody). All sums are exact integers: a bound that fails by one
part in a million fails.

The first bound is lower than that paper's, (k + corrupt neighbours) / 2, because there is one
survivor set, which everybody reads from the same final block: nobody can be told another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import comb

from flchain.crypto.secagg.errors import CapacityExceeded, NoParameters
from flchain.protocol.policy.capacity import is_within_capacity
from flchain.protocol.types import Bps

PRIVACY_BITS = 40
LIVENESS_BITS = 20
COMPLETE_UP_TO = 64
"""With so many agents or fewer everybody is everybody's neighbour."""
MAX_AGENTS = 1 << 16
_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Parameters:
    """Neighbours of each agent, and the thresholds that keep the bounds.

    The lowest survives most dropouts, the highest most corruption.
    """

    degree: int
    lowest: int
    highest: int

    @property
    def threshold(self) -> int:
        """The highest: what the promised dropouts leave over goes to privacy."""
        return self.highest


@lru_cache(maxsize=64)
def compute_parameters(agents: int, corruption: Bps, dropout: Bps) -> Parameters:
    """Return the smallest degree for which there is a threshold, and the thresholds.

    Up to 64 agents, and wherever no smaller one will do, it is n - 1: the complete graph, where
    the number of corrupt neighbours is known for certain. Raises NoParameters if that fails too.
    """
    if not 1 < agents <= MAX_AGENTS or corruption < 0 or dropout < 0:
        raise NoParameters(f"secure aggregation: 2 to {MAX_AGENTS} agents, not {agents}")
    for degree in _list_degrees(agents, corruption + dropout):
        lowest = _find_lowest(agents, degree, agents * corruption // _WHOLE)
        highest = _find_highest(agents, degree, agents * dropout // _WHOLE)
        if lowest <= highest:
            return Parameters(degree, lowest, highest)
    raise NoParameters(
        f"secure aggregation: no threshold for {agents} agents of whom {corruption / 100:g} % are "
        f"corrupt and {dropout / 100:g} % drop out; admit more agents or promise less"
    )


def check_capacity(agents: int, bound: int, max_weight: int) -> None:
    """Refuse sums that may leave 32 bits: agents * bound * max_weight must be below 2^31.

    `bound` is the largest magnitude of an unweighted coordinate. Raises CapacityExceeded.
    """
    if not is_within_capacity(agents, max_weight, bound):
        raise CapacityExceeded(
            f"secure aggregation: {agents} agents x bound {bound} x weight {max_weight} reach "
            "2^31; lower one of them, or quantise more coarsely"
        )


def _list_degrees(agents: int, lost: int) -> Iterator[int]:
    if agents > COMPLETE_UP_TO:
        for half in range(1, agents // 2):
            if agents * lost**half << PRIVACY_BITS <= _WHOLE**half:
                yield 2 * half
    yield agents - 1


def _find_lowest(agents: int, degree: int, corrupt: int) -> int:
    """Return the lowest t that so many corrupt agents miss, as good as always."""
    tails = _compute_tails(agents - 1, corrupt, degree)
    limit = comb(agents - 1, degree)
    return next(t for t, tail in enumerate(tails) if agents * tail << PRIVACY_BITS <= limit)


def _find_highest(agents: int, degree: int, dropped: int) -> int:
    """Return the highest t that is left when so many agents drop out, as good as always."""
    tails = _compute_tails(agents - 1, dropped, degree)
    limit = comb(agents - 1, degree)
    lost = next(i for i, tail in enumerate(tails) if agents * tail << LIVENESS_BITS <= limit)
    return degree - lost + 1


def _compute_tails(population: int, marked: int, drawn: int) -> list[int]:
    """Return, for i from 0 to drawn + 1, in how many draws at least i are marked."""
    counts = [comb(marked, i) * comb(population - marked, drawn - i) for i in range(drawn, -1, -1)]
    return [*reversed([*accumulate(counts)]), 0]

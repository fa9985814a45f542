"""Who takes part in a masked round, with which keys and beside whom: everybody gets the same.

The graph is over all who joined on chain. Keys and weights are behind digests, so somebody may not
have them, or have ones that are not valid: such an agent keeps its place and gets no shares.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from flchain.crypto.secagg.graph import SEED_SIZE
from flchain.crypto.secagg.keys import PublicKeys, decode_keys
from flchain.crypto.secagg.parameters import COMPLETE_UP_TO, Parameters, compute_parameters
from flchain.crypto.secagg.roster import Neighbourhood, Roster, build_grouped_roster
from flchain.crypto.secagg.weights import WeightCommitment, decode_weight, verify_weight
from flchain.crypto.sigma.statements import Context as ProofContext
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Bps, Digest, Phase
from flchain.roles.masked.blobs import Messages, Origin, split_join
from flchain.roles.terms import Terms
from flchain.storage.errors import ContentCorrupt

_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Joined:
    """What an agent proved when it joined."""

    keys: PublicKeys
    weight: WeightCommitment


@dataclass
class JoinReader:
    """Reads the messages of JOIN of one round and remembers them; a missing one is asked again."""

    messages: Messages
    found: dict[Address, Joined] = field(default_factory=dict)
    refused: dict[Address, str] = field(default_factory=dict)
    """What is wrong with messages that are here, which no waiting will change."""

    def read_all(self, digests: Mapping[Address, Digest]) -> frozenset[Address]:
        """Read what has not been read; return whose message is still missing."""
        unknown = digests.keys() - self.found.keys() - self.refused.keys()
        return frozenset(agent for agent in unknown if not self._read(agent, digests[agent]))

    def _read(self, agent: Address, digest: Digest) -> bool:
        try:
            data = self.messages.fetch(agent, Phase.JOIN, digest)
            most = self.messages.terms.policy.update.w_max
            self.found[agent] = decode_join(data, most, self.messages.origin.bind(agent))
        except (AdapterError, ContentCorrupt):
            # What a store altered another may have whole.
            return False
        except (EncodingError, ProofError) as error:
            self.refused[agent] = str(error)
        return True


@lru_cache(maxsize=4096)
def decode_join(data: bytes, max_weight: int, context: ProofContext) -> Joined:
    """Return the keys and the weight in untrusted bytes, both proofs checked.

    The same bytes are checked once in a process, however many roles read them. Raises
    EncodingError or ProofError.
    """
    keys, weight = split_join(data)
    proven = decode_keys(keys, context)
    commitment = decode_weight(weight, max_weight, context)
    verify_weight(commitment, max_weight, context)
    return Joined(proven.keys, commitment)


def choose_graphs(policy: Policy, sizes: Collection[int]) -> tuple[dict[int, int], int]:
    """Return how many neighbours agents in groups of these sizes have, and how many shares restore.

    One threshold serves all groups: the highest that keeps the bounds in each. Where there is none
    each graph is complete, in which the policy's own threshold keeps them for certain.
    """
    if len(set(sizes)) == 1:
        degree, threshold = choose_graph(policy, max(sizes))
        return {max(sizes): degree}, threshold
    chosen = {size: choose_range(policy, size) for size in sizes}
    highest = min(each.highest for each in chosen.values())
    if max(sizes) > COMPLETE_UP_TO and highest >= max(each.lowest for each in chosen.values()):
        return {size: each.degree for size, each in chosen.items()}, highest
    return {size: size - 1 for size in sizes}, policy.masking.threshold


def choose_graph(policy: Policy, agents: int) -> tuple[int, int]:
    """Return how many neighbours each of so many agents has, and how many shares restore.

    Raises NoParameters if a sparse graph cannot keep its bounds.
    """
    if agents <= COMPLETE_UP_TO:
        return agents - 1, policy.masking.threshold
    chosen = choose_range(policy, agents)
    return chosen.degree, chosen.threshold


def choose_range(policy: Policy, agents: int) -> Parameters:
    """Return the neighbours of each of so many agents, and the thresholds that keep the bounds.

    Raises NoParameters if a sparse graph cannot keep them.
    """
    masking = policy.masking
    if agents <= COMPLETE_UP_TO:
        return Parameters(agents - 1, masking.max_corrupt + 1, policy.min_survivors - 1)
    corruption = Bps(-(-masking.max_corrupt * _WHOLE // agents))
    dropout = Bps(-(-max(agents - policy.min_survivors, 0) * _WHOLE // agents))
    return compute_parameters(agents, corruption, dropout)


def build_round_roster(
    terms: Terms,
    origin: Origin,
    joined: Mapping[Address, Digest],
    keys: Mapping[Address, PublicKeys],
    *,
    seed: Digest,
    groups: Sequence[frozenset[Address]] = (),
) -> Roster:
    """Return the roster of a round; `seed` is the anchor of SHARES, which nobody chose.

    `joined` has all who joined on chain, `keys` those of them that are known, and `groups` how they
    are divided; without any they are all in one.
    """
    divided = groups or (frozenset(joined),)
    degrees, threshold = choose_graphs(terms.policy, [len(group) for group in divided])
    return build_grouped_roster(
        origin.bind(min(joined)),
        {agent: keys[agent] for agent in joined if agent in keys},
        seed[:SEED_SIZE],
        groups=[Neighbourhood(group, degrees[len(group)]) for group in divided],
        threshold=threshold,
    )

"""A round of secure aggregation that any test can take apart, made from one number."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from eth_utils.address import to_checksum_address

from flchain.crypto.secagg import keys, masking, releases, shares, unmasking
from flchain.crypto.secagg.roster import build_roster
from flchain.crypto.secagg.shares import SharePair
from flchain.crypto.secp256k1 import ORDER
from flchain.crypto.shamir import evaluate_polynomial
from flchain.crypto.sigma.statements import Context

GRAPH_SEED = hashlib.sha256(b"graph").digest()


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).digest()


def address(number):
    return to_checksum_address(digest("agent", number)[:20])


CONTEXT = Context(
    chain_id=31337,
    contract=address("contract"),
    round_key=digest("round"),
    agent=address(0),
)
OTHER_ROUND = digest("another round")


@dataclass(frozen=True, eq=False, repr=False)
class Party:
    """Everybody's secrets and messages; members are all unless a test says otherwise."""

    roster: object
    seeds: dict
    secrets: dict
    sharings: dict

    def __repr__(self):
        return f"{len(self.agents)} agents, threshold {self.roster.threshold}"

    @property
    def agents(self):
        return self.roster.graph.agents

    def open_shares(self, holder, members=None):
        return {
            dealer: open_unchecked(self, holder, dealer)
            for dealer in self.roster.graph.neighbours[holder]
            if dealer in (members or self.agents)
        }

    def release(self, holder, survivors, members=None):
        members = frozenset(members or self.agents)
        held = self.open_shares(holder, members)
        return releases.release_shares(self.roster, holder, held, members, frozenset(survivors))

    def mask(self, agent, words, members=None):
        members = frozenset(members or self.agents)
        return masking.mask_input(self.roster, agent, self.secrets[agent], members, words)

    def finish(self, survivors, members=None):
        sharings = {agent: self.sharings[agent] for agent in members or self.agents}
        return unmasking.Unmasking(self.roster, sharings, frozenset(survivors))

    def unmask(self, masked, released, members=None):
        ending = self.finish(masked, members)
        restored = unmasking.restore_secrets(ending, released)
        corrections = unmasking.build_corrections(ending, restored)
        size = len(next(iter(masked.values())))
        return unmasking.unmask(masked.values(), corrections, size)


def open_unchecked(party, holder, dealer):
    """Return a share from the dealer's own polynomials, which takes no product."""
    place = party.roster.graph.places[holder]
    polynomials = shares.draw_polynomials(
        party.roster, dealer, party.secrets[dealer], party.seeds[dealer]
    )
    values = (evaluate_polynomial(polynomial, place, ORDER) for polynomial in polynomials)
    return SharePair(*values)


@lru_cache(maxsize=8)
def make_party(count, threshold, degree=None, context=CONTEXT):
    agents = [address(number) for number in range(count)]
    contexts = {agent: make_context(agent, context) for agent in agents}
    seeds = {agent: digest("seed", agent) for agent in agents}
    secrets = {agent: keys.derive_secrets(seeds[agent], contexts[agent]) for agent in agents}
    public = {agent: keys.get_public_keys(secrets[agent]) for agent in agents}
    roster = build_roster(
        context, public, GRAPH_SEED, degree=degree or count - 1, threshold=threshold
    )
    sharings = {
        agent: shares.deal_shares(roster, agent, secrets[agent], seeds[agent]) for agent in agents
    }
    return Party(roster, seeds, secrets, sharings)


def make_context(agent, context=CONTEXT):
    return Context(
        chain_id=context.chain_id,
        contract=context.contract,
        round_key=context.round_key,
        agent=agent,
    )


def make_inputs(agents, size, seed=7):
    rng = np.random.default_rng(seed)
    return {agent: rng.integers(-(2**20), 2**20, size, dtype=np.int32) for agent in agents}


def flip_bit(data, at=-1):
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def compute_excess(counts):
    """Return how many standard deviations chi-square is above what uniform counts give."""
    mean = sum(counts) / len(counts)
    statistic = sum((count - mean) ** 2 for count in counts) / mean
    freedom = len(counts) - 1
    return (statistic - freedom) / (2 * freedom) ** 0.5

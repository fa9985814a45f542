"""Whole rounds of secure aggregation in one process, for benchmarks/secagg.py to time."""

import os
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from eth_utils.address import to_checksum_address

from flchain.crypto.commitments import Opening
from flchain.crypto.secagg import keys, masking, masks, releases, shares, unmasking, weights
from flchain.crypto.secagg.releases import Release
from flchain.crypto.secagg.roster import Roster, build_roster
from flchain.crypto.secagg.rounding import Rounding, round_vector
from flchain.crypto.secagg.shares import SharePair, Sharing
from flchain.crypto.secp256k1 import ORDER
from flchain.crypto.shamir import evaluate_polynomial
from flchain.crypto.sigma.statements import Context
from flchain.protocol.types import ZERO_ADDRESS, Address, Digest

SHIFT = 16
RULES = Rounding(SHIFT, 1 << 29)
WEIGHT = 1
OPENING = Opening(WEIGHT, 3**150)
CONTEXT = Context(
    chain_id=31337, contract=ZERO_ADDRESS, round_key=Digest(bytes(range(32))), agent=ZERO_ADDRESS
)
POOL = 4


@dataclass(frozen=True)
class Case:
    """One federation; `dropped` agents share their keys and are not heard of again."""

    agents: int
    degree: int
    threshold: int
    size: int
    dropped: int = 0
    seed: int = 1

    @property
    def label(self) -> str:
        """How a row names it."""
        return f"n {self.agents}, k {self.degree}, t {self.threshold}, d {self.size:,}" + (
            f", {self.dropped} dropped" if self.dropped else ""
        )


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, stage: str, function: Any, *arguments: Any) -> Any:
        """Return the function's result and remember how long it took."""
        begun = time.perf_counter()
        result = function(*arguments)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun
        return result


@dataclass(frozen=True)
class Federation:
    """Everybody's secrets and public messages."""

    roster: Roster
    seeds: dict[Address, bytes]
    secrets: dict[Address, keys.Secrets]
    sharings: dict[Address, Sharing]
    messages: dict[Address, bytes]
    """The sharings as they are sent."""

    @property
    def members(self) -> frozenset[Address]:
        """Everybody."""
        return frozenset(self.roster.graph.agents)


def found_federation(case: Case, stages: Stages) -> Federation:
    """Make keys, prove and check them, draw the graph, share."""
    agents = [make_address(number) for number in range(case.agents)]
    seeds = {agent: os.urandom(32) for agent in agents}
    secrets, proven = {}, {}
    for agent in agents:
        context = replace(CONTEXT, agent=agent)
        secrets[agent] = stages.run("setup", keys.derive_secrets, seeds[agent], context)
        proven[agent] = stages.run("setup", keys.prove_keys, secrets[agent], context, seeds[agent])
    public = stages.run("setup", keys.collect_keys, proven, CONTEXT)
    make = partial(build_roster, degree=case.degree, threshold=case.threshold)
    roster = stages.run("setup", make, CONTEXT, public, os.urandom(32))
    sharings = {
        agent: stages.run("share", shares.deal_shares, roster, agent, secrets[agent], seeds[agent])
        for agent in agents
    }
    messages = {
        agent: stages.run("share", shares.encode_sharing, roster, agent, sharing)
        for agent, sharing in sharings.items()
    }
    return Federation(roster, seeds, secrets, sharings, messages)


def make_address(number: int) -> Address:
    """Return some address."""
    return Address(to_checksum_address(number.to_bytes(20, "big")))


def open_shares(federation: Federation, holder: Address) -> dict[Address, SharePair]:
    """Read, open and check all shares for one holder."""
    roster = federation.roster
    sharings = {
        dealer: shares.decode_sharing(roster, dealer, federation.messages[dealer])
        for dealer in roster.graph.neighbours[holder]
    }
    good, bad = shares.open_shares(roster, holder, federation.secrets[holder], sharings)
    if bad:
        sys.exit("the benchmark has dealt bad shares")
    return good


def mask_update(
    federation: Federation,
    agent: Address,
    vector: Any,
    rules: Rounding,
    rng: Any,
    *,
    threads: int = 1,
) -> bytes:
    """Quantise, weigh, mask and encode."""
    rounded = round_vector(vector, rules, rng)
    rounded *= WEIGHT
    words = weights.append_weight(rounded, OPENING)
    del rounded
    secrets = federation.secrets[agent]
    keyed = masking.build_masks(federation.roster, agent, secrets, federation.members)
    masks.apply_masks(words, keyed, threads=threads)
    return masking.encode_words(words)


def run_ours(case: Case) -> dict[str, float]:
    """Run one whole aggregation and check its sum to the bit."""
    stages, rng = Stages(), np.random.default_rng(case.seed)
    federation = found_federation(case, stages)
    agents = federation.roster.graph.agents
    held = {agent: stages.run("check", open_shares, federation, agent) for agent in agents}
    rules = Rounding(SHIFT, 1 << 29)
    expected, mean = np.zeros(case.size, np.int64), np.zeros(case.size)
    sent = {}
    for agent in agents[case.dropped :]:
        vector = rng.standard_normal(case.size, np.float32)
        sent[agent] = stages.run("mask", mask_update, federation, agent, vector, rules, rng)
        mean += vector
    for agent, data in sent.items():
        expected += unmask_alone(federation, agent, data, case.size)
    size = case.size + weights.TAIL
    vectors = (masking.decode_words(data, size) for data in sent.values())
    total = stages.run("sum", masks.sum_words, vectors, size)
    survivors = frozenset(sent)
    told = {
        agent: stages.run(
            "unmask",
            releases.release_shares,
            federation.roster,
            agent,
            held[agent],
            federation.members,
            survivors,
        )
        for agent in sent
    }
    found = stages.run("unmask", finish, federation, survivors, told, total)
    if not np.array_equal(found.update, expected):
        sys.exit(f"{case.label}: the sum is wrong")
    error = np.abs(found.update / (1 << SHIFT) / len(sent) - mean / len(sent)).max()
    return {**stages.seconds, "error": float(error), "bytes": len(sent[agents[-1]]) / case.size}


def unmask_alone(federation: Federation, agent: Address, data: bytes, size: int) -> Any:
    """Return one agent's integers with its own keys, to check the sum with."""
    words = masking.decode_words(data, size + weights.TAIL).copy()
    mine = masking.build_masks(
        federation.roster, agent, federation.secrets[agent], federation.members
    )
    masks.apply_masks(words, masks.Masks(mine.subtracted, mine.added))
    return masking.from_words(words[:size])


def finish(
    federation: Federation,
    survivors: frozenset[Address],
    told: dict[Address, Release],
    total: masks.Words,
    *,
    threads: int = 1,
) -> weights.WeightedSum:
    """Restore the secrets and take all masks off, in place."""
    ending = unmasking.Unmasking(federation.roster, federation.sharings, survivors)
    restored = unmasking.restore_secrets(ending, told)
    corrections = unmasking.build_corrections(ending, restored)
    masks.apply_masks(total, corrections, threads=threads)
    return weights.split_sum(total)


def tell_all(federation: Federation, survivors: frozenset[Address]) -> dict[Address, Release]:
    """Return the survivors' releases, with shares straight from the dealers' polynomials."""
    roster, polynomials = federation.roster, {}
    for dealer in roster.graph.agents:
        polynomials[dealer] = shares.draw_polynomials(
            roster, dealer, federation.secrets[dealer], federation.seeds[dealer]
        )
    told = {}
    for holder in survivors:
        held = {}
        place = roster.graph.places[holder]
        for dealer in roster.graph.neighbours[holder]:
            values = (evaluate_polynomial(each, place, ORDER) for each in polynomials[dealer])
            held[dealer] = SharePair(*values)
        wanted = releases.list_wanted(roster, holder, federation.members, survivors)
        told[holder] = Release(
            tuple(
                releases.ReleasedShare(
                    owner,
                    secret,
                    held[owner].self_mask
                    if secret is releases.Secret.SELF_MASK
                    else held[owner].masking,
                )
                for owner, secret in wanted.items()
            )
        )
    return told


def check_sum(
    federation: Federation, survivors: frozenset[Address], told: dict[Address, Release]
) -> None:
    """Run a round of short vectors and exit if its sum is wrong."""
    rng, size = np.random.default_rng(3), 100
    inputs = {agent: rng.integers(-1000, 1000, size, dtype=np.int32) for agent in survivors}
    words = [
        masking.mask_input(
            federation.roster,
            agent,
            federation.secrets[agent],
            federation.members,
            weights.append_weight(inputs[agent], OPENING),
        )
        for agent in survivors
    ]
    total = masks.sum_words(words, size + weights.TAIL)
    found = finish(federation, survivors, told, total)
    if not np.array_equal(found.update, sum(inputs.values())):
        sys.exit("the simulation's sum is wrong")


def prepare_client(federation: Federation, agent: Address) -> None:
    """Do all that one client does before it masks."""
    context = federation.roster.get_context(agent)
    secrets = keys.derive_secrets(federation.seeds[agent], context)
    keys.prove_keys(secrets, context, os.urandom(32))
    shares.deal_shares(federation.roster, agent, secrets, federation.seeds[agent])
    open_shares(federation, agent)


def make_pool(size: int) -> list[bytes]:
    """Return a few encoded vectors of random words."""
    return [np.random.default_rng(seed).bytes(4 * (size + weights.TAIL)) for seed in range(POOL)]


def run_aggregator(
    federation: Federation,
    survivors: frozenset[Address],
    told: dict[Address, Release],
    pool: list[bytes],
    *,
    threads: int = 1,
) -> None:
    """Do all that the aggregator does, with a vector of the pool for each survivor."""
    words = len(pool[0]) // masks.WORD.itemsize
    vectors = (masking.decode_words(pool[number % POOL], words) for number in range(len(survivors)))
    total = masks.sum_words(vectors, words)
    finish(federation, survivors, told, total, threads=threads)

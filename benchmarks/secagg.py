"""Secure aggregation beside Flower's SecAgg+, stage by stage, and far beyond its sizes.

The peer is flwr 1.41.0 by its own functions (`benchmarks/peers`), in an environment of its own that
`make bench-peers` makes, as a second process with one thread that runs while this one waits. Both
do the same case in turn, with the same graph degree and threshold; figures are medians. "core" is
masking by all clients, quantisation included, the server's sum and unmasking; "whole" adds keys,
sharing and opening of shares. Flower checks no share and proves no key, so that its "whole" does
less.

At 200 and 1,000 agents everything is real but the masked vectors, of which the aggregator gets
random ones; a round of short vectors with the same graph shows that its sum is right.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from eth_utils.address import to_checksum_address
from table import Row, write_results

from flchain.crypto.commitments import Opening
from flchain.crypto.secagg import keys, masking, masks, releases, shares, unmasking, weights
from flchain.crypto.secagg.parameters import compute_parameters
from flchain.crypto.secagg.releases import Release
from flchain.crypto.secagg.roster import Roster, build_roster
from flchain.crypto.secagg.rounding import Rounding, round_vector
from flchain.crypto.secagg.shares import SharePair, Sharing
from flchain.crypto.secp256k1 import ORDER
from flchain.crypto.shamir import evaluate_polynomial
from flchain.crypto.sigma.statements import Context
from flchain.protocol.types import ZERO_ADDRESS, Address, Digest

PEER = Path(__file__).parent / "peers" / "flwr_secagg.py"
PEER_PYTHON = Path(__file__).parent.parent / "build" / "peers" / "flwr" / "bin" / "python"
SHIFT = 16
WEIGHT = 1
OPENING = Opening(WEIGHT, 3**150)
CONTEXT = Context(
    chain_id=31337, contract=ZERO_ADDRESS, round_key=Digest(bytes(range(32))), agent=ZERO_ADDRESS
)
CORE, WHOLE = ("mask", "sum", "unmask"), ("setup", "share", "check", "mask", "sum", "unmask")
SPEED_UP = {100_000: 10, 1_000_000: 7}
"""How many times faster than the peer the core is to be, by size."""
CLIENT_LIMIT, SERVER_LIMIT = 0.2, 5.0
POOL = 4
MEGABYTE = 1_000_000


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


CASES = tuple(
    Case(agents, degree, threshold, size, dropped)
    for agents, degree, threshold, most in ((10, 9, 6, 1), (50, 20, 13, 5))
    for size in (100_000, 1_000_000)
    for dropped in (0, most)
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
    federation: Federation, agent: Address, vector: Any, rules: Rounding, rng: Any
) -> bytes:
    """Quantise, weigh, mask and encode."""
    rounded = round_vector(vector, rules, rng)
    rounded *= WEIGHT
    words = weights.append_weight(rounded, OPENING)
    del rounded
    secrets = federation.secrets[agent]
    masked = masking.mask_input(federation.roster, agent, secrets, federation.members, words)
    return masking.encode_words(masked)


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
) -> weights.WeightedSum:
    """Restore the secrets and take all masks off, in place."""
    ending = unmasking.Unmasking(federation.roster, federation.sharings, survivors)
    restored = unmasking.restore_secrets(ending, told)
    masks.apply_masks(total, unmasking.build_corrections(ending, restored))
    return weights.split_sum(total)


def open_peer() -> subprocess.Popen[str]:
    """Start the peer's process. Exits with advice if its environment is missing."""
    if not PEER_PYTHON.exists():
        sys.exit("benchmarks/secagg.py: run `make bench-peers` first, or give --alone")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        [str(PEER_PYTHON), str(PEER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=alone,
        text=True,
    )


def ask_peer(peer: subprocess.Popen[str], case: Case) -> dict[str, float]:
    """Return the peer's seconds by stage."""
    assert peer.stdin is not None  # noqa: S101 - opened with pipes
    assert peer.stdout is not None  # noqa: S101
    fields = ("agents", "degree", "threshold", "size", "dropped", "seed")
    peer.stdin.write(json.dumps({name: getattr(case, name) for name in fields}) + "\n")
    peer.stdin.flush()
    answer: dict[str, float] = json.loads(peer.stdout.readline())
    return answer


def compare(case: Case, peer: subprocess.Popen[str] | None, repeats: int) -> Iterator[Row]:
    """Yield the rows of one case, each side timed in turn."""
    ours, theirs = [], []
    for number in range(repeats):
        each = replace(case, seed=number)
        ours.append(run_ours(each))
        if peer:
            theirs.append(ask_peer(peer, each))
    limit = compute_median(theirs, CORE)
    yield Row(
        f"core, {case.label}",
        "s",
        compute_median(ours, CORE) or 0.0,
        limit,
        limit and limit / SPEED_UP[case.size],
    )
    yield Row(
        f"whole, {case.label}",
        "s",
        compute_median(ours, WHOLE) or 0.0,
        compute_median(theirs, WHOLE),
    )
    clients = case.agents - case.dropped
    for name, stages, unit, scale in (
        ("  mask, per client", ("mask",), "ms", 1000 / clients),
        ("  sum and unmask", ("sum", "unmask"), "ms", 1000),
        (
            "  keys, shares and checks, per client",
            ("setup", "share", "check"),
            "ms",
            1000 / case.agents,
        ),
        ("  bytes per parameter", ("bytes",), "B", 1),
        ("  largest error of the mean", ("error",), "1e-6", 1e6),
    ):
        mine, other = compute_median(ours, stages) or 0.0, compute_median(theirs, stages)
        yield Row(name, unit, mine * scale, other and other * scale)


def compute_median(runs: list[dict[str, float]], stages: tuple[str, ...]) -> float | None:
    """Return the median over runs of the stages' sum, None without runs."""
    if not runs:
        return None
    return statistics.median(sum(run[stage] for stage in stages) for run in runs)


def simulate(agents: int, sizes: tuple[int, ...], repeats: int) -> Iterator[Row]:
    """Yield a client's and the aggregator's figures at the degree that the bounds ask for."""
    found = compute_parameters(agents, 2000, 1000)
    case = Case(agents, found.degree, found.lowest, 1000, agents // 20)
    stages = Stages()
    federation = found_federation(case, stages)
    ordered = federation.roster.graph.agents
    survivors = frozenset(ordered[case.dropped :])
    told = tell_all(federation, survivors)
    check_sum(federation, survivors, told)
    client = ordered[-1]
    setup = measure(lambda: prepare_client(federation, client), repeats)
    for size in sizes:
        vector = np.random.default_rng(1).standard_normal(size, np.float32)
        rng, rules = np.random.default_rng(2), Rounding(SHIFT, 1 << 29)
        run = partial(mask_update, federation, client, vector, rules, rng)
        name = f"n {agents}, k {found.degree}, t {found.lowest}, d {size:,}"
        masked = measure(run, repeats)
        yield Row(f"client, {name}", "s", setup + masked, None, CLIENT_LIMIT)
        yield Row("  of it keys, shares and checks", "s", setup)
        yield Row("  of it quantising and masking", "s", masked)
        yield Row("  peak memory beside its vector", "MB", measure_peak(run))
        aggregate = partial(run_aggregator, federation, survivors, told, size)
        yield Row(f"aggregator, {name}", "s", measure(aggregate, repeats), None, SERVER_LIMIT)
        yield Row("  peak memory", "MB", measure_peak(aggregate))
    ending = unmasking.Unmasking(federation.roster, federation.sharings, survivors)
    checked = measure(lambda: unmasking.find_bad_shares(ending, told), 1)
    yield Row(f"checking every released share, n {agents}", "s", checked)


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


def run_aggregator(
    federation: Federation,
    survivors: frozenset[Address],
    told: dict[Address, Release],
    size: int,
) -> None:
    """Do all that the aggregator does, on random vectors that it streams."""
    words = size + weights.TAIL
    pool = [np.random.default_rng(seed).bytes(4 * words) for seed in range(POOL)]
    vectors = (masking.decode_words(pool[number % POOL], words) for number in range(len(survivors)))
    total = masks.sum_words(vectors, words)
    finish(federation, survivors, told, total)


def measure(run: Any, repeats: int) -> float:
    """Return the median of a few runs' seconds."""
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def measure_peak(run: Any) -> float:
    """Return megabytes allocated at the worst moment beyond those at the start."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / MEGABYTE


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="leave the peer out")
    parser.add_argument("--quick", action="store_true", help="the smallest cases only")
    arguments = parser.parse_args()
    peer = None if arguments.alone else open_peer()
    cases = CASES[:2] if arguments.quick else CASES
    rows = [row for case in cases for row in compare(case, peer, arguments.repeats)]
    if peer:
        peer.communicate()
    rows += simulate(200, (100_000, 1_000_000), arguments.repeats)
    if not arguments.quick:
        rows += simulate(1000, (1_000_000,), min(arguments.repeats, 3))
    setting = {
        "peer": "none" if arguments.alone else "flwr 1.41.0",
        "numpy": np.__version__,
        "repeats": arguments.repeats,
        "threads": 1,
        "processor": platform.processor() or platform.machine(),
    }
    write_results("secagg", rows, setting)


if __name__ == "__main__":
    main()

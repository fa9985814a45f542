"""Probabilities of drawn committees: a simulation beside the formulas.

Every draw runs the protocol's own functions on random outputs, stage by stage. The first rows say
how likely a seat that votes without the work is caught within so many of its votes. Such a seat
claims no tag or another's; both are always wrong, since a tag is about its voter's own half of the
updates. It is caught if the next seed picks its vote, one in ten, and honest seats of the next
committee make a quorum; lazy ones report nobody. The other rows say how seats follow stake, how
often a stage leaves seats empty, and how often bad seats make a quorum. `peer` is the formula. It
takes each seat for an independent draw; the simulation knows that a validator holds few seats and
that at most 64 validators are in a task, which makes both failures a little rarer.
"""

import argparse
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from table import Row, write_results

from flchain.chain.spec.committees import (
    EXPECTED_PER_SEAT,
    STAGES,
    build_entry,
    compute_cap,
    compute_capacity,
    insert_seats,
    seat_committee,
)
from flchain.chain.spec.evidence import AUDITED_IN, is_audited
from flchain.protocol.digests import compute_quorum
from flchain.protocol.sortition import Electorate, compute_seat, count_seats
from flchain.protocol.types import Address, Digest

UNIT = 1000
"""Weight of the least stake."""
MOST = 64
"""Validators of the largest task."""
WITHIN = (1, 10, 22, 44)
SHARES = (0.1, 0.2, 1 / 3)
STAKES = (0.01, 0.05, 0.1, 0.2)
SIZES = (5, 9, 21, 32)
LAZY_SIZES = ((5, 12), (21, MOST))
FAILURE_SIZES = (5, 7, 15, 21)
DIGEST_SIZE = 32


@dataclass(frozen=True)
class Setup:
    """Seats and the weights of those who may be drawn."""

    seats: int
    weights: tuple[int, ...]

    @property
    def electorate(self) -> Electorate:
        """Return what a draw is checked against."""
        expected = EXPECTED_PER_SEAT * self.seats
        total = sum(self.weights)
        return Electorate(total, len(self.weights), expected, compute_cap(self.seats))


def build_chance(seed: int) -> random.Random:
    """Return what stands for the outputs of honest keys; equal seeds, equal figures."""
    return random.Random(seed)  # noqa: S311 - a simulation, nothing is secret


def fill_committee(setup: Setup, outputs: Sequence[bytes]) -> tuple[dict[int, int], int]:
    """Return the seats of each place, and how many stages left seats empty."""
    electorate, found = setup.electorate, []
    for stage in range(STAGES):
        entries = [
            build_entry(compute_seat(output, index, place), place)
            for place, (weight, output) in enumerate(zip(setup.weights, outputs, strict=True))
            for index in range(count_seats(electorate, weight, output, stage))
        ]
        found = insert_seats([], entries, compute_capacity(setup.seats))
        if len(found) >= setup.seats:
            return seat_committee(found, setup.seats), stage
    return seat_committee(found, setup.seats), STAGES


def draw_committee(setup: Setup, chance: random.Random) -> dict[int, int]:
    """Return the seats of each place in one draw."""
    return fill_committee(setup, [chance.randbytes(DIGEST_SIZE) for _ in setup.weights])[0]


def list_catches(
    setup: Setup, lazy: int, draws: int, chance: random.Random
) -> dict[int, list[bool]]:
    """Return, for each of the `lazy` lowest places, which of its votes were caught."""
    votes: dict[int, list[bool]] = {place: [] for place in range(lazy)}
    before: list[int] = []
    for number in range(draws):
        committee = draw_committee(setup, chance)
        seed, key = (Digest(chance.randbytes(DIGEST_SIZE)) for _ in range(2))
        honest = sum(seats for place, seats in committee.items() if place >= lazy)
        is_quorum = honest >= compute_quorum(setup.seats)
        for place in before:
            validator = Address(f"0x{place + 1:040x}")
            votes[place].append(is_quorum and is_audited(seed, key, number % 2, validator))
        before = [place for place in committee if place < lazy]
    return votes


def compute_caught_within(votes: dict[int, list[bool]], within: int) -> float:
    """Return in what part of all stretches of so many votes at least one was caught."""
    stretches = [
        any(found[start : start + within])
        for found in votes.values()
        for start in range(0, len(found) - within + 1, within)
    ]
    return sum(stretches) / len(stretches) if stretches else math.nan


def measure_lazy(seats: int, validators: int, lazy: int, draws: int) -> list[Row]:
    """Return the rows of one committee and one number of lazy validators."""
    setup = Setup(seats, (UNIT,) * validators)
    votes = list_catches(setup, lazy, draws, build_chance(seats * MOST + lazy))
    able = 1 - compute_binomial_tail(seats, lazy / validators, seats - compute_quorum(seats) + 1)
    label = f"c = {seats}, {lazy} of {validators} lazy: caught within"
    return [
        Row(
            f"{label} {within} votes" if within > 1 else f"{label} 1 vote",
            "probability",
            compute_caught_within(votes, within),
            1 - (1 - able / AUDITED_IN) ** within,
        )
        for within in WITHIN
    ]


def measure_stakes(seats: int, draws: int) -> list[Row]:
    """Return the seats of validators by their share of the stake, and the distinct members."""
    shares = [*STAKES, *[(1 - sum(STAKES)) / (MOST - len(STAKES))] * (MOST - len(STAKES))]
    setup = Setup(seats, tuple(round(share * MOST * UNIT) for share in shares))
    chance, held, members = build_chance(seats), Counter[int](), 0
    for _ in range(draws):
        committee = draw_committee(setup, chance)
        held.update(committee)
        members += len(committee)
    rows = [
        Row(
            f"c = {seats}, seats for {share:.0%} of stake", "a draw", held[i] / draws, seats * share
        )
        for i, share in enumerate(STAKES)
    ]
    return [*rows, Row(f"c = {seats}, distinct members", "a draw", members / draws)]


def measure_failures(seats: int, draws: int) -> list[Row]:
    """Return how often stages leave seats empty, and how often bad seats make a quorum."""
    setup, chance = Setup(seats, (UNIT,) * MOST), build_chance(seats)
    bad = [round(share * MOST) for share in SHARES]
    short: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    for _ in range(draws):
        outputs = [chance.randbytes(DIGEST_SIZE) for _ in setup.weights]
        committee, missed = fill_committee(setup, outputs)
        short.update(range(missed))
        for count in bad:
            held = sum(seats for place, seats in committee.items() if place < count)
            taken[count] += held >= compute_quorum(seats)
    return [
        *(build_short_row(seats, stage, short[stage] / draws) for stage in range(STAGES - 2)),
        *(build_quorum_row(seats, count, taken[count] / draws) for count in bad),
    ]


def build_short_row(seats: int, stage: int, found: float) -> Row:
    """Return how often a stage and those before leave seats empty."""
    expected = EXPECTED_PER_SEAT << stage
    label = f"c = {seats}, too few seats with {expected}c expected"
    return Row(label, "probability", found, compute_poisson_below(seats, expected * seats))


def build_quorum_row(seats: int, bad: int, found: float) -> Row:
    """Return how often `bad` of the most validators hold a quorum."""
    expected = compute_binomial_tail(seats, bad / MOST, compute_quorum(seats))
    label = f"c = {seats}, {bad} of {MOST} bad: they hold a quorum"
    return Row(label, "probability", found, expected)


def compute_binomial_tail(count: int, share: float, least: int) -> float:
    """Return the probability of `least` or more of `count` independent draws."""
    return sum(
        math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(least, count + 1)
    )


def compute_poisson_below(limit: int, mean: float) -> float:
    """Return the probability that a Poisson variable is below `limit`."""
    return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(limit))


def measure(draws: int) -> list[Row]:
    """Return every row."""
    lazy = [
        row
        for seats, validators in LAZY_SIZES
        for count in sorted({1, *(round(share * validators) for share in SHARES)})
        for row in measure_lazy(seats, validators, count, draws)
    ]
    stakes = [row for seats in SIZES for row in measure_stakes(seats, draws)]
    failures = [row for seats in FAILURE_SIZES for row in measure_failures(seats, draws)]
    return [*lazy, *stakes, *failures]


def main() -> None:
    """Simulate everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="per setting")
    arguments = parser.parse_args()
    setting = {"draws": arguments.draws, "audited_in": AUDITED_IN, "stages": STAGES}
    write_results("lazy_committee", measure(arguments.draws), setting)


if __name__ == "__main__":
    main()

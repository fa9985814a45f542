"""Whose proofs a measured call holds: winners that make it do the usual work.

What a call costs depends on luck: how many seats each proof wins, how many roots it needs, how many
zero bytes it has, and how many validators share the committee in the end. Under another seed, and
so with other addresses, all of it is another. The measured calls hold winners of mean luck.
"""

from dataclasses import dataclass
from math import exp, factorial

from flchain.chain.spec.committees import compute_cap, compute_capacity, get_place, insert_seats
from flchain.protocol.records import SeatProof

HOLDERS = {5: 5, 9: 7, 21: 16, 32: 24}
"""Validators who share a committee on average, by its size, if as many winners fill it at once."""
SAMPLES = 3_000
"""Choices among the winners under one seed."""
_MOST_SEATS = 20


@dataclass(frozen=True)
class Win:
    """A validator's proof for a seed, and the entries that it brings."""

    proof: SeatProof
    entries: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What the proofs of a call add up to."""

    entries: int
    roots: int
    zeros: int


def compute_usual_work(proofs, seats):
    """Return the mean over winners, rounded: each wins one seat or more of Poisson(1), capped.

    A root is needed with probability 1/2 again and again, which makes one per proof; so many zero
    bytes are among the 320 of a proof with its root.
    """
    cap, counts = compute_cap(seats), range(1, _MOST_SEATS)
    capped = sum(min(count, cap) / factorial(count) for count in counts)
    return Work(round(proofs * capped / (exp(1) - 1)), proofs, proofs)


def measure_work(win):
    """Return what one winner's proof adds."""
    proof = win.proof.proof
    return Work(len(win.entries), len(proof.roots), count_zeros(proof))


def add_up(works):
    return Work(
        sum(work.entries for work in works),
        sum(work.roots for work in works),
        sum(work.zeros for work in works),
    )


def count_zeros(proof):
    """Return the zero bytes of a proof's random words: in calldata they cost less than others."""
    values = [getattr(proof, name) for name in proof.__slots__ if name != "gamma_parity"]
    words = [word for value in values for word in (value if isinstance(value, tuple) else (value,))]
    return b"".join(word.to_bytes(32, "big") for word in words).count(0)


def is_usual(proof):
    """Return whether a proof costs what most do."""
    return len(proof.roots) == 1 and count_zeros(proof) == 1


def is_listed(wins, seats):
    """Return whether each of the wins, one after another, comes onto the list."""
    listed = []
    for win in wins:
        longer = insert_seats(listed, list(win.entries), compute_capacity(seats))
        if longer == listed:
            return False
        listed = longer
    return True


def count_holders(wins, seats):
    """Return how many validators the lowest entries seat; zero where they do not fill all seats."""
    entries = sorted(entry for win in wins for entry in win.entries)[:seats]
    return len({get_place(entry) for entry in entries}) if len(entries) == seats else 0


def find_usual_wins(wins, proofs, seats, random, *, is_filling):
    """Return `proofs` of the wins that do the usual work, in order; None if no choice does.

    Those that fill the committee seat the usual number of validators, too.
    """
    if len(wins) < proofs:
        return None
    usual, works = compute_usual_work(proofs, seats), [measure_work(win) for win in wins]
    for _ in range(SAMPLES):
        places = sorted(random.sample(range(len(wins)), proofs))
        if add_up([works[place] for place in places]) != usual:
            continue
        chosen = [wins[place] for place in places]
        is_right = not is_filling or count_holders(chosen, seats) == HOLDERS[seats]
        if is_right and is_listed(chosen, seats):
            return chosen
    return None

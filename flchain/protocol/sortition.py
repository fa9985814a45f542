"""Sortition: from a VRF output to seats, in integers alone; equal to `Sortition.sol`.

A member with weight w of a total W wins Poisson(tau w / W) seats: the output's upper half is
looked up in that distribution's cumulative sum. Each seat has a score, and the lowest scores sit.
Too few proofs raise the threshold from tau to 2 tau, 4 tau and then to everybody, with the same
outputs, so that nothing is drawn again and nothing can be ground.
"""

from dataclasses import dataclass

from eth_utils.crypto import keccak

from flchain.protocol.digests import encode_abi
from flchain.protocol.types import Address, Digest, RoundId, TaskId

DRAW_LABEL = "flchain.vrf.v1"
POSSESSION_LABEL = "flchain.vrf.pop.v1"
EVERYBODY = 3
"""The highest level; level l below it multiplies the expected number of seats by 2^l."""
ONE = 1 << 128
"""1 in the fixed point of probabilities, 128 fractional bits."""
RATE_BITS = 64
"""Fractional bits of a rate, the expected number of seats of one member."""
LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF
"""floor(ln 2 * 2^128)."""
TERMS = 20
MEMBER_BITS = 16
SCORE_BITS = 48


@dataclass(frozen=True, slots=True)
class Electorate:
    """Whom a committee is drawn from, and how many seats are expected.

    `total` is the sum of all weights, zero for an unweighted draw among `members`; `expected` is
    tau, `cap` the most seats that one identity may win.
    """

    total: int
    members: int
    expected: int
    cap: int


def compute_cap(seats: int) -> int:
    """Return the most seats of a committee that one identity may hold: below c / 3, but one."""
    return max((seats - 1) // 3, 1)


def count_seats(electorate: Electorate, weight: int, output: bytes, level: int = 0) -> int:
    """Return how many seats an output wins at a level; never fewer than at a lower one."""
    beta = int.from_bytes(output, "big")
    raises = [electorate.expected << step for step in range(min(level, EVERYBODY - 1) + 1)]
    if electorate.total == 0:
        seats = max(_count_unweighted(beta, electorate.members, tau) for tau in raises)
    else:
        rates = ((tau * weight << RATE_BITS) // electorate.total for tau in raises)
        seats = max(count_poisson(beta >> 128, rate, electorate.cap) for rate in rates)
    is_everybody = level >= EVERYBODY and (weight > 0 or electorate.total == 0)
    return max(seats, 1) if is_everybody else seats


def count_poisson(uniform: int, rate: int, cap: int) -> int:
    """Return the seats at which the cumulative Poisson probability exceeds `uniform`.

    `uniform` is in [0, 2^128), `rate` has 64 fractional bits and is below 2^80; `cap` ends it.
    """
    probability = compute_exp(rate)
    cumulative, seats = probability, 0
    while seats < cap and uniform >= cumulative:
        seats += 1
        probability = probability * rate // (seats << RATE_BITS)
        cumulative += probability
    return seats


def compute_exp(rate: int) -> int:
    """Return exp(-rate / 2^64) * 2^128, for a rate in [0, 2^80).

    With k and r such that rate = k ln 2 + r and 0 <= r < ln 2 it is 2^-k times the 20 first terms
    of the series of exp(-r), by Horner's rule, each division rounded down. The result is off by
    less than 2^-76 of itself plus 2^-127: the first left-out term is below r^21 / 21! < 2^-76.5,
    floor(ln 2 * 2^128) adds k 2^-128 and the roundings add a few 2^-128 more.
    """
    shift, rest = divmod(rate << RATE_BITS, LN2)
    total = ONE
    for term in range(TERMS, 0, -1):
        total = ONE - total * rest // (term << 128)
    return total >> shift


def compute_seat(output: bytes, index: int, member: int) -> int:
    """Return seat `index` of an output as 64 bits: 48 of its score, then the member's number.

    Seats are compared as numbers: scores first; 16 bits number the members of one draw.
    """
    digest = keccak(output + index.to_bytes(32, "big"))
    score = int.from_bytes(digest, "big") >> 256 - SCORE_BITS
    return score << MEMBER_BITS | member


def get_member(seat: int) -> int:
    """Return the number of the member whose seat this is."""
    return seat & (1 << MEMBER_BITS) - 1


def get_score(seat: int) -> int:
    """Return a seat's score, 48 bits: the lowest sit."""
    return seat >> MEMBER_BITS


def draw_message(
    chain_id: int,
    registry: Address,
    task_id: TaskId,
    number: RoundId,
    *,
    role: int,
    attempt: int,
    seed: Digest,
) -> Digest:
    """Return alpha, what a member proves to win seats: no field of it is the member's choice.

    `role` keeps the draws of one attempt apart.
    """
    types = ("string", "uint256", "address", "uint64", "uint32", "uint8", "uint8", "bytes32")
    values = (DRAW_LABEL, chain_id, registry, task_id, number, role, attempt, seed)
    return Digest(keccak(encode_abi(types, values)))


def possession_message(chain_id: int, registry: Address, account: Address) -> Digest:
    """Return what an account proves with a VRF key to register it: that it holds the secret."""
    types = ("string", "uint256", "address", "address")
    return Digest(keccak(encode_abi(types, (POSSESSION_LABEL, chain_id, registry, account))))


def _count_unweighted(beta: int, members: int, expected: int) -> int:
    return int(beta * members < expected << 256)

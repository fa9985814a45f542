"""Words that count for 32 submissions or places at a time, in the way of `Attestations.sol`."""

from flchain.protocol.digests import LANES, WORD

ATTESTERS_SHIFT = 248
_PLANES = 7
_TAG_MASK = (1 << 24) - 1


def add_lanes(word: int, tag: int, bits: int) -> int:
    """Count each lane in `bits` once more; a word of another round counts as empty."""
    result = word if word >> WORD & _TAG_MASK == tag else tag << WORD
    carry, shift = bits, 0
    while carry:
        lane = result >> shift
        result ^= carry << shift
        carry &= lane
        shift += LANES
    return result


def fill_lanes(tag: int, bits: int, count: int, attesters: int) -> int:
    """Return a word of a round in which the lanes in `bits` count `count`."""
    planes = sum(bits << plane * LANES for plane in range(_PLANES) if count >> plane & 1)
    return attesters << ATTESTERS_SHIFT | tag << WORD | planes

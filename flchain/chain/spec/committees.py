"""The seats of a draw: a list in the order of their scores, and who sits."""

from bisect import insort

from flchain.protocol.sortition import compute_cap as compute_third

STAGES = 4
SEED_WINDOWS = 3
"""Windows, as long as a stage, in which a seed may arrive. Then every active validator sits."""
EXPECTED_PER_SEAT = 2
"""Seats that the first stage's draw gives on average for each seat of the committee."""
LARGEST_COUNT = 15
"""Most seats of one validator that the committee's word can hold."""
LEADERS = 3
COUNT_BITS = 4
"""Bits of the committee's word for each place."""
PLACE_BITS = 6
_DROPPED_BITS = 38


def compute_capacity(seats: int) -> int:
    """Return the length of the list for a committee of `seats`: half as many are in reserve."""
    return seats + (seats + 1) // 2


def compute_cap(seats: int) -> int:
    """Return the most seats that one validator may hold: below c / 3, at most 15, but one."""
    return min(compute_third(seats), LARGEST_COUNT)


def pack_committee(committee: dict[int, int]) -> int:
    """Return the seats held by each place as one word."""
    return sum(count << COUNT_BITS * place for place, count in committee.items())


def get_weight(word: int, place: int) -> int:
    """Return the seats that `place` holds in a committee's word."""
    return word >> COUNT_BITS * place & LARGEST_COUNT


def build_entry(seat: int, place: int) -> int:
    """Return a drawn seat as the list has it: 26 bits of its score, then the place.

    Two scores may share these bits; the lower place is first then.
    """
    return seat >> _DROPPED_BITS << PLACE_BITS | place


def get_place(entry: int) -> int:
    """Return the place of a seat's holder."""
    return entry & (1 << PLACE_BITS) - 1


def find_leaders(seats: list[int]) -> int:
    """Return the first three holders on a list, each as its place plus one, eight bits each."""
    found = list(dict.fromkeys(get_place(seat) for seat in seats))[:LEADERS]
    return sum(place + 1 << 8 * rank for rank, place in enumerate(found))


def seat_committee(seats: list[int], size: int) -> dict[int, int]:
    """Return how many of the `size` lowest seats each place holds."""
    places = [get_place(seat) for seat in seats[:size]]
    return {place: places.count(place) for place in places}


def insert_seats(seats: list[int], won: list[int], capacity: int) -> list[int]:
    """Return the lowest `capacity` of the seats and those won, in order."""
    longer = list(seats)
    for seat in won:
        if seat not in longer:
            insort(longer, seat)
            del longer[capacity:]
    return longer

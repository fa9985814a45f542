"""Sharing a secret so that any t shares restore it and fewer say nothing about it.

The secret is a random polynomial's value at 0, a share its value at another place (A. Shamir, "How
to share a secret", CACM 1979). All numbers are in a prime field whose size is `order`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from flchain.crypto.scalars import is_scalar
from flchain.protocol.errors import EncodingError


def evaluate_polynomial(coefficients: Sequence[int], place: int, order: int) -> int:
    """Return the polynomial's value; coefficients begin with the constant term, the secret.

    Raises EncodingError for place 0, where the secret itself is, and places not below the order.
    """
    _check_place(place, order)
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * place + coefficient) % order
    return total


def interpolate_secret(shares: Mapping[int, int], order: int) -> int:
    """Return the value at 0 of the least polynomial through `shares`, from place to value.

    The caller makes sure that they are as many as the threshold: fewer give a wrong number, not an
    error. Raises EncodingError if there are none, or a place or value is out of range.
    """
    _check_shares(shares, order)
    product = math.prod(shares)
    # The places are small, so that everything but the last line stays in exact small integers.
    lowers = {
        place: place * math.prod(other - place for other in shares if other != place)
        for place in shares
    }
    multiple = math.lcm(*lowers.values())
    total = sum(value * (multiple // lowers[place]) for place, value in shares.items())
    return total * product * pow(multiple, -1, order) % order


def interpolate_polynomial(shares: Mapping[int, int], order: int) -> tuple[int, ...]:
    """Return the coefficients of the least polynomial through `shares`, as many as shares.

    Newton's divided differences. Raises EncodingError as `interpolate_secret` does.
    """
    _check_shares(shares, order)
    places, differences = list(shares), list(shares.values())
    for level in range(1, len(places)):
        for i in range(len(places) - 1, level - 1, -1):
            inverse = _invert(places[i] - places[i - level], order)
            differences[i] = (differences[i] - differences[i - 1]) * inverse % order
    coefficients = [differences[-1]]
    for place, difference in zip(places[-2::-1], differences[-2::-1], strict=True):
        shifted = [0, *coefficients]
        for i, coefficient in enumerate(coefficients):
            shifted[i] = (shifted[i] - place * coefficient) % order
        shifted[0] = (shifted[0] + difference) % order
        coefficients = shifted
    return tuple(coefficients)


@lru_cache(maxsize=4096)
def _invert(difference: int, order: int) -> int:
    """Return an inverse; the differences of small places are few."""
    return pow(difference, -1, order)


def _check_place(place: int, order: int) -> None:
    if not 0 < place < order:
        raise EncodingError(f"share: its place must be above 0 and below the order, not {place}")


def _check_shares(shares: Mapping[int, int], order: int) -> None:
    if not shares:
        raise EncodingError("shares: none given, at least one is needed")
    for place, value in shares.items():
        _check_place(place, order)
        if not is_scalar(value, order):
            raise EncodingError("share: its value must be at least 0 and below the order")

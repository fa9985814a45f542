"""Shares on secp256k1 that their receiver can check, alone and at once.

The dealer publishes C_k = c_k * G for each coefficient; a share s at place x is right just when s *
G = sum of x^k * C_k (P. Feldman, FOCS '87). C_0 is the secret's public key, so that the secret is
hidden only as far as logarithms are hard: use it for secrets that are keys.
"""

import math
from collections.abc import Sequence
from itertools import compress

from coincurve import PublicKey

from flchain.crypto.backend import Backend
from flchain.crypto.groups import INFINITY, Point
from flchain.crypto.scalars import is_scalar
from flchain.crypto.secp256k1 import GENERATOR, ORDER, get_group
from flchain.protocol.errors import EncodingError

_MAX_LIST = 36
_MAX_REPEATED = 1 << 13
_UNCOMPRESSED = b"\x04"
_HALF = 32


def commit_polynomial(
    coefficients: Sequence[int], backend: Backend = Backend.FAST
) -> tuple[Point, ...]:
    """Return the commitment to each coefficient.

    Raises EncodingError unless each is in [1, order): a zero would be seen to be one.
    """
    if not all(is_scalar(each, ORDER) and each for each in coefficients):
        raise EncodingError("polynomial: coefficients must be above 0 and below the order")
    group = get_group(backend)
    return tuple(group.multiply(GENERATOR, each) for each in coefficients)


def verify_share(
    commitments: Sequence[Point], place: int, share: int, backend: Backend = Backend.FAST
) -> bool:
    """Return whether `share` is the committed polynomial's value at `place`.

    False for a share that is not reduced. The commitments must be points of the curve.
    """
    if not is_scalar(share, ORDER):
        return False
    expected = evaluate_commitments(commitments, place, backend)
    return get_group(backend).multiply(GENERATOR, share) == expected


def verify_shares(
    commitments: Sequence[Sequence[Point]],
    place: int,
    shares: Sequence[int],
    weights: Sequence[int],
    backend: Backend = Backend.FAST,
) -> bool:
    """Return whether all shares at one place, each of its own polynomial, seem right.

    All polynomials have as many commitments. What is checked is the sum of the equations, each
    times its weight: with weights of b bits that whoever made the shares cannot know, wrong ones
    pass with a chance of 2^-b. False says that at least one is wrong.
    """
    if not all(is_scalar(share, ORDER) for share in shares):
        return False
    total = sum(weight * share for weight, share in zip(weights, shares, strict=True)) % ORDER
    columns = list(zip(*commitments, strict=True))
    if backend is Backend.FAST:
        try:
            summed = _sum_columns(columns, weights)
        except ValueError:
            return False
    else:
        summed = [get_group(backend).sum_products(column, weights) for column in columns]
    expected = evaluate_commitments(summed, place, backend)
    return get_group(backend).multiply(GENERATOR, total) == expected


def evaluate_commitments(
    commitments: Sequence[Point], place: int, backend: Backend = Backend.FAST
) -> Point:
    """Return the committed polynomial's value at `place`, times the generator.

    Raises EncodingError unless 0 < place < order and there is a commitment.
    """
    if not commitments or not 0 < place < ORDER:
        raise EncodingError("commitments: at least one, and a place above 0, are needed")
    if backend is Backend.FAST and place <= _MAX_REPEATED and INFINITY not in commitments:
        try:
            return _evaluate_small(commitments, place)
        except ValueError:
            # A partial sum is infinity, which libsecp256k1 cannot say; no honest dealer's is.
            pass
    return _evaluate(commitments, place, backend)


def _evaluate(commitments: Sequence[Point], place: int, backend: Backend) -> Point:
    group, total = get_group(backend), INFINITY
    for commitment in reversed(commitments):
        total = group.add(group.multiply(total, place), commitment)
    return total


def _evaluate_small(commitments: Sequence[Point], place: int) -> Point:
    """Multiply by the place in sums of few points each.

    libsecp256k1 adds a list of points at a hundredth of the price of a product.
    """
    step = math.isqrt(place) if place > _MAX_LIST else 1
    times, rest = divmod(place, step)
    keys = [_to_key(point) for point in commitments]
    total = keys.pop()
    while keys:
        many = PublicKey.combine_keys([total] * step) if step > 1 else total
        total = PublicKey.combine_keys([many] * times + [total] * rest + [keys.pop()])
    return Point(*total.point())


def _sum_columns(columns: Sequence[Sequence[Point]], weights: Sequence[int]) -> Sequence[Point]:
    """Return each column's sum of weight * point, bit by bit from the highest.

    Raises ValueError if a sum on the way is infinity.
    """
    places = reversed(range(max(weights).bit_length()))
    bits = [[weight >> place & 1 for weight in weights] for place in places]
    return [_sum_column([_to_key(point) for point in column], bits) for column in columns]


def _sum_column(keys: Sequence[PublicKey], bits: Sequence[Sequence[int]]) -> Point:
    total: list[PublicKey] = []
    for selected in bits:
        total = [PublicKey.combine_keys([*total, *total, *compress(keys, selected)])]
    return Point(*total[0].point())


def _to_key(point: Point) -> PublicKey:
    """Return the point as libsecp256k1 has it, which checks that it is on the curve."""
    return PublicKey(
        _UNCOMPRESSED + point.x.to_bytes(_HALF, "big") + point.y.to_bytes(_HALF, "big")
    )

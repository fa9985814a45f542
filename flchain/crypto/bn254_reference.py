"""BN254 G1 on py_ecc, the Ethereum Foundation's reference: slow, and nobody's but theirs."""

from collections.abc import Sequence
from typing import Any

from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.optimized_bn128 import optimized_curve as curve

from flchain.crypto.bn254 import ORDER
from flchain.crypto.groups import INFINITY, Point


def add(left: Point, right: Point) -> Point:
    """Return left + right."""
    return _lower(curve.add(_lift(left), _lift(right)))


def negate(point: Point) -> Point:
    """Return -point."""
    return _lower(curve.neg(_lift(point)))


def multiply(point: Point, scalar: int) -> Point:
    """Return scalar * point."""
    return _lower(curve.multiply(_lift(point), scalar % ORDER))


def sum_products(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """Return the sum of scalar * point, one product after another."""
    total: Any = curve.Z1
    for point, scalar in zip(points, scalars, strict=True):
        total = curve.add(total, curve.multiply(_lift(point), scalar % ORDER))
    return _lower(total)


def _lift(point: Point) -> Any:
    if point == INFINITY:
        return curve.Z1
    return FQ(point.x), FQ(point.y), FQ.one()


def _lower(point: Any) -> Point:
    if curve.is_inf(point):
        return INFINITY
    x, y = curve.normalize(point)
    return Point(int(x), int(y))

"""Arithmetic on y^2 = x^3 + b in Jacobian coordinates, for any type of integer.

A point (X, Y, Z) stands for (X / Z^2, Y / Z^3); Z = 0 is infinity. Every result is a remainder of
the modulus, so its type is the modulus's: as gmpy2's `mpz` all of it runs on those, two to three
times as fast as on Python's. The group must have odd order. Not constant time.

Formulas: dbl-2009-l, madd and add of https://hyperelliptic.org/EFD/g1p/auto-shortw-jacobian-0.html.
"""

from collections.abc import Sequence

Jacobian = tuple[int, int, int]
Affine = tuple[int, int]

INFINITY: Jacobian = (1, 1, 0)

_NAF_WIDTH = 5
_MANY = 96
"""From so many products on, buckets take less time than digits along one chain."""


def double(point: Jacobian, p: int) -> Jacobian:
    """Return 2 * point."""
    x, y, z = point
    yy = y * y % p
    d = 4 * x * yy % p
    e = 3 * x * x % p
    x3 = (e * e - 2 * d) % p
    return x3, (e * (d - x3) - 8 * yy * yy) % p, 2 * y * z % p


def add_affine(left: Jacobian, right: Affine, p: int) -> Jacobian:
    """Return left + right, where right is not infinity."""
    x1, y1, z1 = left
    x2, y2 = right
    if not z1:
        return x2, y2, 1
    zz = z1 * z1 % p
    h = (x2 * zz - x1) % p
    r = (y2 * z1 * zz - y1) % p
    if not h:
        return INFINITY if r else double(left, p)
    hh = h * h % p
    hhh = h * hh % p
    v = x1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - y1 * hhh) % p, z1 * h % p


def add(left: Jacobian, right: Jacobian, p: int) -> Jacobian:
    """Return left + right."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    if not z1:
        return right
    if not z2:
        return left
    zz1, zz2 = z1 * z1 % p, z2 * z2 % p
    u1, s1 = x1 * zz2 % p, y1 * z2 * zz2 % p
    h = (x2 * zz1 - u1) % p
    r = (y2 * z1 * zz1 - s1) % p
    if not h:
        return INFINITY if r else double(left, p)
    hh = h * h % p
    hhh = h * hh % p
    v = u1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - s1 * hhh) % p, z1 * z2 * h % p


def to_affine(points: Sequence[Jacobian], p: int) -> list[Affine]:
    """Return affine coordinates with one inversion for all; infinity is (0, 0).

    Montgomery's trick: invert the product, then peel the factors off from the end.
    """
    products = [1]
    for _, _, z in points:
        products.append(products[-1] * (z or 1) % p)
    inverse = pow(products[-1], -1, p)
    found: list[Affine] = []
    for (x, y, z), product in zip(reversed(points), products[-2::-1], strict=True):
        if not z:
            found.append((0, 0))
            continue
        each = inverse * product % p
        inverse = inverse * z % p
        square = each * each % p
        found.append((x * square % p, y * square * each % p))
    return found[::-1]


def multiply_base(table: Sequence[Sequence[Affine]], width: int, scalar: int, p: int) -> Jacobian:
    """Return scalar * base from the base's table, for a scalar that fits the table."""
    total = INFINITY
    for multiples, digit in zip(table, split_windows(scalar, width, len(table)), strict=True):
        if digit:
            x, y = multiples[abs(digit) - 1]
            total = add_affine(total, (x, y if digit > 0 else p - y), p)
    return total


def build_table(base: Affine, width: int, bits: int, p: int) -> list[list[Affine]]:
    """Return 1 to 2^(width-1) times 2^(width * i) * base in row i, for scalars of `bits` bits."""
    rows = bits // width + 1
    half = 1 << (width - 1)
    power: Jacobian = (*base, 1)
    powers = [power]
    for _ in range(rows - 1):
        for _ in range(width):
            power = double(power, p)
        powers.append(power)
    multiples: list[Jacobian] = []
    for step in to_affine(powers, p):
        multiples.append((*step, 1))
        for _ in range(half - 1):
            multiples.append(add_affine(multiples[-1], step, p))
    flat = to_affine(multiples, p)
    return [flat[start : start + half] for start in range(0, len(flat), half)]


def split_windows(scalar: int, width: int, count: int) -> list[int]:
    """Return `count` digits from -2^(width-1) + 1 to 2^(width-1), the lowest first."""
    size, half, digits = 1 << width, 1 << (width - 1), []
    for _ in range(count):
        digit = scalar & (size - 1)
        scalar >>= width
        if digit > half:
            digit -= size
            scalar += 1
        digits.append(digit)
    return digits


def sum_products(points: Sequence[Affine], scalars: Sequence[int], p: int) -> Jacobian:
    """Return the sum of scalar * point; no point is infinity and no scalar negative."""
    if len(points) < _MANY:
        return _interleave(points, scalars, p)
    return _fill_buckets(points, scalars, p)


def _interleave(points: Sequence[Affine], scalars: Sequence[int], p: int) -> Jacobian:
    """Sum with wNAF digits of all scalars along one chain of doublings (Moeller 2001)."""
    length = max((scalar.bit_length() for scalar in scalars), default=0) + 1
    schedule: list[list[Affine]] = [[] for _ in range(length)]
    tables = _build_odd_multiples(points, p)
    for table, scalar in zip(tables, scalars, strict=True):
        for position, digit in _compute_naf(scalar):
            x, y = table[abs(digit) >> 1]
            schedule[position].append((x, y if digit > 0 else p - y))
    total = INFINITY
    for due in reversed(schedule):
        total = double(total, p)
        for point in due:
            total = add_affine(total, point, p)
    return total


def _compute_naf(scalar: int) -> list[tuple[int, int]]:
    """Return positions and odd digits below 2^(width-1) in absolute value, the lowest first."""
    size, half, position, digits = 1 << _NAF_WIDTH, 1 << (_NAF_WIDTH - 1), 0, []
    while scalar:
        zeros = (scalar & -scalar).bit_length() - 1
        scalar >>= zeros
        position += zeros
        digit = scalar & (size - 1)
        digit = digit - size if digit >= half else digit
        digits.append((position, digit))
        scalar -= digit
    return digits


def _build_odd_multiples(points: Sequence[Affine], p: int) -> list[list[Affine]]:
    """Return 1, 3, 5, ... times each point, as far as wNAF digits need."""
    count = 1 << (_NAF_WIDTH - 2)
    multiples: list[Jacobian] = []
    for x, y in points:
        multiples.append((x, y, 1))
        twice = double(multiples[-1], p)
        for _ in range(count - 1):
            multiples.append(add(multiples[-1], twice, p))
    flat = to_affine(multiples, p)
    return [flat[start : start + count] for start in range(0, len(flat), count)]


def _fill_buckets(points: Sequence[Affine], scalars: Sequence[int], p: int) -> Jacobian:
    """Sum by Pippenger's method with signed digits: one bucket for each absolute value."""
    width = max(2, len(points).bit_length() - 3)
    count = max(scalar.bit_length() for scalar in scalars) // width + 1
    rows = [split_windows(scalar, width, count) for scalar in scalars]
    total = INFINITY
    for column in reversed(range(count)):
        for _ in range(width):
            total = double(total, p)
        buckets = [INFINITY] * (1 << (width - 1))
        for (x, y), row in zip(points, rows, strict=True):
            if digit := row[column]:
                place = abs(digit) - 1
                point = (x, y if digit > 0 else p - y)
                buckets[place] = add_affine(buckets[place], point, p)
        total = add(total, _sum_buckets(buckets, p), p)
    return total


def _sum_buckets(buckets: Sequence[Jacobian], p: int) -> Jacobian:
    """Return the sum of (i + 1) * buckets[i]."""
    running = total = INFINITY
    for bucket in reversed(buckets):
        running = add(running, bucket, p)
        total = add(total, running, p)
    return total

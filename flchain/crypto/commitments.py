"""Pedersen commitments: hiding whatever the computer, binding while logarithms are hard.

C = value * V + blinding * B. Sums of commitments open to the sums of values and of blindings
(T. Pedersen, CRYPTO '91). A vector has one base for each entry and shares the blinding's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.crypto.bn254 import BLINDING_BASE, VALUE_BASE, derive_generator
from flchain.crypto.groups import Group, Point
from flchain.crypto.scalars import is_scalar
from flchain.protocol.errors import EncodingError

LIMB_BITS = 16
LIMBS = 16
MAX_SUMMANDS = 65_537
"""So many blindings can have their limbs summed in 32 bits without overflow."""


@dataclass(frozen=True, slots=True)
class CommitmentKey:
    """Two bases whose logarithm to each other nobody knows."""

    value_base: Point
    blinding_base: Point


@dataclass(frozen=True, slots=True)
class VectorKey:
    """A base for each entry and the blinding's, none with a known logarithm to another."""

    bases: tuple[Point, ...]
    blinding_base: Point


@dataclass(frozen=True, slots=True)
class Opening:
    """What a commitment hides; both are scalars, 0 <= x < order."""

    value: int
    blinding: int


BN254_KEY = CommitmentKey(VALUE_BASE, BLINDING_BASE)
"""The bases on BN254 that `contracts/libraries/Pedersen.sol` has too."""


def commit(group: Group, key: CommitmentKey, opening: Opening) -> Point:
    """Return the commitment. Raises EncodingError unless both are scalars of the group."""
    _check_scalars(group, (opening.value, opening.blinding))
    bases, scalars = (key.value_base, key.blinding_base), (opening.value, opening.blinding)
    return group.sum_products(bases, scalars)


def verify_opening(group: Group, key: CommitmentKey, commitment: Point, opening: Opening) -> bool:
    """Return whether the commitment hides exactly this; false for scalars not reduced."""
    if not (is_scalar(opening.value, group.order) and is_scalar(opening.blinding, group.order)):
        return False
    return commit(group, key, opening) == commitment


def add_commitments(group: Group, commitments: Sequence[Point]) -> Point:
    """Return the commitment to the sum; infinity, which commits to nothing, if there are none."""
    return group.sum_products(commitments, [1] * len(commitments))


def add_openings(openings: Sequence[Opening], order: int) -> Opening:
    """Return the opening of the sum of the openings' commitments."""
    values = sum(opening.value for opening in openings)
    blindings = sum(opening.blinding for opening in openings)
    return Opening(values % order, blindings % order)


def split_blinding(blinding: int) -> tuple[int, ...]:
    """Return 16 limbs of 16 bits, the lowest first, so that blindings add within 32-bit words.

    Raises EncodingError on numbers of more than 256 bits.
    """
    if not 0 <= blinding < 1 << (LIMB_BITS * LIMBS):
        raise EncodingError(f"blinding: it must have at most {LIMB_BITS * LIMBS} bits")
    mask = (1 << LIMB_BITS) - 1
    return tuple(blinding >> (LIMB_BITS * place) & mask for place in range(LIMBS))


def join_blinding(limbs: Sequence[int], order: int) -> int:
    """Return the blinding, modulo the order, from limbs or from limbs added up place by place.

    Raises EncodingError unless there are 16 limbs of at most 32 bits. More than MAX_SUMMANDS
    blindings may overflow a limb unseen.
    """
    if len(limbs) != LIMBS:
        raise EncodingError(f"blinding: {len(limbs)} limbs, it must have {LIMBS}")
    if not all(0 <= limb < 1 << (2 * LIMB_BITS) for limb in limbs):
        raise EncodingError("blinding: a sum of limbs must have at most 32 bits")
    return sum(int(limb) << (LIMB_BITS * place) for place, limb in enumerate(limbs)) % order


def derive_vector_key(size: int) -> VectorKey:
    """Return the bases on BN254 for `size` entries; a longer vector's begin with the same."""
    bases = tuple(derive_generator(f"vector/{place}") for place in range(size))
    return VectorKey(bases, BLINDING_BASE)


def commit_vector(group: Group, key: VectorKey, values: Sequence[int], blinding: int) -> Point:
    """Return the commitment to a vector of scalars.

    Raises EncodingError unless there are as many values as bases and all are scalars.
    """
    if len(values) != len(key.bases):
        raise EncodingError(f"vector commitment: {len(values)} values for {len(key.bases)} bases")
    _check_scalars(group, (*values, blinding))
    return group.sum_products((*key.bases, key.blinding_base), (*values, blinding))


def verify_vector_opening(
    group: Group, key: VectorKey, commitment: Point, values: Sequence[int], blinding: int
) -> bool:
    """Return whether the commitment hides exactly this vector; false if it does not fit."""
    fits = len(values) == len(key.bases)
    if not fits or not all(is_scalar(value, group.order) for value in (*values, blinding)):
        return False
    return commit_vector(group, key, values, blinding) == commitment


def _check_scalars(group: Group, scalars: Sequence[int]) -> None:
    if not all(is_scalar(scalar, group.order) for scalar in scalars):
        raise EncodingError("commitment: values and blindings must be scalars of the group")

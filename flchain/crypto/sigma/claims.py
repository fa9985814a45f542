"""What a linear proof can claim; all fields are public, `secrets` counts what is not."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from flchain.crypto.commitments import CommitmentKey
from flchain.crypto.groups import Point


@dataclass(frozen=True, slots=True)
class Equation:
    """The sum of secret * base is the target; a term is the secret's place and the base."""

    target: Point
    terms: tuple[tuple[int, Point], ...]


class Claim(Protocol):
    """Equations over secrets 0 to `secrets` - 1, all under one protocol name.

    The name fixes the number of equations and which secret stands where.
    """

    protocol: ClassVar[str]
    secrets: ClassVar[int]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """What the secrets satisfy."""


@dataclass(frozen=True, slots=True)
class KnownLogarithm:
    """The prover knows x with x * base = target (C. P. Schnorr, CRYPTO '89)."""

    base: Point
    target: Point

    protocol: ClassVar[str] = "flchain/sigma/logarithm/v1"
    secrets: ClassVar[int] = 1

    @property
    def equations(self) -> tuple[Equation, ...]:
        """One equation."""
        return (Equation(self.target, ((0, self.base),)),)


@dataclass(frozen=True, slots=True)
class KnownOpening:
    """The prover knows value and blinding of a commitment (T. Okamoto, CRYPTO '92)."""

    key: CommitmentKey
    commitment: Point

    protocol: ClassVar[str] = "flchain/sigma/opening/v1"
    secrets: ClassVar[int] = 2

    @property
    def equations(self) -> tuple[Equation, ...]:
        """One equation over value and blinding."""
        return (_open(self.key, self.commitment, 1),)


@dataclass(frozen=True, slots=True)
class EqualValues:
    """Two commitments hide one value; secrets are it and the two blindings."""

    key: CommitmentKey
    commitment: Point
    other_key: CommitmentKey
    other_commitment: Point

    protocol: ClassVar[str] = "flchain/sigma/equal-values/v1"
    secrets: ClassVar[int] = 3

    @property
    def equations(self) -> tuple[Equation, ...]:
        """One equation for each commitment, with the value in common."""
        first = _open(self.key, self.commitment, 1)
        return first, _open(self.other_key, self.other_commitment, 2)


@dataclass(frozen=True, slots=True)
class EqualLogarithms:
    """One x is both logarithms (D. Chaum and T. Pedersen, CRYPTO '92)."""

    base: Point
    target: Point
    other_base: Point
    other_target: Point

    protocol: ClassVar[str] = "flchain/sigma/equal-logarithms/v1"
    secrets: ClassVar[int] = 1

    @property
    def equations(self) -> tuple[Equation, ...]:
        """One equation for each base."""
        first = Equation(self.target, ((0, self.base),))
        return first, Equation(self.other_target, ((0, self.other_base),))


def _open(key: CommitmentKey, commitment: Point, blinding: int) -> Equation:
    """Return the equation of an opening whose value is secret 0."""
    return Equation(commitment, ((0, key.value_base), (blinding, key.blinding_base)))

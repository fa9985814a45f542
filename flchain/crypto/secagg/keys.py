"""An agent's three keys of one round, and the proof that it knows their secrets.

`encryption` opens the shares sent to it, `masking` (a, A = a * G) agrees on masks with neighbours,
`self_mask` (b, B = b * G) makes the mask that it takes off last. All are on secp256k1, made for one
round and masking one vector: a second vector under them would show the difference of the two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha512
from typing import ClassVar

from coincurve import PrivateKey

from flchain.crypto.groups import Group, Point
from flchain.crypto.scalars import encode_scalar
from flchain.crypto.secagg.agents import encode_agent
from flchain.crypto.secagg.errors import KeyReused, MalformedMessage, UnprovenKeys
from flchain.crypto.secagg.messages import (
    HEAD_SIZE,
    Kind,
    check_size,
    decode_message,
    encode_message,
)
from flchain.crypto.secp256k1 import GENERATOR, ORDER, POINT_SIZE, encode_point, get_group
from flchain.crypto.sigma import linear
from flchain.crypto.sigma.claims import Equation
from flchain.crypto.sigma.linear import LinearProof
from flchain.crypto.sigma.statements import RANDOMNESS_SIZE, Context
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Address

_SECRET_DOMAIN = b"flchain/secagg/v1/secret/"
_KEYS = 3
KEYS_SIZE = HEAD_SIZE + 2 * _KEYS * POINT_SIZE + _KEYS * RANDOMNESS_SIZE
"""Bytes of the message with the three keys and their proof."""
_UNCOMPRESSED = b"\x04"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The scalars of one agent and round; wipe them when the round ends."""

    encryption: int = field(repr=False)
    masking: int = field(repr=False)
    self_mask: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What everybody knows of an agent in one round."""

    encryption: Point
    masking: Point
    self_mask: Point


@dataclass(frozen=True, slots=True)
class ProvenKeys:
    """Keys with one proof for all three."""

    keys: PublicKeys
    proof: LinearProof


@dataclass(frozen=True, slots=True)
class KnownSecrets:
    """The prover knows the logarithm of each key."""

    keys: PublicKeys

    protocol: ClassVar[str] = "flchain/secagg/keys/v1"
    secrets: ClassVar[int] = _KEYS

    @property
    def equations(self) -> tuple[Equation, ...]:
        """One equation for each key."""
        return tuple(
            Equation(key, ((place, GENERATOR),)) for place, key in enumerate(_list(self.keys))
        )


def derive_secrets(seed: bytes, context: Context) -> Secrets:
    """Return the secrets that follow from 32 fresh bytes, one seed for each round.

    A seed used again in another round gives other secrets, for the round is mixed in.
    """
    names = ("encryption", "masking", "self mask")
    return Secrets(*(derive_scalar(seed, context, name) for name in names))


def derive_scalar(seed: bytes, context: Context, name: str, order: int = ORDER) -> int:
    """Return a scalar in [1, order) for one purpose: 512 bits of SHA-512 reduced.

    Raises EncodingError unless the seed has 32 bytes.
    """
    if len(seed) != RANDOMNESS_SIZE:
        raise EncodingError(f"seed: {len(seed)} bytes, it must have {RANDOMNESS_SIZE}")
    head = _SECRET_DOMAIN + context.round_key + encode_agent(context.agent) + seed
    wide = sha512(head + name.encode()).digest()
    return 1 + int.from_bytes(wide, "big") % (order - 1)


def derive_randomness(seed: bytes, context: Context, name: str) -> bytes:
    """Return 32 bytes for one proof, from the round's seed."""
    return encode_scalar(derive_scalar(seed, context, name), ORDER)


def get_public_keys(secrets: Secrets) -> PublicKeys:
    """Return the public side."""
    group = get_group()
    scalars = (secrets.encryption, secrets.masking, secrets.self_mask)
    return PublicKeys(*(group.multiply(GENERATOR, scalar) for scalar in scalars))


def prove_keys(secrets: Secrets, context: Context, randomness: bytes) -> ProvenKeys:
    """Return the keys with a proof for this round and agent; `randomness` is 32 fresh bytes."""
    keys = get_public_keys(secrets)
    scalars = (secrets.encryption, secrets.masking, secrets.self_mask)
    return ProvenKeys(
        keys, linear.prove(get_group(), KnownSecrets(keys), scalars, context, randomness)
    )


def verify_keys(proven: ProvenKeys, context: Context, group: Group | None = None) -> None:
    """Check the proof. Raises UnprovenKeys if it is not one for these keys, round and agent."""
    try:
        linear.verify(group or get_group(), KnownSecrets(proven.keys), proven.proof, context)
    except ProofError as error:
        raise UnprovenKeys(f"{context.agent} has not proven its keys: {error}") from None


def encode_keys(proven: ProvenKeys, context: Context) -> bytes:
    """Return the message: the three keys, then the proof; 538 bytes."""
    keys = b"".join(map(encode_point, _list(proven.keys)))
    body = keys + linear.encode_proof(get_group(), proven.proof)
    return encode_message(Kind.KEYS, context.round_key, context.agent, body)


def decode_keys(data: bytes, context: Context) -> ProvenKeys:
    """Return the keys of `context.agent` in untrusted bytes, checked.

    Raises MalformedMessage, ForeignRound, ForeignSender or UnprovenKeys.
    """
    body = decode_message(Kind.KEYS, context.round_key, context.agent, data)
    split = _KEYS * POINT_SIZE
    check_size(Kind.KEYS, body, split + _KEYS * (POINT_SIZE + RANDOMNESS_SIZE))
    group = get_group()
    try:
        parts = (body[at : at + POINT_SIZE] for at in range(0, split, POINT_SIZE))
        keys = PublicKeys(*map(group.decode_point, parts))
        proof = linear.decode_proof(group, KnownSecrets(keys), body[split:])
    except EncodingError as error:
        raise MalformedMessage(f"{context.agent}'s keys are malformed: {error}") from None
    proven = ProvenKeys(keys, proof)
    verify_keys(proven, context)
    return proven


def collect_keys(
    proven: Mapping[Address, ProvenKeys], context: Context, used: Iterable[Point] = ()
) -> dict[Address, PublicKeys]:
    """Return everybody's keys once all proofs hold and no key was ever used before.

    A key and its negative count as one: they agree on the same x-coordinates. Raises
    UnprovenKeys or KeyReused.
    """
    seen = {point.x for point in used}
    for agent, each in proven.items():
        verify_keys(each, replace(context, agent=agent))
        for key in _list(each.keys):
            if key.x in seen:
                raise KeyReused(f"{agent} brings a key that was used before; it must make new ones")
            seen.add(key.x)
    return {agent: each.keys for agent, each in proven.items()}


def agree(secret: int, points: Iterable[Point]) -> list[bytes]:
    """Return what the secret's holder shares with each point's: SHA-256 of secret * point.

    The point is hashed compressed, as libsecp256k1 has it; its product takes constant time.
    """
    key = PrivateKey(encode_scalar(secret, ORDER))
    return [key.ecdh(_UNCOMPRESSED + encode_point(point)) for point in points]


def _list(keys: PublicKeys) -> tuple[Point, Point, Point]:
    return keys.encryption, keys.masking, keys.self_mask

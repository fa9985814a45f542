"""What every proof binds before its first message: who proves what, where, over which bases.

A proof whose challenge leaves out part of its statement can be made for a statement chosen
afterwards (Bernhard, Pereira, Warinschi, ASIACRYPT 2012).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512

from eth_utils.address import is_hex_address, to_canonical_address

from flchain.crypto.groups import Group, Point
from flchain.crypto.scalars import encode_scalar
from flchain.crypto.transcript import Transcript
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest

RANDOMNESS_SIZE = 32
_NONCE_DOMAIN = b"flchain/sigma/nonce/v1"
_WORD_BITS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where a proof counts: replayed anywhere else, or by anybody else, it is refused."""

    chain_id: int
    contract: Address
    round_key: Digest
    agent: Address


def open_transcript(
    protocol: str, context: Context, group: Group, bases: Sequence[Point]
) -> Transcript:
    """Return a transcript that holds the protocol, the context and the digest of the bases.

    Raises EncodingError if the context is malformed or a base is not on the curve.
    """
    if not 0 <= context.chain_id < 1 << _WORD_BITS or len(context.round_key) != _WORD_BITS // 8:
        raise EncodingError("proof context: the chain id or the round key is no 32-byte word")
    generators = sha256(b"".join(map(group.encode_point, bases))).digest()
    return (
        Transcript()
        .absorb("protocol", protocol.encode())
        .absorb("chain", context.chain_id.to_bytes(_WORD_BITS // 8, "big"))
        .absorb("contract", _encode_address(context.contract))
        .absorb("round", context.round_key)
        .absorb("agent", _encode_address(context.agent))
        .absorb("curve", group.name.encode())
        .absorb("generators", generators)
    )


def absorb_points(
    transcript: Transcript, group: Group, label: str, points: Sequence[Point]
) -> Transcript:
    """Return the transcript that also holds the points, one after another."""
    for point in points:
        transcript = transcript.absorb(label, group.encode_point(point))
    return transcript


def absorb_scalars(
    transcript: Transcript, group: Group, label: str, scalars: Sequence[int]
) -> Transcript:
    """Return the transcript that also holds the scalars, one after another."""
    for scalar in scalars:
        transcript = transcript.absorb(label, encode_scalar(scalar, group.order))
    return transcript


@dataclass(frozen=True, slots=True)
class NonceSource:
    """Nonces from the secrets, the statement and fresh randomness.

    A broken random generator alone, or a repeated statement alone, repeats no nonce.
    """

    seed: bytes
    order: int

    def derive(self, label: str) -> int:
        """Return the nonce of that name: 512 bits modulo the order."""
        wide = sha512(self.seed + label.encode()).digest()
        return int.from_bytes(wide, "big") % self.order


def build_nonces(
    transcript: Transcript, group: Group, secrets: Sequence[int], randomness: bytes
) -> NonceSource:
    """Return the nonces of one proof; `randomness` is 32 fresh bytes, never used twice.

    Raises EncodingError on another length and on secrets that are no scalars.
    """
    if len(randomness) != RANDOMNESS_SIZE:
        raise EncodingError(
            f"proof: {RANDOMNESS_SIZE} random bytes needed, {len(randomness)} given"
        )
    hidden = b"".join(encode_scalar(secret, group.order) for secret in secrets)
    seed = sha512(_NONCE_DOMAIN + transcript.state + randomness + hidden).digest()
    return NonceSource(seed, group.order)


def _encode_address(address: Address) -> bytes:
    if not is_hex_address(address):
        raise EncodingError(f"proof context: {address} is no address")
    return bytes(to_canonical_address(address))

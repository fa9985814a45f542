"""Challenges that nobody chooses: the Fiat-Shamir transform over SHA-256.

    state  = SHA-256("flchain/fs/v1")
    absorb   state = SHA-256(state || u32(len(label)) || label || u64(len(data)) || data)
    challenge(label)          first 16 bytes of SHA-256(state || 0x01 || label)
    challenge_scalar(label)   SHA-256(state || 0x02 || label) || SHA-256(state || 0x03 || label)
                              modulo the order

Lengths and numbers are big-endian. A challenge's bytes (16, or the 64 before reduction) are then
absorbed under its label. Labels are ASCII of at most 255 bytes, so that the byte after the state,
zero when something is absorbed, tells the uses of the hash apart.
"""

from dataclasses import dataclass
from hashlib import sha256

from flchain.protocol.errors import EncodingError

CHALLENGE_BITS = 128
_MAX_LABEL = 255
_CHALLENGE, _SCALAR_HIGH, _SCALAR_LOW = b"\x01", b"\x02", b"\x03"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What has been said so far; every method returns a new transcript."""

    state: bytes = sha256(b"flchain/fs/v1").digest()

    def absorb(self, label: str, data: bytes) -> "Transcript":
        """Return the transcript that also holds `data`."""
        name = _encode_label(label)
        head = len(name).to_bytes(4, "big") + name + len(data).to_bytes(8, "big")
        return Transcript(sha256(self.state + head + data).digest())

    def challenge(self, label: str) -> tuple[int, "Transcript"]:
        """Return a challenge of 128 bits and the transcript that holds it."""
        data = self._hash(_CHALLENGE, label)[: CHALLENGE_BITS // 8]
        return int.from_bytes(data, "big"), self.absorb(label, data)

    def challenge_scalar(self, label: str, order: int) -> tuple[int, "Transcript"]:
        """Return a challenge below `order` and the transcript that holds it.

        512 bits are reduced, so that the bias is below 2^-256 for orders of up to 256 bits.
        """
        data = self._hash(_SCALAR_HIGH, label) + self._hash(_SCALAR_LOW, label)
        return int.from_bytes(data, "big") % order, self.absorb(label, data)

    def _hash(self, use: bytes, label: str) -> bytes:
        return sha256(self.state + use + _encode_label(label)).digest()


def _encode_label(label: str) -> bytes:
    if not label.isascii() or len(label) > _MAX_LABEL:
        raise EncodingError(f"transcript: a label is ASCII of at most {_MAX_LABEL} characters")
    return label.encode()

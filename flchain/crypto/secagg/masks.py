"""Masks: AES-128 in counter mode, added modulo 2^32 in place.

A mask is the key stream from counter block zero, read as little-endian 32-bit words. Each key makes
one mask, so that no counter repeats under a key. All masks pass over a block of the vector before
the next block is touched: block, key stream and zeros stay in the processor's second-level cache,
and nothing but the vector grows with its length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from flchain.crypto.scalars import encode_scalar
from flchain.crypto.secagg.agents import build_info, derive_key
from flchain.crypto.secp256k1 import ORDER
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest

Words = NDArray[np.uint32]
"""Little-endian 32-bit words, one dimension."""

WORD = np.dtype("<u4")
KEY_SIZE = 16
_BLOCK_BYTES = 1 << 17
_BLOCK = _BLOCK_BYTES // WORD.itemsize
_SPARE_BYTES = 16
"""What `update_into` wants beyond what it writes."""
_ZEROS = bytes(_BLOCK_BYTES)
_COUNTER = bytes(16)


@dataclass(frozen=True, slots=True)
class Masks:
    """Keys of the masks to add to a vector, and of those to subtract from it."""

    added: tuple[bytes, ...] = field(default=(), repr=False)
    subtracted: tuple[bytes, ...] = field(default=(), repr=False)


def derive_pair_key(agreed: bytes, round_key: Digest, lower: Address, upper: Address) -> bytes:
    """Return the key of the mask that two neighbours have in common."""
    return derive_key(agreed, build_info("mask", round_key, lower, upper), KEY_SIZE)


def derive_self_key(secret: int, round_key: Digest, agent: Address) -> bytes:
    """Return the key of the mask that only the agent knows before its secret is restored."""
    info = build_info("self", round_key, agent)
    return derive_key(encode_scalar(secret, ORDER), info, KEY_SIZE)


def apply_masks(vector: Words, masks: Masks) -> None:
    """Add and subtract all masks, in place.

    Raises EncodingError unless the vector is contiguous, writable and little-endian.
    """
    check_words(vector)
    if not vector.flags.writeable:
        raise EncodingError("masks: the vector cannot be written to")
    streams = [
        (_open_stream(key), operation)
        for keys, operation in ((masks.added, np.add), (masks.subtracted, np.subtract))
        for key in keys
    ]
    buffer = bytearray(_BLOCK_BYTES + _SPARE_BYTES)
    stream = np.frombuffer(buffer, WORD)
    for block in _cut(vector):
        zeros = _ZEROS if len(block) == _BLOCK else _ZEROS[: block.nbytes]
        words = stream[: len(block)]
        for cipher, operation in streams:
            cipher.update_into(zeros, buffer)
            operation(block, words, out=block)


def expand_mask(key: bytes, size: int) -> Words:
    """Return the first `size` words of one mask."""
    words = np.zeros(size, WORD)
    apply_masks(words, Masks(added=(key,)))
    return words


def stream_words(key: bytes, size: int) -> Iterator[Words]:
    """Yield the mask of a key, `size` words at a time, without end; each replaces the one before.

    Raises EncodingError unless the key has 16 bytes.
    """
    cipher, zeros = _open_stream(key), bytes(size * WORD.itemsize)
    buffer = bytearray(len(zeros) + _SPARE_BYTES)
    words = np.frombuffer(buffer, WORD)[:size]
    while True:
        cipher.update_into(zeros, buffer)
        yield words


def check_words(vector: Words) -> None:
    """Raise EncodingError unless the vector is one contiguous row of little-endian words."""
    if vector.dtype != WORD or vector.ndim != 1 or not vector.flags.c_contiguous:
        raise EncodingError("masks: a contiguous vector of little-endian 32-bit words is needed")


def sum_words(vectors: Iterable[Words], size: int) -> Words:
    """Return the sum modulo 2^32, taking one vector at a time.

    Raises EncodingError if one has another length.
    """
    total = np.zeros(size, WORD)
    for vector in vectors:
        check_words(vector)
        if len(vector) != size:
            raise EncodingError(f"masked vector: {len(vector)} words, it must have {size}")
        np.add(total, vector, out=total)
    return total


def _open_stream(key: bytes) -> CipherContext:
    if len(key) != KEY_SIZE:
        raise EncodingError(f"mask: a key has {KEY_SIZE} bytes, not {len(key)}")
    return Cipher(AES(key), CTR(_COUNTER)).encryptor()


def _cut(vector: Words) -> Iterator[Words]:
    for start in range(0, len(vector), _BLOCK):
        yield vector[start : start + _BLOCK]

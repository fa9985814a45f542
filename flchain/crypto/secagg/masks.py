"""Masks: AES-128 in counter mode, added modulo 2^32 in place.

A mask is the key stream from counter block zero, read as little-endian 32-bit words. Each key makes
one mask, so that no counter repeats under a key. A few dozen masks at a time pass over a block of
the vector before the next block is touched: block, key stream and zeros stay in the processor's
second-level cache, and nothing but the vector grows with its length or with the number of masks.

Galois/Counter Mode under a nonce of zeros counts in the same way from block two on (NIST SP
800-38D), and OpenSSL has it in twice as wide instructions as plain counter mode: it makes all of a
mask but the first two blocks in half the time. Nothing is encrypted with it and its tag is not
asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM
from numpy.typing import NDArray

from flchain.crypto.scalars import encode_scalar
from flchain.crypto.secagg.agents import build_info, derive_key
from flchain.crypto.secp256k1 import ORDER
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.types import Address, Digest

Words = NDArray[np.uint32]
"""Little-endian 32-bit words, one dimension."""

WORD = np.dtype("<u4")
KEY_SIZE = 16
_BLOCK_BYTES = 1 << 18
_BLOCK = _BLOCK_BYTES // WORD.itemsize
_SPARE_BYTES = 16
"""What `update_into` wants beyond what it writes."""
_ZEROS = bytes(_BLOCK_BYTES)
_COUNTER = bytes(16)
_NONCE = bytes(12)
_HEAD_BYTES = 32
"""The two blocks before the one that Galois/Counter Mode begins with."""
_HEAD = _HEAD_BYTES // WORD.itemsize
_OPEN_STREAMS = 64

_Signed = tuple[bytes, Callable[..., object]]
"""A mask's key, and whether it is added or subtracted."""


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


def apply_masks(vector: Words, masks: Masks, *, threads: int = 1) -> None:
    """Add and subtract all masks, in place.

    The masks are dealt out to the threads; each but the first needs another vector of this size.
    The result is the same for any number. Raises EncodingError unless the vector is contiguous,
    writable and little-endian, ConfigError unless there is a thread.
    """
    check_words(vector)
    if not vector.flags.writeable:
        raise EncodingError("masks: the vector cannot be written to")
    if threads < 1:
        raise ConfigError(f"masks: at least one thread is needed, not {threads}")
    signed: list[_Signed] = [(_check_key(key), np.add) for key in masks.added]
    signed += [(_check_key(key), np.subtract) for key in masks.subtracted]
    first, *others = [signed[number::threads] for number in range(threads)]
    others = [each for each in others if each]
    if not others:
        _apply(vector, first)
        return
    with ThreadPoolExecutor(len(others)) as pool:
        sums = [pool.submit(_sum_masks, each, len(vector)) for each in others]
        _apply(vector, first)
        for each in sums:
            np.add(vector, each.result(), out=vector)


def expand_mask(key: bytes, size: int) -> Words:
    """Return the first `size` words of one mask."""
    words = np.zeros(size, WORD)
    apply_masks(words, Masks(added=(key,)))
    return words


def stream_words(key: bytes, size: int) -> Iterator[Words]:
    """Yield the mask of a key, `size` words at a time, without end; each replaces the one before.

    Raises EncodingError unless the key has 16 bytes.
    """
    cipher, zeros = _open(key, CTR(_COUNTER)), bytes(size * WORD.itemsize)
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


def _sum_masks(signed: Sequence[_Signed], size: int) -> Words:
    total = np.zeros(size, WORD)
    _apply(total, signed)
    return total


def _apply(vector: Words, signed: Sequence[_Signed]) -> None:
    for start in range(0, len(signed), _OPEN_STREAMS):
        few = signed[start : start + _OPEN_STREAMS]
        _apply_heads(vector[:_HEAD], few)
        _apply_rests(vector[_HEAD:], few)


def _apply_heads(head: Words, signed: Iterable[_Signed]) -> None:
    for key, operation in signed:
        stream = _open(key, CTR(_COUNTER)).update(bytes(_HEAD_BYTES))
        operation(head, np.frombuffer(stream, WORD)[: len(head)], out=head)


def _apply_rests(rest: Words, signed: Iterable[_Signed]) -> None:
    streams = [(_open(key, GCM(_NONCE)), operation) for key, operation in signed]
    buffer = bytearray(_BLOCK_BYTES + _SPARE_BYTES)
    stream = np.frombuffer(buffer, WORD)
    for block in _cut(rest):
        zeros = _ZEROS if len(block) == _BLOCK else _ZEROS[: block.nbytes]
        words = stream[: len(block)]
        for cipher, operation in streams:
            cipher.update_into(zeros, buffer)
            operation(block, words, out=block)


def _check_key(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise EncodingError(f"mask: a key has {KEY_SIZE} bytes, not {len(key)}")
    return key


def _open(key: bytes, mode: CTR | GCM) -> CipherContext:
    return Cipher(AES(_check_key(key)), mode).encryptor()


def _cut(vector: Words) -> Iterator[Words]:
    for start in range(0, len(vector), _BLOCK):
        yield vector[start : start + _BLOCK]

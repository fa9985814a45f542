"""Deterministic nonces by RFC 6979 section 3.2, with HMAC-SHA-256 and orders of 256 bits.

Two proofs under one nonce reveal the key, and so does a nonce that can be guessed; one that is
derived from key and message can be neither repeated for another message nor biased.
"""

import hashlib
import hmac
from collections.abc import Iterator

_SIZE = 32


def compute_nonce(secret: int, order: int, digest: bytes) -> int:
    """Return k in [1, order) for a secret scalar and the SHA-256 of a message."""
    return next(_generate(secret, order, digest))


def _generate(secret: int, order: int, digest: bytes) -> Iterator[int]:
    """Yield the candidates in order, those out of range left out."""
    reduced = int.from_bytes(digest, "big") % order
    seed = secret.to_bytes(_SIZE, "big") + reduced.to_bytes(_SIZE, "big")
    key, value = bytes(_SIZE), b"\x01" * _SIZE
    for separator in (b"\x00", b"\x01"):
        key = _hmac(key, value + separator + seed)
        value = _hmac(key, value)
    while True:
        value = _hmac(key, value)
        candidate = int.from_bytes(value, "big")
        if 0 < candidate < order:
            yield candidate
        key = _hmac(key, value + b"\x00")
        value = _hmac(key, value)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)

"""The deterministic files of the IPIP-499 vectors, without holding them."""

import hashlib
import io
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from flchain.storage.unixfs import V0_2015, V1_2025

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cid.json").read_text())
LARGE = 1 << 30
"""From here on a vector takes seconds, and is checked end to end."""
PROFILES = {profile.name: profile for profile in (V1_2025, V0_2015)}


class Keystream(io.RawIOBase):
    """The first `size` bytes of the ChaCha20 keystream of sha256(seed)."""

    def __init__(self, seed, size):
        super().__init__()
        key = hashlib.sha256(seed.encode()).digest()
        self._cipher = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
        self._left = size

    def read(self, size=-1):
        size = self._left if size < 0 else min(size, self._left)
        self._left -= size
        return self._cipher.update(bytes(size))


def open_file(vector):
    if "hex" in vector:
        return io.BytesIO(bytes.fromhex(vector["hex"]))
    return Keystream(vector["seed"], vector["size"])


def describe(case):
    return case.get("description", case.get("text", ""))

"""Content identifiers: CIDv1 in base32, and CIDv0 for reading.

Only sha2-256 over raw or dag-pb blocks exists here; identity and every other hash or codec is
refused, so that a CID always binds 32 bytes. Source: https://github.com/multiformats/cid. Each
number in an accepted prefix is below 128, so a longer varint for it is a different prefix and is
refused without a varint decoder.
"""

import base64
import hashlib
from dataclasses import dataclass
from enum import IntEnum

from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Digest

DIGEST_SIZE = 32
MULTIHASH = b"\x12\x20"
"""Prefix of a digest: sha2-256, 32 bytes."""
_MULTIHASH_SIZE = len(MULTIHASH) + DIGEST_SIZE
_BASE32_LENGTH = 59  # "b" and 36 bytes without padding
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_LENGTH = 46


class InvalidCid(EncodingError):
    """Text or bytes are not a CID that flchain accepts."""


class Codec(IntEnum):
    """How the block behind a CID is read."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, slots=True)
class Cid:
    """A sha2-256 digest with the codec of its block.

    Versions 0 and 1 of one digest are different values that name the same block.
    """

    digest: Digest
    codec: Codec = Codec.RAW
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse with `InvalidCid` what has no encoding."""
        if len(self.digest) != DIGEST_SIZE:
            raise InvalidCid(f"a digest has {DIGEST_SIZE} bytes, not {len(self.digest)}")
        if self.version not in (0, 1) or (self.version == 0 and self.codec is not Codec.DAG_PB):
            raise InvalidCid(f"there is no CIDv{self.version} with codec {self.codec.name}")

    def __bytes__(self) -> bytes:
        """Return the binary form: 36 bytes in version 1, 34 in version 0."""
        prefix = b"" if self.version == 0 else bytes((1, self.codec))
        return prefix + MULTIHASH + self.digest

    def __str__(self) -> str:
        """Return the text form: base32 in version 1, base58 in version 0."""
        data = bytes(self)
        if self.version == 0:
            return _encode_base58(data)
        return "b" + base64.b32encode(data).decode().rstrip("=").lower()


def compute_raw_cid(block: bytes) -> Cid:
    """Return the CIDv1 of `block` read as raw bytes."""
    return Cid(Digest(hashlib.sha256(block).digest()))


def cid_from_digest(digest: Digest) -> Cid:
    """Return the CID of the raw block whose sha2-256 is `digest`."""
    return Cid(digest)


def decode_cid(text: str) -> Cid:
    """Read a CID from its one canonical text form; else `InvalidCid`."""
    data = _decode_base58(text) if text.startswith("Qm") else _decode_base32(text)
    cid, end = decode_cid_prefix(data)
    if end != len(data):
        raise InvalidCid(f"{len(data) - end} bytes follow the CID")
    if str(cid) != text:
        raise InvalidCid(f"{text!r} is not the canonical text of {cid}")
    return cid


def decode_cid_prefix(data: bytes) -> tuple[Cid, int]:
    """Read the binary CID that `data` starts with; return it and its length."""
    version, codec, start = (0, Codec.DAG_PB, 0) if data[:2] == MULTIHASH else _read_head(data)
    if data[start : start + 2] != MULTIHASH:
        raise InvalidCid("the multihash is not a 32-byte sha2-256")
    end = start + _MULTIHASH_SIZE
    if len(data) < end:
        raise InvalidCid("the CID is truncated")
    return Cid(Digest(bytes(data[start + 2 : end])), codec, version), end


def _read_head(data: bytes) -> tuple[int, Codec, int]:
    if data[:1] != b"\x01":
        raise InvalidCid("the CID version is not 1")
    try:
        return 1, Codec(data[1]), 2
    except (IndexError, ValueError):
        raise InvalidCid("the codec is neither raw nor dag-pb") from None


def _decode_base32(text: str) -> bytes:
    if len(text) != _BASE32_LENGTH or text[0] != "b" or text != text.lower():
        raise InvalidCid(f"{text[:80]!r} is not a CIDv1 in lower-case base32")
    try:
        return base64.b32decode(text[1:].upper() + "======")
    except ValueError:
        raise InvalidCid(f"{text!r} is not base32") from None


def _encode_base58(data: bytes) -> str:
    # The data starts with 0x12, so the leading-zero rule of base58 never applies.
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return text


def _decode_base58(text: str) -> bytes:
    if len(text) != _BASE58_LENGTH:
        raise InvalidCid(f"{text[:80]!r} is not a CIDv0")
    number = 0
    for letter in text:
        digit = _BASE58.find(letter)
        if digit < 0:
            raise InvalidCid(f"{text!r} is not base58")
        number = number * 58 + digit
    return number.to_bytes(_MULTIHASH_SIZE + 1, "big").lstrip(b"\0")

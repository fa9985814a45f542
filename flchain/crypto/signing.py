"""ECDSA over secp256k1 with recovery, as Ethereum's precompile and EIP-712 use it.

Signatures are r || s || v of 65 bytes with v in {27, 28} and s in the lower half order
(EIP-2); nonces follow RFC 6979, so that one key and one digest give one signature.
"""

from typing import Protocol

from coincurve import PrivateKey, PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest, Signature

KEY_SIZE = 32
SIGNATURE_SIZE = 65
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_V_OFFSET = 27


class Signer(Protocol):
    """Whoever can sign a digest as one account: a key in memory, a keystore, a wallet."""

    @property
    def address(self) -> Address:
        """The account whose signature this is."""

    def sign_digest(self, digest: bytes) -> Signature:
        """Return the signature over 32 bytes, without any prefix."""


class LocalSigner:
    """A signer that holds its private key in memory."""

    def __init__(self, private_key: bytes) -> None:
        """Take 32 bytes. Raises EncodingError unless they are a key of the curve."""
        # coincurve would pad a shorter key without a word.
        if len(private_key) != KEY_SIZE:
            raise EncodingError(f"private key: {len(private_key)} bytes, it must have {KEY_SIZE}")
        try:
            self._key = PrivateKey(private_key)
        except ValueError as error:
            raise EncodingError("private key: it must be below the order of the curve") from error
        self._address = _get_address(self._key.public_key)

    @property
    def address(self) -> Address:
        """The account of this key."""
        return self._address

    def sign_digest(self, digest: bytes) -> Signature:
        """Return the signature over 32 bytes, without any prefix."""
        raw = self._key.sign_recoverable(digest, hasher=None)
        return Signature(raw[:64] + bytes([raw[64] + _V_OFFSET]))

    def __repr__(self) -> str:
        # Never the key: a signer may end up in a log line.
        return f"LocalSigner({self._address})"


def recover_address(digest: bytes, signature: bytes) -> Address | None:
    """Return who signed `digest`, or None if the signature is malformed.

    Refuses what OpenZeppelin's ECDSA refuses: other lengths, v outside {27, 28}, high s.
    """
    if len(signature) != SIGNATURE_SIZE or signature[64] - _V_OFFSET not in {0, 1}:
        return None
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        return None
    raw = signature[:64] + bytes([signature[64] - _V_OFFSET])
    try:
        return _get_address(PublicKey.from_signature_and_message(raw, digest, hasher=None))
    except ValueError:
        return None
    except Exception as error:
        # coincurve raises bare Exception where no point recovers.
        if type(error) is not Exception:
            raise
        return None


def verify_signature(signer: Address, digest: Digest, signature: bytes) -> bool:
    """Return whether `signature` is `signer`'s over exactly `digest`."""
    return recover_address(digest, signature) == signer


def compact_signature(signature: Signature) -> tuple[bytes, bytes]:
    """Return r and vs of a valid signature: v's parity in the highest bit of s (ERC-2098)."""
    parity = signature[64] - _V_OFFSET
    return signature[:32], bytes([signature[32] | parity << 7]) + signature[33:64]


def expand_signature(r: bytes, vs: bytes) -> Signature:
    """Return the 65 bytes of a compact signature. Raises EncodingError on other lengths."""
    if len(r) != KEY_SIZE or len(vs) != KEY_SIZE:
        raise EncodingError("compact signature: r and vs have 32 bytes each")
    s = bytes([vs[0] & 0x7F]) + vs[1:]
    return Signature(r + s + bytes([_V_OFFSET + (vs[0] >> 7)]))


def _get_address(key: PublicKey) -> Address:
    return Address(to_checksum_address(keccak(key.format(compressed=False)[1:])[12:]))

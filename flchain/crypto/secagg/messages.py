"""The head of every message: what it is, of which round, from whom.

    "FLSA" || version u8 || kind u8 || round key (32) || sender (20)

A body follows. Numbers are big-endian.
"""

from enum import IntEnum

from flchain.crypto.secagg.agents import AGENT_SIZE, encode_agent
from flchain.crypto.secagg.errors import ForeignRound, ForeignSender, MalformedMessage
from flchain.protocol.types import Address, Digest

_MAGIC = b"FLSA\x01"
_KEY_SIZE = 32
HEAD_SIZE = len(_MAGIC) + 1 + _KEY_SIZE + AGENT_SIZE


class Kind(IntEnum):
    """What a message is."""

    KEYS = 1
    SHARING = 2
    COMPLAINT = 3
    RELEASE = 4
    WEIGHT = 5


def encode_message(kind: Kind, round_key: Digest, sender: Address, body: bytes) -> bytes:
    """Return head and body."""
    return _MAGIC + bytes([kind]) + round_key + encode_agent(sender) + body


def decode_message(kind: Kind, round_key: Digest, sender: Address, data: bytes) -> bytes:
    """Return the body of untrusted bytes.

    Raises MalformedMessage if they are no message of this kind, ForeignRound and ForeignSender
    if they are one of another round or sender.
    """
    start = len(_MAGIC) + 1
    if len(data) < HEAD_SIZE or data[:start] != _MAGIC + bytes([kind]):
        raise MalformedMessage(f"these bytes are no secure-aggregation {kind.name.lower()} message")
    if data[start : start + _KEY_SIZE] != round_key:
        raise ForeignRound(f"the {kind.name.lower()} message is of another round")
    if data[start + _KEY_SIZE : HEAD_SIZE] != encode_agent(sender):
        raise ForeignSender(f"the {kind.name.lower()} message is not {sender}'s")
    return data[HEAD_SIZE:]


def check_size(kind: Kind, body: bytes, size: int) -> None:
    """Raise MalformedMessage unless the body has exactly `size` bytes."""
    if len(body) != size:
        raise MalformedMessage(
            f"the body of this {kind.name.lower()} message has {size} bytes, not {len(body)}"
        )

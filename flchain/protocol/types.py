"""Units, ids and enumerations that every machine must agree on.

The integer values of the enumerations are the ones in `contracts/types/Types.sol`.
"""

from enum import IntEnum, IntFlag
from typing import NewType

Wei = NewType("Wei", int)
"""Smallest unit of the stake token (18 decimals)."""
Bps = NewType("Bps", int)
"""One hundredth of a per cent; 10,000 is the whole."""
Seconds = NewType("Seconds", int)
Timestamp = NewType("Timestamp", int)
"""Seconds since the Unix epoch, in block time."""
Epoch = NewType("Epoch", int)
"""`timestamp // epoch_length`; roles take effect at the start of an epoch."""
TaskId = NewType("TaskId", int)
RoundId = NewType("RoundId", int)
Version = NewType("Version", int)
"""Number of a finalised model state of one task; 0 is the initial model."""
Address = NewType("Address", str)
"""EIP-55 checksummed account address; an agent's id is the address it registered with."""
Digest = NewType("Digest", bytes)
"""32 bytes: the sha2-256 of one manifest block, or a keccak-256 commitment."""
Signature = NewType("Signature", bytes)
"""65 bytes: r, s and v (27 or 28) of an ECDSA signature over secp256k1."""
Bitmap = NewType("Bitmap", tuple[int, ...])
"""A set of submissions, or of places in secure mode: bit i of word w is number 224 * w + i."""

ZERO_DIGEST = Digest(bytes(32))
ZERO_ADDRESS = Address("0x" + "00" * 20)


class Role(IntFlag):
    """What a registered identity is bonded for."""

    AGENT = 1
    VALIDATOR = 2
    PROPOSER = 4


class VrfFault(IntEnum):
    """What is wrong with a VRF proof: the first of these that a verifier meets."""

    NONE = 0
    KEY_OUT_OF_RANGE = 1
    GAMMA_OUT_OF_RANGE = 2
    ANSWER_OUT_OF_RANGE = 3
    WRONG_ROOT = 4
    WRONG_INVERSE = 5
    WRONG_U = 6
    WRONG_A = 7
    WRONG_B = 8


class Mode(IntEnum):
    """Whether individual updates are visible after SUBMIT closes."""

    PLAIN = 0
    SECURE = 1


class Phase(IntEnum):
    """Stage of a task's newest round, derived from time and counts.

    SETTLE means that no further call can change the result and `settle` will record it.
    """

    NONE = 0
    JOIN = 1
    SHARES = 2
    CHECK = 3
    SUBMIT = 4
    ATTEST = 5
    UNMASK = 6
    PROPOSE = 7
    SEAT = 8
    VOTE = 9
    SETTLE = 10
    ENDED = 11


class Outcome(IntEnum):
    """How a round ended; NONE while it is live."""

    NONE = 0
    FINALIZED = 1
    REJECTED_QUALITY = 2
    ABORTED_TOO_FEW = 3
    ABORTED_NO_ATTESTERS = 4
    ABORTED_UNMASK = 5
    ABORTED_NO_PROPOSAL = 6
    ABORTED_NO_COMMITTEE = 7
    ABORTED_NO_QUORUM = 8
    ABORTED_DATA_LOST = 9
    ABORTED_DIFFERENCING = 10
    """The sum would tell too little apart from one that is known."""


class Verdict(IntEnum):
    """A validator's answer to "is it correct, and is it good enough?"."""

    NONE = 0
    APPROVE = 1
    WORSE = 2
    WRONG = 3
    DATA_MISSING = 4


class Reason(IntEnum):
    """What differs when the verdict is WRONG."""

    NONE = 0
    WRONG_SET = 1
    WRONG_AGGREGATE = 2
    WRONG_MODEL = 3
    WRONG_REWARD = 4

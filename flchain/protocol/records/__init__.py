"""The contracts' structs: same fields, same order, in snake case.

bytes32 is `bytes` of length 32, address is an EIP-55 string, enumerations are IntEnums.
Fields without a comment say all in their name; `contracts/types/Types.sol` has the full list.
The defaults give the all-zero record, which the ledger returns for what does not exist.
"""

from flchain.protocol.records.masked import AnchoredRecord, MaskedRound, SignedRecord
from flchain.protocol.records.rounds import (
    Agent,
    Audit,
    Ballot,
    Budget,
    Content,
    Distribution,
    Draw,
    DrawKey,
    DrawView,
    Member,
    Population,
    Proposal,
    Round,
    SeatProof,
    SignedAttestation,
    SignedVote,
    Submissions,
    Task,
    TaskStatus,
    Vote,
    VrfKey,
    VrfProof,
)

__all__ = [
    "Agent",
    "AnchoredRecord",
    "Audit",
    "Ballot",
    "Budget",
    "Content",
    "Distribution",
    "Draw",
    "DrawKey",
    "DrawView",
    "MaskedRound",
    "Member",
    "Population",
    "Proposal",
    "Round",
    "SeatProof",
    "SignedAttestation",
    "SignedRecord",
    "SignedVote",
    "Submissions",
    "Task",
    "TaskStatus",
    "Vote",
    "VrfKey",
    "VrfProof",
]

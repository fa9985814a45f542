"""The structs of the masked rounds."""

from dataclasses import dataclass

from flchain.protocol.types import (
    ZERO_DIGEST,
    Digest,
    Phase,
    RoundId,
    Timestamp,
    Version,
)

_NEVER = Timestamp(0)
_NO_ROUND = RoundId(0)
_INITIAL = Version(0)


@dataclass(frozen=True, slots=True)
class MaskedRound:
    """The masked part of a task's newest round; all zero before the first in secure mode."""

    round: RoundId = _NO_ROUND
    phase: Phase = Phase.NONE
    """JOIN to UNMASK, also while its window is over; ENDED once the part is over."""
    opens_at: Timestamp = _NEVER
    closes_at: Timestamp = _NEVER
    """When the window ends, moved forward once everybody entitled has acted."""
    close_block: int = 0
    """The block that closed the phase before: its hash goes into the anchor."""
    expected: int = 0
    """Agents who may act, in CHECK and ATTEST those of the phase before."""
    count: int = 0
    """Agents who have a record in the newest phase of agents."""
    attesters: int = 0
    """Validators who attested in this phase."""
    places: int = 0
    batches: int = 0
    """Batches of records in this round."""
    spent: int = 0
    """Sums revealed in this task: each is one round of its privacy budget."""
    revealed_version: Version = _INITIAL
    """Version on which the newest revealed sums were trained."""
    revealed: int = 0
    """Sums revealed for that version, two at most."""
    commitment: int = 0
    """240 bits of the rolling keccak-256 over records, see `digests.chain_record`."""
    anchor: Digest = ZERO_DIGEST
    """What records of this phase name; zero in the block that closed the phase before."""


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record with its agent's compact EIP-712 signature (ERC-2098), for batches."""

    digest: Digest
    r: bytes
    vs: bytes
    """The signature's s, with the parity of its v in the highest bit."""


@dataclass(frozen=True, slots=True)
class AnchoredRecord:
    """A signed record with the anchor that it names, as evidence."""

    anchor: Digest
    digest: Digest
    r: bytes
    vs: bytes

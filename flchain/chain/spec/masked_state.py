"""What the contract of the masked rounds remembers about one task."""

from dataclasses import dataclass, field

from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Phase,
    RoundId,
    Timestamp,
    Version,
)

RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)
"""Phases in which agents make records; in the others validators attest them."""
ATTESTED = (Phase.CHECK, Phase.ATTEST)
PHASES = tuple(Phase(number) for number in range(Phase.JOIN, Phase.UNMASK + 1))
ENTITLING = {
    Phase.SHARES: Phase.JOIN,
    Phase.CHECK: Phase.SHARES,
    Phase.SUBMIT: Phase.CHECK,
    Phase.ATTEST: Phase.SUBMIT,
    Phase.UNMASK: Phase.CHECK,
}
"""The phase whose set may act, or is attested, in a phase; JOIN is for all active agents."""


@dataclass(slots=True)
class Batch:
    """Relayed records: the root over those that counted, and who pays if one is false."""

    phase: Phase
    root: Digest
    relayer: Address = ZERO_ADDRESS
    """The zero address once it has been punished."""


@dataclass(slots=True)
class MaskedBook:
    """One task in secure mode; what belongs to a round is that of its newest."""

    round: RoundId = field(default=RoundId(0))
    phase: Phase = Phase.NONE
    """ENDED once the masked part is over, whatever came of it."""
    closed: Phase = Phase.NONE
    """The newest phase that closed or made the round fail."""
    opens_at: Timestamp = field(default=Timestamp(0))
    closes_at: Timestamp = field(default=Timestamp(0))
    close_block: int = 0
    anchor: Digest = ZERO_DIGEST
    """The set root before this phase until it is pinned, then the anchor."""
    is_pinned: bool = False
    expected: int = 0
    commitment: int = 0
    count: int = 0
    relayed_at: Timestamp | None = None
    """Time of the phase's newest batch."""
    sets: dict[Phase, frozenset[int]] = field(default_factory=dict)
    """Places with a record in force, and those that the validators kept in CHECK and ATTEST."""
    relayed: dict[Phase, frozenset[int]] = field(default_factory=dict)
    """Places that a batch filled and no direct record has; a voided record stays here alone."""
    batches: list[Batch] = field(default_factory=list)
    attestations: dict[Phase, dict[Address, frozenset[int]]] = field(default_factory=dict)
    complaints: set[tuple[int, int]] = field(default_factory=set)
    """By (accuser, accused)."""
    punished: set[int] = field(default_factory=set)
    """Places that paid the penalty of this round."""
    holders: list[Address] = field(default_factory=list)
    """Who has each place, for ever."""
    spent: int = 0
    revealed_version: Version = field(default=Version(0))
    revealed: int = 0
    revealed_set: frozenset[int] = frozenset()
    """Survivors of the first sum revealed for `revealed_version`."""

    def get_set(self, phase: Phase) -> frozenset[int]:
        """Return the places that a phase of the newest round has decided so far."""
        return self.sets.get(phase, frozenset())

    def get_relayed(self, phase: Phase) -> frozenset[int]:
        """Return the places whose records came, or were voided, with a batch."""
        return self.relayed.get(phase, frozenset())

    def find_place(self, agent: Address) -> int | None:
        """Return an agent's place, or None before its first JOIN."""
        return self.holders.index(agent) if agent in self.holders else None

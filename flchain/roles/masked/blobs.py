"""What the digests of a masked round stand for: one message of one agent for each phase.

JOIN: its keys, then its weight, as `flchain.crypto.secagg` encodes them. SHARES: its sharing.
CHECK: evidence against a sender. SUBMIT: its masked vector, four bytes a word. UNMASK: its release.
"""

from dataclasses import dataclass

from flchain.crypto.secagg.keys import KEYS_SIZE
from flchain.crypto.sigma.statements import Context as ProofContext
from flchain.protocol.types import Address, Digest, Phase
from flchain.roles.archive import Archive, Sealed, seal_payload
from flchain.roles.terms import Terms

KINDS = {
    Phase.JOIN: "keys",
    Phase.SHARES: "sharing",
    Phase.CHECK: "complaint",
    Phase.SUBMIT: "masked",
    Phase.UNMASK: "release",
}
MAX_MESSAGE = 1 << 20
"""Bytes of the largest message but a vector: a sharing among 1,023 neighbours has 213 KiB."""


@dataclass(frozen=True)
class Origin:
    """One round on one chain: where its messages and proofs count."""

    chain_id: int
    contract: Address
    """The contract of the masked rounds."""
    round_key: Digest

    def bind(self, agent: Address) -> ProofContext:
        """Return where an agent's proofs count."""
        return ProofContext(
            chain_id=self.chain_id, contract=self.contract, round_key=self.round_key, agent=agent
        )


@dataclass(frozen=True)
class Messages:
    """The messages of one masked round, by the digests on chain."""

    terms: Terms
    archive: Archive
    origin: Origin

    def seal(self, agent: Address, phase: Phase, payload: bytes) -> Sealed:
        """Return an agent's message of a phase with its manifest."""
        return seal_payload(
            payload,
            kind=KINDS[phase],
            dtype="uint32" if phase is Phase.SUBMIT else "bytes",
            round_key=self.origin.round_key,
            agent=agent,
            policy_digest=self.terms.task.policy_digest,
        )

    def fetch(
        self, agent: Address, phase: Phase, digest: Digest, *, max_size: int = MAX_MESSAGE
    ) -> bytes:
        """Return the message behind a digest.

        Raises ContentUnavailable, ContentCorrupt, or MalformedPayload if it is another's, of
        another round or phase, or too large.
        """
        return self.archive.fetch(
            digest,
            max_size=max_size,
            kind=KINDS[phase],
            round_key=self.origin.round_key,
            agent=agent,
            policy_digest=self.terms.task.policy_digest,
        )


def join_messages(keys: bytes, weight: bytes) -> bytes:
    """Return the message of JOIN."""
    return keys + weight


def split_join(data: bytes) -> tuple[bytes, bytes]:
    """Return keys and weight in a message of JOIN; their decoders refuse what is too short."""
    return data[:KEYS_SIZE], data[KEYS_SIZE:]

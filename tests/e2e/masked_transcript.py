"""Everything that anybody can see of a masked round: the chain's events and the store's bytes.

The orchestrator gets nothing else: there is no message that is for it alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from flchain.crypto.secagg.masking import build_pair_masks
from flchain.crypto.secagg.masks import Masks, Words, apply_masks, derive_self_key
from flchain.crypto.secagg.releases import ReleasedShare, decode_release
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.unmasking import Restored, restore_secrets
from flchain.protocol.types import Address, RoundId
from flchain.roles.archive import Archive
from flchain.roles.execution import compute_survivors
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.inputs import build_masked_inputs
from flchain.roles.masked.unmasking import read_round, read_vector
from flchain.roles.observation import Watch
from flchain.storage.cid import decode_cid
from tests.e2e.federation import Federation
from tests.e2e.masked_stage import list_manifests
from tests.unit.crypto import secagg_transcripts as shares


@dataclass(frozen=True)
class Transcript:
    """What a round has shown, and what follows from it for whoever adds it up."""

    roster: Roster
    survivors: tuple[Address, ...]
    told: tuple[tuple[Address, tuple[ReleasedShare, ...]], ...]
    """Every release in the store, counted or not, with its holder."""
    vectors: Mapping[Address, Words]
    """The survivors' masked vectors."""
    restored: Restored
    """The secrets that the releases on the chain restore."""

    @property
    def party(self) -> SimpleNamespace:
        return SimpleNamespace(roster=self.roster, agents=self.roster.graph.agents)

    def find_double_holders(self) -> set[tuple[Address, Address]]:
        """Return (holder, owner) where both shares of one owner are out from one holder."""
        found: set[tuple[Address, Address]] = shares.find_double_holders(self.told)
        return found

    def find_doubly_told(self) -> set[Address]:
        """Return the owners of whom both secrets can be restored."""
        found: set[Address] = shares.find_doubly_told(self.party, shares.count_shares(self.told))
        return found

    def find_uncovered(self, subsets: list[frozenset[Address]]) -> list[frozenset[Address]]:
        """Return the subsets of survivors whose sum is open though they have neighbours outside."""
        counts = shares.count_shares(self.told)
        found: list[frozenset[Address]] = shares.find_uncovered(
            self.party, counts, subsets, set(self.survivors)
        )
        return found

    def peel(self, agent: Address, secrets: Mapping[Address, int]) -> Words:
        """Return a survivor's vector without the masks that can be known.

        These are its own, those with who dropped out, and those with the agents whose masking
        secrets are given.
        """
        words = self.vectors[agent].copy()
        own = derive_self_key(self.restored.self_masks[agent], self.roster.round_key, agent)
        apply_masks(words, Masks(subtracted=(own,)))
        for partner, secret in {**self.restored.masking, **secrets}.items():
            # What a partner adds, the agent subtracts.
            apply_masks(words, build_pair_masks(self.roster, partner, secret, [agent]))
        return words


def read_transcript(federation: Federation, number: RoundId) -> Transcript:
    """Collect a round from a federation's ledger and store, as a stranger would."""
    context, terms = federation.orchestrator.upkeep.context, federation.terms
    task = Watch(federation.ledger, federation.task_id).observe().past
    past, origin = task.rounds[number], context.get_origin(number)
    inputs = build_masked_inputs(origin, terms.policy, task, past)
    assert inputs is not None
    messages = Messages(terms, Archive(federation.store), origin)
    (everybody,) = inputs.grouping.groups
    round_ = read_round(messages, inputs, everybody)
    roster, survivors = round_.roster, compute_survivors(past)
    opening = round_.read_opening(everybody, (each.agent for each in survivors))
    return Transcript(
        roster=roster,
        survivors=tuple(each.agent for each in survivors),
        told=tuple(_read_told(federation, roster)),
        vectors={each.agent: read_vector(messages, each) for each in survivors},
        restored=restore_secrets(opening.unmasking, opening.releases),
    )


def _read_told(
    federation: Federation, roster: Roster
) -> Iterator[tuple[Address, tuple[ReleasedShare, ...]]]:
    named = {agent.lower(): agent for agent in roster.graph.agents}
    for manifest in list_manifests(federation.store):
        if manifest.kind == "release" and manifest.round_key == roster.round_key.hex():
            cid, holder = decode_cid(manifest.cid), named[manifest.agent]
            data = federation.store.read(cid, max_size=manifest.length)
            yield holder, decode_release(roster, holder, data).shares

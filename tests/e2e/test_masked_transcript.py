"""A whole run's transcript, chain and store together, uncovers nothing but the survivors' sum.

The orchestrator sees what is on the chain and in the store, and nothing else. Of the store every
release is taken, whether the chain knows of it or not.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from flchain.crypto.secagg.keys import derive_secrets
from flchain.crypto.secagg.masks import WORD, Masks, apply_masks, derive_self_key
from flchain.crypto.secagg.releases import ReleasedShare, Secret, decode_release
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import open_shares
from flchain.crypto.secagg.unmasking import Restored, restore_secrets
from flchain.protocol.errors import EncodingError
from flchain.protocol.manifest import Manifest, decode_manifest
from flchain.protocol.types import Address, Outcome, Phase, RoundId
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.inputs import build_masked_inputs
from flchain.roles.masked.unmasking import Opening, open_round, read_vector
from flchain.storage.cid import decode_cid
from tests.e2e.federation import Federation, make_keys
from tests.unit.crypto.secagg_transcripts import (
    count_shares,
    find_doubly_told,
    find_uncovered,
    list_strict_subsets,
    sample_subsets,
)
from tests.unit.roles.masked.scenes import make_secure, make_secure_policy, send_away

FIRST = RoundId(1)
SAMPLES = 400
UNLIKELY = 255 + 6.5 * 23


@dataclass(frozen=True)
class Transcript:
    """What everybody can read of the first round, and the agents' journals to cheat with."""

    federation: Federation
    seeds: dict[Address, bytes]
    opening: Opening
    told: list
    """Holder and shares of every release in the store."""
    vectors: dict[Address, np.ndarray]

    @property
    def roster(self) -> Roster:
        return self.opening.unmasking.roster

    @property
    def party(self) -> SimpleNamespace:
        return SimpleNamespace(roster=self.roster, agents=self.roster.graph.agents)

    @property
    def survivors(self) -> frozenset[Address]:
        return self.opening.unmasking.survivors


def play(agents, fewest, absent) -> Transcript:
    """Play a round of which some agents miss SUBMIT and what follows; read what it left."""
    masking = {"threshold": fewest - 1, "max_corrupt": 1}
    overrides = {"min_agents": agents, "min_survivors": fewest, "masking": masking}
    policy = make_secure_policy(**overrides)
    federation = make_secure(agents, policy=policy, keys=make_keys(agents + 6))
    away = dict.fromkeys(absent, (Phase.SUBMIT, Phase.UNMASK))
    roles = send_away(federation, away)
    federation.run_roles(roles, lambda seen: seen.phase is Phase.UNMASK)
    seeds = {
        agent.context.signer.address: agent._participant.vault.get_secret(FIRST).seed
        for agent in federation.agents
    }
    seen = federation.run_roles(roles, lambda seen: seen.round.outcome is not Outcome.NONE)
    assert seen.live.outcome is Outcome.FINALIZED
    context = federation.validators[0].context
    messages = Messages(federation.terms, context.archive, context.get_origin(FIRST))
    inputs = build_masked_inputs(messages.origin, seen.past.holders, seen.live)
    opening = open_round(messages, inputs, [each.agent for each in seen.live.submissions])
    vectors = {each.agent: read_vector(messages, each) for each in seen.live.submissions}
    told = list_told(federation, opening.unmasking.roster)
    return Transcript(federation, seeds, opening, told, vectors)


def list_told(federation, roster) -> list:
    """Return the shares in every release of the store, by holder."""
    agents = {agent.lower(): agent for agent in roster.graph.agents}
    found = []
    for manifest in list_manifests(federation.store):
        if manifest.kind == "release":
            payload = federation.store.read(decode_cid(manifest.cid), max_size=manifest.length)
            holder = agents[manifest.agent]
            found.append((holder, decode_release(roster, holder, payload).shares))
    return found


def list_manifests(store) -> list[Manifest]:
    found = {}
    for pin in store.pins(""):
        try:
            found[pin.cid] = decode_manifest(store.get_block(pin.cid))
        except EncodingError:
            continue
    return list(found.values())


@pytest.fixture(scope="module")
def small() -> Transcript:
    return play(6, 5, absent=[2])


@pytest.fixture(scope="module")
def large() -> Transcript:
    return play(50, 40, absent=[7, 31])


def plant(transcript, owner, times) -> list:
    """Let some holders tell the other share of one owner too, which no agent does."""
    planted = list(transcript.told)
    for holder in transcript.roster.graph.neighbours[owner][:times]:
        context = transcript.roster.get_context(holder)
        secrets = derive_secrets(transcript.seeds[holder], context)
        sharings = transcript.opening.unmasking.sharings
        held, bad = open_shares(transcript.roster, holder, secrets, sharings)
        assert not bad
        planted.append((holder, (ReleasedShare(owner, Secret.MASKING, held[owner].masking),)))
    return planted


def test_transcript__of_six__no_strict_subset_is_uncovered(small):
    counts = count_shares(small.told)
    assert len(small.told) == len(small.survivors) == 5
    assert find_doubly_told(small.party, counts) == set()
    subsets = list_strict_subsets(small.survivors)
    assert len(subsets) == 2**5 - 2
    assert find_uncovered(small.party, counts, subsets, small.survivors) == []


def test_transcript__of_fifty__no_sampled_subset_is_uncovered(large):
    counts = count_shares(large.told)
    assert len(large.told) == len(large.survivors) == 48
    assert find_doubly_told(large.party, counts) == set()
    subsets = sample_subsets(sorted(large.survivors), np.random.default_rng(5), SAMPLES)
    assert find_uncovered(large.party, counts, subsets, large.survivors) == []


@pytest.mark.parametrize("name", ["small", "large"])
def test_transcript__planted_double_release__is_found(name, request):
    transcript = request.getfixturevalue(name)
    owner, threshold = min(transcript.survivors), transcript.roster.threshold
    counts = count_shares(plant(transcript, owner, threshold))
    assert find_doubly_told(transcript.party, counts) == {owner}
    alone = [frozenset([owner])]
    assert find_uncovered(transcript.party, counts, alone, transcript.survivors) == alone
    fewer = count_shares(plant(transcript, owner, threshold - 1))
    assert find_uncovered(transcript.party, fewer, alone, transcript.survivors) == []


def test_transcript__each_holder__tells_one_share_of_each_owner(small, large):
    for transcript in (small, large):
        for _, shares in transcript.told:
            owners = [share.owner for share in shares]
            assert len(owners) == len(set(owners))


def strip_known(transcript, agent, restored) -> np.ndarray:
    """Return a masked vector without the masks that the transcript gives away."""
    round_key = transcript.roster.round_key
    words: np.ndarray = transcript.vectors[agent].copy()
    own = derive_self_key(restored.self_masks[agent], round_key, agent)
    known = Masks(subtracted=(own,))
    apply_masks(words, known)
    return words


def restore(transcript) -> Restored:
    return restore_secrets(transcript.opening.unmasking, transcript.opening.releases)


def compute_unevenness(words) -> float:
    """Return the chi-square statistic of the bytes: 255 on average, with a deviation of 23."""
    counts = np.bincount(words.view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2).sum() / expected)


@pytest.mark.parametrize("name", ["small", "large"])
def test_vector__without_the_known_masks__is_uniform(name, request):
    transcript = request.getfixturevalue(name)
    restored = restore(transcript)
    for agent in transcript.survivors:
        assert compute_unevenness(strip_known(transcript, agent, restored)) < UNLIKELY


def test_vector__without_any_mask__is_not_uniform(small):
    zeros = np.zeros(len(next(iter(small.vectors.values()))), WORD)
    zeros[::7] = 1
    assert compute_unevenness(zeros) > UNLIKELY

"""From all that a run has shown, no smaller sum than the survivors' can be opened."""

from dataclasses import dataclass

import numpy as np
import pytest

from flchain.crypto.secagg.masking import from_words
from flchain.crypto.secagg.releases import Release, ReleasedShare, Secret, encode_release
from flchain.crypto.secagg.shares import open_shares
from flchain.crypto.secagg.weights import TAIL
from flchain.learning.masked_vectors import build_row
from flchain.protocol.types import Outcome, Phase, RoundId
from flchain.roles.masked.blobs import Messages
from tests.e2e.federation import QUICK, make_keys, make_memory_federation
from tests.e2e.masked_stage import make_secure_policy
from tests.e2e.masked_transcript import Transcript, read_transcript
from tests.unit.crypto.secagg_round import compute_excess
from tests.unit.crypto.secagg_transcripts import list_strict_subsets, sample_subsets
from tests.unit.roles.masked.scenes import listen_to_updates, make_entropy, reach

FIRST = RoundId(1)


@dataclass(frozen=True)
class Run:
    """A finished round: what everybody sees of it, and what only the agents know."""

    federation: object
    transcript: Transcript
    secrets: dict
    """Each agent's secrets."""
    held: dict
    """The shares that each agent has of its neighbours."""
    updates: dict

    @property
    def policy(self):
        return self.federation.terms.policy

    def plant(self, owner, times):
        """Let some holders publish the other share of one survivor too, as no agent does."""
        context = self.federation.validators[0].context
        origin = context.get_origin(FIRST)
        messages = Messages(self.federation.terms, context.archive, origin)
        roster = self.transcript.roster
        for holder in roster.graph.neighbours[owner][:times]:
            share = ReleasedShare(owner, Secret.MASKING, self.held[holder][owner].masking)
            payload = encode_release(roster.round_key, holder, Release((share,)))
            sealed = messages.seal(holder, Phase.UNMASK, payload)
            context.archive.publish(sealed, f"planted/{holder}")
        return read_transcript(self.federation, FIRST)


def play(agents, lost, **policy):
    """Play one round in memory; the first `lost` agents submit nothing."""
    federation = make_memory_federation(
        policy=make_secure_policy(**policy),
        agents=agents,
        validators=1,
        rounds=1,
        keys=make_keys(agents + 3),
        preset=QUICK,
    )
    for agent in federation.agents:
        agent.entropy = make_entropy(agent.context.signer.address)
    updates = listen_to_updates(federation)
    reach(federation, Phase.SUBMIT)
    rest = [federation.orchestrator, *federation.agents[lost:], *federation.validators]
    seen = reach(federation, Phase.UNMASK, rest)
    secrets, held = {}, {}
    for agent in federation.agents:
        account, part = agent.context.signer.address, agent._participant
        roster, secrets[account], sharings = part._read_sharings(seen, Phase.CHECK)
        held[account], _ = open_shares(roster, account, secrets[account], sharings)
    seen = federation.run_roles(rest, lambda seen: seen.round.outcome is not Outcome.NONE)
    assert seen.live.outcome is Outcome.FINALIZED
    return Run(federation, read_transcript(federation, FIRST), secrets, held, updates)


@pytest.fixture(params=[0, 1], ids=["nobody lost", "one lost"])
def six(request):
    masking = {"threshold": 3, "max_corrupt": 1}
    return play(6, request.param, min_agents=4, min_survivors=4, masking=masking)


def list_subsets(run, rng):
    survivors = run.transcript.survivors
    if len(survivors) <= 6:
        return list_strict_subsets(survivors)
    return sample_subsets(survivors, rng, 300)


def check_covers(run, rng):
    transcript = run.transcript
    holders = [holder for holder, _ in transcript.told]
    assert len(holders) == len(set(holders)) == len(transcript.survivors)
    assert transcript.find_double_holders() == set()
    assert transcript.find_doubly_told() == set()
    assert transcript.find_uncovered(list_subsets(run, rng)) == []


def check_finds_planted(run, rng):
    owner, threshold = run.transcript.survivors[-1], run.transcript.roster.threshold
    below = run.plant(owner, threshold - 1)
    assert below.find_doubly_told() == set()
    assert len(below.find_double_holders()) > 0
    above = run.plant(owner, threshold + 1)
    assert above.find_doubly_told() == {owner}
    alone = frozenset({owner})
    assert alone in above.find_uncovered([alone, *list_subsets(run, rng)])


def test_run__six_agents__every_strict_subset_keeps_a_mask(six):
    survivors = six.transcript.survivors
    assert len(list_subsets(six, None)) == 2 ** len(survivors) - 2
    check_covers(six, None)


def test_run__six_agents_and_planted_double_releases__are_found_out(six):
    check_finds_planted(six, None)


def test_vector__all_masks_but_one_known__looks_uniform(six):
    transcript, left = six.transcript, []
    for agent in transcript.survivors:
        others = [other for other in transcript.survivors if other != agent]
        secrets = {other: six.secrets[other].masking for other in others}
        # With every mask taken off the weighted update lies open, so these are the right ones.
        weight, update = six.updates[FIRST, agent]
        row = build_row(update, six.policy, transcript.roster.round_key, weight)
        assert np.array_equal(from_words(transcript.peel(agent, secrets)[:-TAIL]), row)
        # Each pair once: the other's vector has the same mask with the other sign.
        for hidden in (other for other in others if other > agent):
            known = {other: secret for other, secret in secrets.items() if other != hidden}
            left.append(transcript.peel(agent, known)[:-TAIL])
    counts = np.bincount(np.concatenate(left).view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4


def test_vectors__of_all_survivors_with_own_masks_known__look_uniform(six):
    transcript = six.transcript
    left = [transcript.peel(agent, {}) for agent in transcript.survivors]
    counts = np.bincount(np.concatenate(left).view(np.uint8), minlength=256)
    assert compute_excess(counts.tolist()) < 4


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_run__fifty_agents_of_whom_five_are_lost__sampled_subsets_keep_a_mask():
    masking = {"threshold": 20, "max_corrupt": 5}
    run = play(50, 5, min_agents=40, min_survivors=40, masking=masking)
    rng = np.random.default_rng(3)
    assert len(run.transcript.survivors) == 45
    check_covers(run, rng)
    check_finds_planted(run, rng)

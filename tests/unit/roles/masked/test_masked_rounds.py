"""Whole rounds in secure mode: what comes out is the plain sum, whoever drops out and when."""

import numpy as np
import pytest

from flchain.learning.masked_vectors import count_words
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.types import Outcome, Phase, RoundId
from flchain.roles.audit import verify_task
from flchain.roles.execution import compute_survivors
from flchain.roles.upkeep import is_over
from flchain.storage.cid import cid_from_digest
from tests.unit.roles.masked.scenes import (
    FIRST,
    add_up,
    listen_to_updates,
    look,
    make_secure,
    read_aggregate,
    send_away,
)

AGENTS = range(4)
TAIL = 17
"""Words behind a vector: the weight and what opens the commitment to it."""
SKELLAM = {
    "mechanism": "skellam",
    "epsilon": "60",
    "clip": "0.25",
    "noise_multiplier": "0.5",
    "delta_inverse": 100_000,
}
RANDOM_K = {"name": "random-k", "parameters": {"bits": 32, "error_feedback": 1, "ratio": 4}}
DROPS = [
    {},
    *({n: [Phase.SUBMIT]} for n in AGENTS),
    {0: [Phase.JOIN]},
    {1: [Phase.SHARES]},
    {0: [Phase.SUBMIT], 1: [Phase.UNMASK]},
    {2: [Phase.UNMASK]},
    {3: [Phase.CHECK]},
]


def name_drops(drops):
    return ",".join(f"{n}-{p[0].name}".lower() for n, p in drops.items()) or "nobody"


def play(federation, drops):
    return federation.run_roles(send_away(federation, drops), lambda seen: is_over(seen, 1))


@pytest.mark.parametrize("drops", DROPS, ids=name_drops)
def test_round__agents_drop_out__gives_the_plain_sum_of_the_survivors_bit_for_bit(drops):
    federation = make_secure(len(AGENTS))
    made = listen_to_updates(federation)
    seen = play(federation, drops)
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    gone = {
        n for n, phases in drops.items() if {*phases} & {Phase.JOIN, Phase.SHARES, Phase.SUBMIT}
    }
    accounts = [agent.context.signer.address for agent in federation.agents]
    expected = {account for n, account in enumerate(accounts) if n not in gone}
    survivors = [item.agent for item in compute_survivors(past)]
    assert set(survivors) == expected
    sections, weight = read_aggregate(federation, past)
    plain, total = add_up(made, FIRST, survivors)
    assert weight == total
    assert sections.keys() == plain.keys()
    for name, section in sections.items():
        assert np.array_equal(section, plain[name])
        assert section.any()
    assert len({made[FIRST, account][0] for account in survivors}) == 2


def read_vector_size(federation, past):
    blocks = [federation.store.get_block(cid_from_digest(item.digest)) for item in past.submissions]
    return {decode_manifest(block).length for block in blocks}


def test_round__random_k__is_final_sound_and_shorter_by_its_ratio():
    federation = make_secure(rounds=2, overrides={"compression": RANDOM_K})
    made = listen_to_updates(federation)
    seen = federation.run(2)
    words = count_words(federation.terms.policy)
    assert words == -(-650 // 4)
    for number, past in seen.past.rounds.items():
        assert past.outcome is Outcome.FINALIZED
        assert read_vector_size(federation, past) == {4 * (words + TAIL)}
        sections, _ = read_aggregate(federation, past)
        plain, _ = add_up(made, number, [item.agent for item in compute_survivors(past)])
        assert np.array_equal(sections["delta"], plain["delta"])
        assert 0 < np.count_nonzero(sections["delta"]) <= words
    kept = [
        np.flatnonzero(read_aggregate(federation, p)[0]["delta"]) for p in seen.past.rounds.values()
    ]
    assert not np.array_equal(*kept)
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound


def test_round__uncompressed__has_all_values_in_a_vector():
    federation = make_secure()
    seen = federation.run(1)
    assert read_vector_size(federation, seen.live) == {4 * (650 + TAIL)}


def test_round__skellam_noise__gives_the_sum_of_the_noised_rows():
    overrides = {
        "privacy": SKELLAM,
        "update.w_max": 1,
        "update.clip": "8",
        "update.coordinate_bound": "1",
    }
    federation = make_secure(overrides=overrides)
    made = listen_to_updates(federation)
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    plain, total = add_up(made, FIRST, [item.agent for item in compute_survivors(past)])
    sections, weight = read_aggregate(federation, past)
    assert (weight, total) == (4, 4)
    assert np.array_equal(sections["delta"], plain["delta"])
    # Four times the variance of one, and little else: the updates are within the clip.
    policy = federation.terms.policy
    one = policy.privacy.noise_micros * policy.privacy.clip / 1e6
    assert np.std(sections["delta"]) == pytest.approx(2 * one, rel=0.15)
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound
    assert look(federation).masked.spent == 1


@pytest.mark.parametrize(
    ("drops", "outcome"),
    [
        ({0: [Phase.JOIN], 1: [Phase.JOIN]}, Outcome.ABORTED_TOO_FEW),
        ({0: [Phase.SHARES], 1: [Phase.SHARES]}, Outcome.ABORTED_TOO_FEW),
        ({0: [Phase.SUBMIT], 1: [Phase.SUBMIT]}, Outcome.ABORTED_TOO_FEW),
        ({n: [Phase.UNMASK] for n in (0, 1, 2)}, Outcome.ABORTED_UNMASK),
    ],
    ids=["join", "shares", "submit", "unmask"],
)
def test_round__too_few_are_left__ends_and_tells_nothing(drops, outcome):
    federation = make_secure()
    seen = play(federation, drops)
    assert seen.live.outcome is outcome
    assert (seen.masked.spent == 1) == (outcome is Outcome.ABORTED_UNMASK)
    assert not seen.live.proposals
    for agent in federation.agents:
        agent.tick(seen)
        # What is left says which rounds are over, and nothing of them.
        assert all(name.startswith("closed-") for name in agent.context.journal.names())


def test_round__after_one_that_failed__goes_on_with_everybody():
    federation = make_secure(rounds=2)
    roles = send_away(federation, {0: [Phase.SHARES], 1: [Phase.SHARES]})
    federation.run_roles(roles, lambda seen: is_over(seen, 1))
    seen = federation.run(2)
    assert seen.past.rounds[RoundId(2)].outcome is Outcome.FINALIZED
    assert len(compute_survivors(seen.live)) == len(AGENTS)

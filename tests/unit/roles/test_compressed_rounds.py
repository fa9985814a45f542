"""Rounds whose updates are compressed or noised: voted on, audited and paid as all others."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from flchain.learning.aggregation import check_rules
from flchain.learning.compression import CHOICES, decode_memories
from flchain.protocol.errors import ConfigError
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.policy import RuleSpec
from flchain.protocol.types import Outcome, Phase
from flchain.roles.archive import Sealed
from flchain.roles.audit import verify_task
from flchain.roles.history import RoundPast
from flchain.roles.journal import MemoryJournal
from flchain.storage.cid import cid_from_digest
from tests.e2e.federation import MoodyAgent, make_memory_federation, make_policy

WHOLE = 4 * 650
POWERSGD = {
    "name": "powersgd/zlib",
    "parameters": {
        "error_feedback": 1,
        "levels": 127,
        "minimum_ratio_bps": 20_000,
        "power_iterations": 1,
        "rank": 2,
        "warm_start": 1,
    },
}
RANDOM_K = {"name": "random-k", "parameters": {"bits": 32, "error_feedback": 1, "ratio": 4}}
SKELLAM = {
    "mechanism": "skellam",
    "epsilon": "30",
    "clip": "0.25",
    "noise_multiplier": "1",
    "delta_inverse": 100_000,
}


def start(rounds=2, **rules):
    return make_memory_federation(policy=make_policy(**rules), rounds=rounds)


def run(rounds=2, **rules):
    federation = start(rounds, **rules)
    return federation, federation.run(rounds)


def get_manifests(federation, past: RoundPast):
    blocks = [federation.store.get_block(cid_from_digest(s.digest)) for s in past.submissions]
    return [decode_manifest(block) for block in blocks]


@pytest.mark.parametrize(
    ("rule", "least"), [(POWERSGD, 8), (RANDOM_K, 3.4)], ids=["powersgd", "random-k"]
)
def test_compressed__two_rounds__are_final_sound_and_small(rule, least):
    federation, seen = run(compression=rule)
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.FINALIZED] * 2
    for past in seen.past.rounds.values():
        for manifest in get_manifests(federation, past):
            assert manifest.dtype == "bytes"
            assert WHOLE / manifest.length > least
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound
    updates = [check.detail for check in report.checks if check.subject == "updates"]
    assert all(text.startswith("3 of 3 count") for text in updates)


@pytest.mark.parametrize("name", ["zlib", "gzip"])
def test_compressed__section_of_counts__is_compressed_without_loss(name):
    rule = {"name": name, "parameters": {}}
    federation = make_memory_federation(policy=make_fednova(compression=rule), rounds=1)
    (past,) = federation.run(1).past.rounds.values()
    assert past.outcome is Outcome.FINALIZED
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound
    (counted,) = [check.detail for check in report.checks if check.subject == "updates"]
    assert counted.startswith("3 of 3 count")


def make_fednova(**rules):
    strategy = RuleSpec("fednova", (("max_steps", 100), ("reference_steps", 10)))
    return replace(make_policy(**rules), strategy=strategy)


@pytest.mark.parametrize("name", ["int8", "adaptive"])
def test_compressed__counts_with_losses__are_refused(name):
    parameters = {"error_feedback": 1} if name == "int8" else {}
    policy = make_fednova(compression={"name": name, "parameters": parameters})
    with pytest.raises(ConfigError, match="choose a lossless compression"):
        check_rules(policy)


def test_compressed__two_strategy_sections__are_both_compressed():
    federation, seen = run(strategy="mimelite", compression=POWERSGD, **{"training.momentum": "0"})
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.FINALIZED] * 2
    assert all(
        2 * WHOLE / manifest.length > 8
        for manifest in get_manifests(federation, seen.past.rounds[1])
    )


def test_feedback__between_rounds__is_in_the_journal_and_used():
    federation = start(rounds=3, compression=POWERSGD)
    federation.run(3)
    journal = federation.agents[0].context.journal
    entries = [name for name in journal.names() if name.startswith("memory-")]
    assert len(entries) == 2
    newest = decode_memories(journal.read(entries[-1]), ("delta",))["delta"]
    assert np.abs(newest.residual).max() > 0
    assert len(newest.basis) == 2 * 64


def test_feedback__update_made_again_after_a_crash__is_the_same():
    federation = start(compression=POWERSGD)
    agent = federation.agents[0]
    federation.run_roles(
        federation.roles, lambda seen: seen.round.round == 2 and seen.phase is Phase.SUBMIT
    )
    seen = federation.watch.observe()
    first = agent._make_update(seen)
    # Killed before the update was written down; what it left is there already.
    again = agent._make_update(seen)
    assert again.payload == first.payload
    fresh = replace(agent, context=replace(agent.context, journal=MemoryJournal()))
    assert fresh._make_update(seen).payload != first.payload


def test_feedback__damaged_entry__starts_from_nothing():
    federation = start(compression=POWERSGD)
    agent = federation.agents[0]
    federation.run_roles(
        federation.roles, lambda seen: seen.round.round == 2 and seen.phase is Phase.SUBMIT
    )
    seen, journal = federation.watch.observe(), agent.context.journal
    for name in [name for name in journal.names() if name.startswith("memory-")]:
        journal.write(name, b"\xff" * 99)
    fresh = replace(agent, context=replace(agent.context, journal=MemoryJournal()))
    assert agent._make_update(seen).payload == fresh._make_update(seen).payload


@dataclass
class SpoilingAgent(MoodyAgent):
    """An agent whose updates end in other bytes than its compressor made."""

    def _seal(self, payload, number) -> Sealed:
        return super()._seal(payload[:-3] + b"xyz", number)


def test_compressed__spoilt_update__counts_for_nothing_and_stops_nothing():
    federation = start(rounds=1, compression=POWERSGD)
    fields = {name: getattr(federation.agents[0], name) for name in ("context", "terms")}
    spoiler = SpoilingAgent(
        **fields, trainer=federation.agents[0].trainer, data=federation.agents[0].data
    )
    federation = replace(federation, agents=[spoiler, *federation.agents[1:]])
    seen = federation.run(1)
    assert seen.past.rounds[1].outcome is Outcome.FINALIZED
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound
    updates = [check.detail for check in report.checks if check.subject == "updates"]
    assert updates[0].startswith("2 of 3 count")


def test_adaptive__agents_with_other_choices__agree_on_the_result():
    federation = start(rounds=1, compression={"name": "adaptive"})
    for agent, choice in zip(federation.agents, CHOICES[:3], strict=True):
        agent.choice = choice
    seen = federation.run(1)
    assert seen.past.rounds[1].outcome is Outcome.FINALIZED
    lengths = [manifest.length for manifest in get_manifests(federation, seen.past.rounds[1])]
    assert len(set(lengths)) == 3


def test_noise__same_policy_and_data__is_new_in_every_run():
    """Noise that followed from the policy's seed could be taken off again by anybody."""
    digests = set()
    for _ in range(2):
        _, seen = run(1, privacy=SKELLAM)
        assert seen.past.rounds[1].outcome is Outcome.FINALIZED
        digests.add(seen.past.versions[1].state_digest)
    assert len(digests) == 2


def test_noise__compressed_after_it__is_final_and_sound():
    federation, seen = run(1, privacy=SKELLAM, compression=POWERSGD)
    assert seen.past.rounds[1].outcome is Outcome.FINALIZED
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound


def test_noise__budget_for_one_round__agents_stay_out_of_the_second():
    federation = start(2, privacy=SKELLAM | {"epsilon": "12"})
    book = federation.ledger.state.books[federation.task_id]
    assert book.task.privacy_rounds == 1
    # A contract that does not hold the task to it: the agents do.
    book.task = replace(book.task, privacy_rounds=0)
    federation.run_roles(
        federation.roles, lambda seen: seen.round.round == 2 and seen.phase is Phase.SUBMIT
    )
    seen = federation.watch.observe()
    assert [agent._is_due(seen) for agent in federation.agents] == [False] * 3
    assert federation.agents[0]._most_rounds == 1
    agent = federation.agents[0]
    richer = replace(federation.terms.policy.privacy, budget_micros=10**9)
    agent.terms = replace(federation.terms, policy=replace(federation.terms.policy, privacy=richer))
    del agent.__dict__["_most_rounds"]
    assert agent._most_rounds > 1

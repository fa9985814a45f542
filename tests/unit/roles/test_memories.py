"""What strategies keep between rounds, in federations in memory."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from flchain.learning.aggregation import compute_capped_weights
from flchain.learning.parameters import to_float
from flchain.learning.strategies import DEFAULTS
from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Outcome, Phase
from flchain.roles.assembly import fetch_state
from flchain.roles.memories import load_memory, save_memory
from tests.e2e.federation import make_memory_federation, make_policy

SCAFFOLD = {"strategy.name": "scaffold", "strategy.parameters": DEFAULTS["scaffold"]}


def make_scaffold(**options):
    return make_memory_federation(policy=make_policy(**SCAFFOLD), **options)


def read_entries(agent):
    journal = agent.context.journal
    names = [name for name in journal.names() if name.startswith("strategy-")]
    return {int(name[-8:]): safetensors.numpy.load(journal.read(name)) for name in names}


def test_memories__scaffold__clients_hold_the_servers_control_between_them():
    federation = make_scaffold()
    seen = federation.run(2, claims=False)
    digest = seen.past.versions[2].state_digest
    state = fetch_state(federation.agents[0].context.archive, digest, federation.terms)
    controls = [load_memory(a.context, seen.past, 3)["control"] for a in federation.agents]
    declared = [s.weight for s in seen.past.rounds[2].submissions]
    weights = compute_capped_weights(declared, federation.terms.policy.max_share_bps)
    control = to_float(state.sections["server/control"])
    assert np.allclose(control, np.average(controls, axis=0, weights=weights), atol=1e-6)
    assert not np.allclose(controls[0], controls[1])


def test_memories__round_that_is_not_finalised__is_forgotten():
    federation = make_scaffold(rounds=3)
    seen = federation.run(2, claims=False)
    context, past = federation.agents[0].context, seen.past
    assert np.array_equal(
        load_memory(context, past, 3)["control"], read_entries(federation.agents[0])[2]["control"]
    )
    last = past.rounds[2]
    aborted = replace(last, settled=replace(last.settled, outcome=Outcome.ABORTED_NO_QUORUM))
    past = replace(past, rounds={**past.rounds, 2: aborted})
    assert np.array_equal(
        load_memory(context, past, 3)["control"], read_entries(federation.agents[0])[1]["control"]
    )
    assert load_memory(context, past, 1) == {}


def test_memories__many_rounds__keep_what_may_still_be_needed():
    federation = make_scaffold(rounds=4)
    federation.run(4, claims=False)
    assert sorted(read_entries(federation.agents[0])) == [3, 4]


def test_memories__crash_before_the_update_is_written__makes_the_same_again():
    federation = make_scaffold(rounds=2)
    federation.run(1, claims=False)
    agent = federation.agents[0]
    until = lambda seen: seen.round.round == 2 and seen.phase is Phase.SUBMIT  # noqa: E731
    seen = federation.run_roles([federation.orchestrator], until)
    first = agent._make_update(seen)
    assert sorted(read_entries(agent)) == [1, 2]
    assert agent._make_update(seen) == first


def test_memories__damaged_entry__is_told_and_not_overlooked():
    federation = make_scaffold()
    seen = federation.run(1, claims=False)
    context = federation.agents[0].context
    name = next(n for n in context.journal.names() if n.startswith("strategy-"))
    context.journal.write(name, b"garbage")
    with pytest.raises(ConfigError, match=r"is damaged .* restore it, or remove it"):
        load_memory(context, seen.past, 2)


def test_memories__nothing_kept__writes_nothing():
    federation = make_memory_federation()
    seen = federation.run(1, claims=False)
    assert read_entries(federation.agents[0]) == {}
    save_memory(federation.agents[0].context, seen.past, 2, {})
    assert read_entries(federation.agents[0]) == {}


def test_cohort__half_of_the_agents__others_stay_away_and_rounds_end():
    policy = make_policy(cohort_bps=5_000, min_agents=3, min_survivors=1)
    federation = make_memory_federation(policy=policy, agents=4, rounds=3)
    seen = federation.run(3, claims=False)
    taken = [frozenset(s.agent for s in past.submissions) for past in seen.past.rounds.values()]
    assert len(set(taken)) > 1
    assert any(0 < len(agents) < 4 for agents in taken)


def test_local_layers__federation__agents_go_on_from_their_own():
    policy = make_policy(**{"model.local_layers": ["fc1.bias"]})
    federation = make_memory_federation(policy=policy, rounds=2)
    seen = federation.run(2, claims=False)
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    kept = [read_entries(agent) for agent in federation.agents]
    assert not np.array_equal(kept[0][1]["local/fc1.bias"], kept[0][2]["local/fc1.bias"])
    digest = seen.past.versions[2].state_digest
    state = fetch_state(federation.agents[0].context.archive, digest, federation.terms)
    assert not state.sections["params"][-10:].any()

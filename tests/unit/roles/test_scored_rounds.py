"""Rounds whose rule leaves out updates by validators' signed scores."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from flchain.learning.attacks import get_attack
from flchain.learning.contribution import PROBES
from flchain.protocol.types import Outcome, RoundId
from flchain.roles.assembly import Found, assemble_round, build_inputs
from flchain.roles.audit import verify_task
from flchain.roles.collusion import Collusion
from flchain.roles.execution import execute_round, fetch_rewards
from flchain.roles.scores import read_recorded_scores
from tests.e2e.federation import make_memory_federation, make_policy

RULE = {"f": 0, "min_clients": 3, "probe_size": 60, "score_bps": 7_000}


def start(method):
    """Return a federation of four, the first of whom sends five times the mean, negated."""
    policy = make_policy(
        min_agents=4,
        min_survivors=4,
        aggregator={"name": "scores/mean", "parameters": RULE},
        **{"rewards.contribution": method},
    )
    federation = make_memory_federation(policy=policy, agents=4)
    agent = federation.agents[0]
    agent.produce = partial(Collusion(get_attack("sign-flip-5"), [agent.data]).produce, 0)
    return federation


@pytest.fixture(scope="module", params=sorted(PROBES))
def played(request):
    federation = start(request.param)
    return federation, federation.run(2)


def test_round__by_signed_scores__is_final_and_audited(played):
    federation, seen = played
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound, report.failures


def test_round__scores__are_in_the_record_and_decide_the_state(played):
    federation, seen = played
    context, terms = federation.validators[0].context, federation.terms
    past = seen.past.rounds[RoundId(2)]
    assert len(read_scores(context, terms, past)) == 3
    again = assemble_round(context, terms, seen.past, past, past.final_proposal)
    assert again.content == past.final_proposal.content
    inputs = build_inputs(context, terms, seen.past, past)
    unscored = execute_round(terms, inputs, context.archive, context.ids)
    assert unscored.content.state_digest != again.content.state_digest
    for name, section in unscored.next_state.sections.items():
        assert np.array_equal(section, inputs.parent.sections[name]), "without scores it moved"


def test_round__accuracy_on_a_probe__leaves_the_attacker_out():
    federation = start("probe-accuracy")
    seen = federation.run(1)
    context, terms = federation.validators[0].context, federation.terms
    past = seen.past.rounds[RoundId(1)]
    found = Found(read_scores(context, terms, past))
    inputs = build_inputs(context, terms, seen.past, past, found)
    bad = federation.agents[0].context.signer.address
    honest = tuple(item for item in inputs.survivors if item.agent != bad)

    def execute(terms, survivors):
        given = replace(inputs, survivors=survivors)
        return execute_round(terms, given, context.archive, context.ids).next_state

    found, expected = execute(terms, inputs.survivors), execute(open_to_all(terms), honest)
    everybody = execute(open_to_all(terms), inputs.survivors)
    # The sum stands for the mean times all weights, the attacker's too: the last bits differ.
    assert compute_gap(found, expected) < 2**12 < compute_gap(found, everybody)
    rewards = fetch_rewards(context.archive, past.final_proposal.content.aggregate_root)
    paid = {reward.account: reward.amount for reward in rewards}
    assert paid.get(bad, 0) < min(paid[item.agent] for item in honest)


def open_to_all(terms):
    """Return the terms of a rule that no score is too low for."""
    rule = tuple(sorted((dict(terms.policy.aggregator.parameters) | {"score_bps": 0}).items()))
    aggregator = replace(terms.policy.aggregator, parameters=rule)
    return replace(terms, policy=replace(terms.policy, aggregator=aggregator))


def compute_gap(first, second):
    return np.abs(first.sections["params"] - second.sections["params"]).max()


def read_scores(context, terms, past):
    origin = (context.ids, context.get_round_key(past.opened.round))
    return read_recorded_scores(context.archive, terms, past, past.final_proposal, origin)

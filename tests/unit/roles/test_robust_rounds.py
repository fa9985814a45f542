"""Rounds whose policy names a robust rule: proposed, voted on and audited like any other."""

from functools import partial

import numpy as np
import pytest

from flchain.learning.aggregation import aggregate_updates, is_sum
from flchain.learning.attacks import get_attack
from flchain.protocol.types import Outcome, RoundId
from flchain.roles.assembly import build_inputs
from flchain.roles.audit import verify_task
from flchain.roles.collusion import Collusion
from flchain.roles.execution import build_submission
from flchain.roles.tags import compute_tag, get_seed
from tests.e2e import forgeries
from tests.e2e.federation import Behaviour, make_memory_federation, make_policy
from tests.unit.roles.drawn import make_drawn

AGGREGATOR = {"aggregator": {"name": "nnm/trimmed-mean", "parameters": {"f": 1}}}
ALL = (0, 1, 2)


def make_robust(**overrides):
    return make_policy(min_agents=4, min_survivors=4, **AGGREGATOR, **overrides)


def corrupt(federation, attack):
    """Let the first agent attack."""
    agent = federation.agents[0]
    agent.produce = partial(Collusion(get_attack(attack), [agent.data]).produce, 0)


def audit(federation):
    return verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)


@pytest.fixture(scope="module")
def attacked():
    """A federation of four, the first of whom sends five times the mean with its sign changed."""
    federation = make_memory_federation(policy=make_robust(), agents=4)
    corrupt(federation, "sign-flip-5")
    return federation, federation.run(2)


def test_round__robust_rule_and_an_attacker__is_final_and_audited(attacked):
    federation, seen = attacked
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    assert audit(federation).is_sound


def test_round__robust_rule__is_no_mean_of_what_was_sent(attacked):
    federation, seen = attacked
    context, terms = federation.validators[0].context, federation.terms
    inputs = build_inputs(context, terms, seen.past, seen.past.rounds[RoundId(1)])
    rows = [
        build_submission(terms, inputs.round_key, item, context.archive)
        for item in inputs.survivors
    ]
    aggregate = aggregate_updates(rows, terms.policy, inputs.round_key)
    plain = aggregate_updates(rows, make_policy(), inputs.round_key)
    assert aggregate.weights == plain.weights
    assert not np.array_equal(aggregate.sections["delta"], plain.sections["delta"])
    assert (is_sum(terms.policy), is_sum(make_policy())) == (False, True)


def test_round__nan_from_an_attacker__goes_on_without_it():
    federation = make_memory_federation(policy=make_robust(), agents=4)
    corrupt(federation, "nan")
    seen = federation.run(1)
    assert seen.past.rounds[RoundId(1)].outcome is Outcome.FINALIZED
    report = audit(federation)
    assert report.is_sound
    account = federation.agents[0].context.signer.address
    noted = [check for check in report.checks if account in check.subject]
    assert "counts for nothing" in noted[0].detail


def test_audit__wrong_centre__says_which_integer_and_blames_no_update():
    behaviour = Behaviour(forge={1: forgeries.forge_sum}, colluders=ALL)
    federation = make_memory_federation(policy=make_robust(), agents=4, behaviour=behaviour)
    federation.run(1)
    failures = {check.subject: check.detail for check in audit(federation).failures}
    assert "1 of 650 integers of section 'delta' differ" in failures["sum"]
    assert "counted" not in failures["sum"]


def test_tag__robust_rule__is_that_of_the_votes():
    federation = make_drawn(policy=make_robust(), agents=4)
    seen = federation.run(1)
    past = seen.past.rounds[RoundId(1)]
    context, terms = federation.validators[0].context, federation.terms
    inputs = build_inputs(context, terms, seen.past, past)
    weights = tuple(item.weight for item in inputs.survivors)
    assert past.votes
    for vote in past.votes:
        tag = compute_tag(
            terms,
            inputs,
            context.archive,
            weights=weights,
            proposal_id=vote.vote.proposal_id,
            seed=get_seed(past, 0),
            validator=vote.validator,
        )
        assert tag == vote.vote.exec_tag

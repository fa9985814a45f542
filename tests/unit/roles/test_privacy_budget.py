"""A task whose privacy budget is spent: the contract opens no round, and nobody insists."""

from dataclasses import replace

import pytest

from flchain.learning.budgets import compute_privacy_rounds
from flchain.protocol.calls import OpenRound
from flchain.protocol.errors import ConfigError
from flchain.protocol.reverts import PrivacyBudgetSpent
from flchain.protocol.types import ZERO_ADDRESS, Outcome, Phase
from flchain.roles.spending import Spending, list_charged_rounds, read_spending
from flchain.roles.task_setup import build_task
from flchain.roles.terms import Terms, verify_terms
from tests.e2e.federation import QUICK, make_memory_federation, make_policy

NOISE = {
    "mechanism": "skellam",
    "clip": "0.05",
    "noise_multiplier": "4",
    "delta_inverse": 100_000,
    "epsilon": "3.5",
}


def make_private(**changes):
    return make_policy(privacy=NOISE | changes)


def start(**options):
    return make_memory_federation(policy=make_private(), rounds=100, **options)


def listen(role, heard):
    """Let a role report to a list."""
    context = replace(role.context, report=heard.append)
    role.context = context
    if getattr(role, "upkeep", None):
        role.upkeep.context = context


def play(federation, seconds=30):
    """Play until the last round is over and so many seconds have passed since."""
    ended = []

    def until(seen):
        if seen.phase is Phase.ENDED and seen.round.round == allowed:
            ended.append(seen.now)
        return bool(ended) and seen.now > ended[0] + seconds

    allowed = federation.terms.task.privacy_rounds
    return federation.run_roles(federation.roles, until)


def test_build_task__noise__the_contract_gets_the_rounds_that_the_budget_pays_for():
    policy = make_private()
    task = build_task(policy, QUICK.schedule, ZERO_ADDRESS)
    assert task.privacy_rounds == compute_privacy_rounds(policy) == 2


def test_build_task__no_noise__limits_nothing():
    for policy in (make_policy(), make_private(epsilon="0")):
        assert build_task(policy, QUICK.schedule, ZERO_ADDRESS).privacy_rounds == 0


def test_build_task__budget_that_pays_for_nothing__is_refused():
    with pytest.raises(ConfigError, match="does not pay for one round"):
        build_task(make_private(epsilon="0.5"), QUICK.schedule, ZERO_ADDRESS)


@pytest.mark.parametrize(
    ("rounds", "says"), [(3, "pays for 2 rounds, the contract stops after 3"), (0, "never stops")]
)
def test_verify_terms__contract_that_overspends__is_refused(rounds, says):
    terms = start().terms
    verify_terms(terms)
    with pytest.raises(ConfigError, match=says):
        verify_terms(replace(terms, task=replace(terms.task, privacy_rounds=rounds)))


def test_verify_terms__contract_that_stops_earlier__is_accepted():
    terms = start().terms
    verify_terms(replace(terms, task=replace(terms.task, privacy_rounds=1)))


def test_verify_terms__limit_without_noise__is_refused():
    federation = make_memory_federation()
    terms: Terms = federation.terms
    with pytest.raises(ConfigError, match="pays for 0 rounds"):
        verify_terms(replace(terms, task=replace(terms.task, privacy_rounds=5)))


def test_task__budget_spent__stops_with_its_own_error_and_says_it_once():
    federation = start(patience=2)
    heard, refused = [], []
    send = federation.ledger.send

    def watch(call, signer):
        try:
            return send(call, signer)
        except PrivacyBudgetSpent:
            refused.append(signer.address)
            raise

    federation.ledger.send = watch
    listen(federation.orchestrator.upkeep, heard)
    listen(federation.agents[0], heard)
    seen = play(federation)
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.FINALIZED] * 2
    said = [(n.role, n.round, n.values) for n in heard if n.action == "privacy-budget-spent"]
    assert said == [
        ("orchestrator", 3, {"rounds": 2.0}),
        ("agent", 3, {"rounds": 2.0}),
    ]
    assert refused
    assert len(refused) == len(set(refused)), "somebody asked twice"
    with pytest.raises(PrivacyBudgetSpent) as error:
        send(OpenRound(federation.task_id), federation.sponsor)
    assert error.value == PrivacyBudgetSpent(2)
    assert "all 2 rounds of it are used" in str(error.value)


def test_spending__each_opened_round__is_charged():
    federation = start()
    task, ledger, task_id = federation.terms.task, federation.ledger, federation.task_id
    assert read_spending(ledger, task_id, task) == Spending(0, 2)
    federation.run(1)
    assert read_spending(ledger, task_id, task) == Spending(1, 2)
    assert not read_spending(ledger, task_id, task).is_over
    play(federation, seconds=0)
    assert read_spending(ledger, task_id, task).is_over
    assert list_charged_rounds(ledger, task_id, task) == [1, 2]


def test_spending__nothing_is_limited__is_never_over():
    assert not Spending(10**6, 0).is_over

"""A task over Anvil that runs out of its privacy budget, and what the command line says of it."""

import json

import pytest

from flchain.chain.address_book import save_address_book
from flchain.crypto.keys import create_keystore
from flchain.learning.budgets import compute_spent_epsilon
from flchain.protocol.calls import OpenRound
from flchain.protocol.reverts import PrivacyBudgetSpent
from flchain.protocol.types import Outcome
from flchain.roles.upkeep import is_over
from tests.e2e import cli
from tests.e2e.federation import (
    make_policy,
    make_secret,
    make_site_federation,
    open_site,
)

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(300)]

BOSS = 1
"""The orchestrator's place among the members."""
ALLOWED = 2
NOISE = {
    "mechanism": "skellam",
    "clip": "0.05",
    "noise_multiplier": "4",
    "delta_inverse": 100_000,
    "epsilon": "3.5",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("budget")


@pytest.fixture(scope="module")
def spent(place):
    """A federation that has played all the rounds that its budget pays for."""
    with open_site(place) as site:
        federation = make_site_federation(
            site, place, policy=make_policy(privacy=NOISE), rounds=100
        )
        save_address_book(site.book, place / "book.json")
        seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, ALLOWED))
        yield site, federation, seen


def call_json(place, site, federation, *command):
    return cli.call_json(place, *command, *locate(place, site, federation))


def locate(place, site, federation):
    return (
        *("--rpc", site.devnet.rpc_url, "--addresses", str(place / "book.json")),
        *("--store", f"file:{place / 'store'}", "--task", str(federation.task_id)),
    )


def test_contract__budget_spent__refuses_with_its_own_error(spent):
    _, federation, seen = spent
    assert federation.terms.task.privacy_rounds == ALLOWED
    outcomes = [past.outcome for past in seen.past.rounds.values()]
    assert outcomes == [Outcome.FINALIZED] * ALLOWED
    with pytest.raises(PrivacyBudgetSpent) as error:
        federation.ledger.send(OpenRound(federation.task_id), federation.sponsor)
    assert error.value == PrivacyBudgetSpent(ALLOWED)


def test_show__budget_spent__says_what_is_spent_and_what_was_allowed(place, spent):
    site, federation, _ = spent
    facts = call_json(place, site, federation, "task", "show")
    assert (facts["privacy_spent"], facts["privacy_rounds"]) == (ALLOWED, ALLOWED)
    assert f"of 3.5 at delta 1/100000 after {ALLOWED} rounds" in facts["privacy_now"]


def test_ledger__privacy__has_a_row_for_each_round_that_was_charged(place, spent):
    site, federation, _ = spent
    rows = call_json(place, site, federation, "ledger", "privacy")
    assert [(row["round"], row["spent"], row["allowed"]) for row in rows] == [(1, 1, 2), (2, 2, 2)]
    policy = federation.terms.policy
    assert [row["epsilon"] for row in rows] == [compute_spent_epsilon(policy, n) for n in (1, 2)]
    assert {(row["of"], row["accountant"]) for row in rows} == {(3.5, "renyi")}
    (only,) = call_json(place, site, federation, "ledger", "privacy", "--round", "2")
    assert only == rows[1]


def test_orchestrator__budget_spent__ends_by_itself_and_says_why(place, spent):
    site, federation, _ = spent
    (place / "password").write_text("correct horse\n")
    create_keystore(place / "boss.json", make_secret(BOSS), "correct horse", rounds=2)
    key = ("--keystore", "boss.json", "--password-file", "password")
    where = locate(place, site, federation)
    done = cli.call(place, "orchestrator", "run", "--json", *key, *where)
    assert done.returncode == 0, done.stderr
    notices = [json.loads(line) for line in done.stdout.splitlines()]
    said = [notice for notice in notices if notice["action"] == "privacy-budget-spent"]
    assert [notice["values"] for notice in said] == [{"rounds": 2.0}]
    assert not any(notice["action"] == "OpenRound" for notice in notices)

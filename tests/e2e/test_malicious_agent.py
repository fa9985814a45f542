"""`flchain agent run --attack`: a malicious member in a process of its own, over Anvil."""

import pytest

from flchain.chain.address_book import save_address_book
from flchain.crypto.keys import create_keystore
from flchain.protocol.types import Outcome
from flchain.roles.archive import Archive
from flchain.roles.execution import fetch_rewards
from flchain.roles.upkeep import is_over
from tests.e2e import cli
from tests.e2e.federation import make_secret, make_site_federation, open_site

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(300)]

FIRST_AGENT = 2
"""Its place among the members, after the sponsor and the orchestrator."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("malice")


@pytest.fixture(scope="module")
def attacked(place):
    """A round in which the first agent is a process that sends NaN."""
    with open_site(place) as site:
        federation = make_site_federation(site, place, rounds=1)
        save_address_book(site.book, place / "book.json")
        (place / "password").write_text("correct horse\n")
        create_keystore(place / "bad.json", make_secret(FIRST_AGENT), "correct horse", rounds=2)
        where = (
            *("--rpc", site.devnet.rpc_url, "--addresses", "book.json"),
            *("--store", f"file:{place / 'store'}", "--task", str(federation.task_id)),
        )
        process = cli.start(
            place,
            *("agent", "run", "--attack", "nan", "--data", "digits:0-120", "--rounds", "1"),
            *("--keystore", "bad.json", "--password-file", "password", *where),
        )
        roles = [federation.orchestrator, *federation.agents[1:], *federation.validators]
        seen = federation.run_roles(roles, lambda seen: is_over(seen, 1))
        output, errors = process.communicate(timeout=60)
        yield federation, seen, where, process.returncode, output, errors


def test_agent__malicious__says_loudly_what_it_is(attacked):
    federation, _, _, code, output, errors = attacked
    assert code == 0, errors
    assert errors.startswith(f"WARNING: {federation.agents[0].context.signer.address} is MALICIOUS")
    assert "'nan'" in errors
    assert "Submit" in output


def test_round__an_agent_sends_nan__goes_on_without_it(attacked):
    federation, seen, *_ = attacked
    (past,) = seen.past.rounds.values()
    assert past.outcome is Outcome.FINALIZED
    assert len(past.submissions) == 3
    bad = federation.agents[0].context.signer.address
    assert bad in {item.agent for item in past.submissions}
    root = past.final_proposal.content.aggregate_root
    paid = {reward.account for reward in fetch_rewards(Archive(federation.store), root)}
    assert bad not in paid
    assert {agent.context.signer.address for agent in federation.agents[1:]} <= paid


def test_verify__an_agent_sent_nan__it_is_named_with_what_is_wrong(place, attacked):
    federation, _, where, *_ = attacked
    done = cli.call(place, "verify", "--all", *where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert federation.agents[0].context.signer.address in done.stdout


def test_agent__unknown_attack__is_refused_with_the_known_ones(place, attacked):
    where = attacked[2]
    key = ("--keystore", "bad.json", "--password-file", "password")
    done = cli.call(place, "agent", "run", "--attack", "nope", "--data", "digits:0-9", *key, *where)
    cli.check_one_line(done, 14)
    assert "choose one of alie" in done.stderr

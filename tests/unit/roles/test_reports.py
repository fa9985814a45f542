"""What a validator publishes about its vote, and what is read back."""

from flchain.chain.memory import MemoryLedger
from flchain.learning.data.digits import load_digits
from flchain.learning.presets import load_preset
from flchain.protocol.params import MINIMAL
from flchain.roles.archive import Archive
from flchain.roles.observation import Watch
from flchain.roles.reports import read_reports
from flchain.roles.simulation import (
    Scenario,
    SimulatedClock,
    build_federation,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
    found_federation,
    is_everybody_active,
)
from flchain.roles.upkeep import is_over
from flchain.storage.memory import make_memory_store

VALIDATORS = 3


def run_a_round():
    """Return store, task and what was voted in a round of ten agents and three validators."""
    policy = load_preset("digits")
    shares = tuple(load_digits(50 * index, 50 * index + 50) for index in range(10))
    held_out = tuple(load_digits(1200 + 50 * i, 1250 + 50 * i) for i in range(VALIDATORS))
    scenario = Scenario(policy, MINIMAL, 1, shares, held_out)
    cast = derive_cast(derive_mnemonic(7), len(shares), VALIDATORS)
    clock = SimulatedClock()
    ledger: MemoryLedger = build_memory_ledger(cast, MINIMAL, clock)
    store = make_memory_store()
    task_id = found_federation(ledger, store, cast, scenario)
    archive = Archive(store)
    federation = build_federation(ledger, store, cast, scenario, task_id, archive=archive)
    while not is_everybody_active(ledger, task_id, cast):
        clock.advance(1)
    for validator in federation.validators:
        validator.endorse()
    watch = Watch(ledger, task_id)
    while not is_over(seen := watch.observe(), 1):
        acted = [role.tick(seen) for role in federation.roles]
        if not any(acted):
            clock.advance(1)
    return store, task_id, seen.live


def test_reports__round_of_three_validators__each_says_what_it_voted(no_sockets):
    store, task_id, past = run_a_round()
    reports = {document["validator"]: document for _, document in read_reports(store, task_id, 1)}
    votes = {vote.validator.lower(): vote.vote for vote in past.votes}
    assert set(votes) <= set(reports)
    for account, vote in votes.items():
        report = reports[account]
        assert report["verdict"] == "APPROVE"
        assert report["proposal"] == vote.proposal_id.hex()
        assert report["quality"]["candidate_bps"] == vote.quality
        assert report["own"] == report["proposed"]
        assert [row[0] for row in report["updates"]] == [s.agent for s in past.submissions]


def test_reports__another_round__none(no_sockets):
    store, task_id, _ = run_a_round()
    assert list(read_reports(store, task_id, 2)) == []

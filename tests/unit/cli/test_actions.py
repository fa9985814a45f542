"""A task's last steps over a ledger in memory: dismissal, sweeping, closing."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from flchain.cli import actions
from flchain.cli.sources import load_rows, split_evenly, split_shares
from flchain.cli.tables import format_amount
from flchain.learning.presets import load_preset
from flchain.protocol.calls import SetSuspended
from flchain.protocol.params import LOCAL
from flchain.protocol.reverts import NotSponsor, StillInGoodStanding, SweepTooEarly
from flchain.roles.daemon import run_federation
from flchain.roles.observation import Watch
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

NOBODY = None
NUMBERS = {
    "mode": "plain",
    "seed": f"{7:064x}",
    "min_agents": 2,
    "min_survivors": 2,
    "max_share_bps": 10_000,
}


@pytest.fixture
def stage(monkeypatch):
    """A task after one round whose rewards nobody has claimed."""
    scenario = Scenario(
        policy=load_preset("digits", NUMBERS),
        preset=LOCAL,
        rounds=1,
        shares=split_shares(load_rows("digits:0-200"), 2, alpha=0.5, seed=7),
        held_out=split_evenly(load_rows("digits:1200-1300"), 3),
    )
    cast, clock = derive_cast(derive_mnemonic(7), 2, 3), SimulatedClock()
    ledger, store = build_memory_ledger(cast, LOCAL, clock), make_memory_store(clock)
    task_id = found_federation(ledger, store, cast, scenario)
    while not is_everybody_active(ledger, task_id, cast):
        clock.advance()
    federation = build_federation(ledger, store, cast, scenario, task_id)
    for validator in federation.validators:
        validator.endorse()
    run_federation(
        federation.roles,
        Watch(ledger, task_id),
        until=lambda seen: is_over(seen, 1),
        idle=lambda _: clock.advance(),
    )
    return enter(monkeypatch, SimpleNamespace(ledger=ledger, cast=cast, clock=clock, task=task_id))


def enter(monkeypatch, stage):
    """Let commands use the stage; the account is the sponsor unless a test sets another."""
    stage.signer = stage.cast.sponsor

    @contextmanager
    def open_session(_settings):
        yield SimpleNamespace(ledger=stage.ledger, get_task_id=lambda: stage.task)

    monkeypatch.setattr(actions, "open_session", open_session)
    monkeypatch.setattr(actions, "load_signer", lambda _settings: stage.signer)
    return stage


def test_sweep__before_and_after_claims_end__only_what_nobody_may_claim(stage, capsys):
    ledger = stage.ledger
    left = ledger.get_distribution(stage.task, 1).remaining
    before = ledger.get_budget(stage.task).available
    actions.sweep_rewards(NOBODY, None)
    assert capsys.readouterr().out == f"swept 0 rounds, 0 tokens, of task {stage.task}\n"
    with pytest.raises(SweepTooEarly):
        actions.sweep_rewards(NOBODY, 1)
    stage.clock.advance(ledger.get_distribution(stage.task, 1).expires_at - ledger.get_time())
    stage.signer = stage.cast.agents[0]
    actions.sweep_rewards(NOBODY, None)
    text = f"swept 1 rounds, {format_amount(left)} tokens, of task {stage.task}\n"
    assert capsys.readouterr().out == text
    assert ledger.get_budget(stage.task).available == before + left > before
    actions.sweep_rewards(NOBODY, None)
    assert capsys.readouterr().out.startswith("swept 0 rounds")


def test_close__sponsor_alone__budget_comes_back(stage, capsys):
    ledger, sponsor = stage.ledger, stage.cast.sponsor.address
    budget, held = ledger.get_budget(stage.task).available, ledger.get_balance(sponsor)
    stage.signer = stage.cast.agents[0]
    with pytest.raises(NotSponsor):
        actions.close_task(NOBODY)
    stage.signer = stage.cast.sponsor
    actions.close_task(NOBODY)
    text = f"task {stage.task} is closed, {format_amount(budget)} tokens came back\n"
    assert capsys.readouterr().out == text
    assert ledger.get_balance(sponsor) == held + budget
    assert ledger.get_task_status(stage.task).is_closed


def test_dismissal__lapsed_member_alone__by_anybody(stage, capsys):
    member = stage.cast.validators[0].address
    stage.signer = stage.cast.agents[0]
    with pytest.raises(StillInGoodStanding):
        actions.dismiss_member(NOBODY, member)
    stage.ledger.send(SetSuspended(member, suspended=True), stage.cast.sponsor)
    actions.dismiss_member(NOBODY, member)
    assert capsys.readouterr().out == f"{member} is no longer a member of task {stage.task}\n"
    assert stage.ledger.get_member(stage.task, member).left_at

"""One account in two tasks with one journal: the tasks keep out of each other's way."""

from dataclasses import replace

from flchain.protocol.types import Outcome, Phase
from flchain.roles.daemon import run_federation
from flchain.roles.journal import MemoryJournal
from tests.e2e.federation import QUICK, make_keys, make_memory_federation, start_federation


def start_two():
    """Return two tasks with the same members, whose agents share a journal each."""
    first = make_memory_federation(rounds=1)
    second = start_federation(
        first.ledger, first.store, make_keys(16), idle=first.idle, preset=QUICK, rounds=1
    )
    for agent, twin in zip(first.agents, second.agents, strict=True):
        journal = MemoryJournal()
        agent.context = replace(agent.context, journal=journal)
        twin.context = replace(twin.context, journal=journal)
    return first, second


def get_roles(federation):
    return [federation.orchestrator, *federation.agents, *federation.validators]


def test_journal__two_tasks_at_once__both_rounds_are_finalized():
    first, second = start_two()
    for _ in range(200):
        views = [(federation, federation.watch.observe()) for federation in (first, second)]
        is_busy = [role.tick(seen) for fed, seen in views for role in get_roles(fed)]
        if not any(is_busy):
            first.idle(None)
    seen = [federation.watch.observe() for federation in (first, second)]
    assert [view.live.outcome for view in seen] == [Outcome.FINALIZED, Outcome.FINALIZED]


def test_journal__serving_in_one_task__keeps_the_update_of_the_other():
    first, second = start_two()
    for federation in (second, first):
        run_federation(
            get_roles(federation),
            federation.watch,
            until=lambda seen: seen.phase is Phase.ATTEST,
            idle=federation.idle,
        )
    journal = first.agents[0].context.journal
    assert len(list(journal.names())) == 2
    seen = first.watch.observe()
    assert first.agents[0].tick(seen) is True
    assert len(list(journal.names())) == 2


def test_journal__next_round_of_a_task__forgets_the_one_before():
    federation = make_memory_federation()
    federation.run(2)
    for agent in federation.agents:
        assert len(list(agent.context.journal.names())) == 1

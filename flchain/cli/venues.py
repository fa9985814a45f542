"""Places where a federation runs: a ledger and a store, opened and closed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from flchain.cli.federation import Progress, Venue
from flchain.cli.plans import Plan
from flchain.cli.runs import Run, RunRecord
from flchain.roles.simulation import (
    SimulatedClock,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
)
from flchain.storage.base import ContentStore
from flchain.storage.disk import DiskStore
from flchain.storage.memory import make_memory_store


@contextmanager
def open_venue(plan: Plan, run: Run, progress: Progress) -> Iterator[Venue]:
    """Open what the plan's ledger says. Raises ConfigError if it cannot be started."""
    is_stored = plan.outline.command == "demo"
    with open_memory_venue(plan, run, is_stored=is_stored) as venue:
        yield venue


@contextmanager
def open_memory_venue(plan: Plan, run: Run, *, is_stored: bool) -> Iterator[Venue]:
    """Open a ledger in memory, with a store on disk or in memory too."""
    outline = plan.outline
    cast = derive_cast(derive_mnemonic(outline.seed), outline.agents, outline.validators)
    clock = SimulatedClock()
    ledger = build_memory_ledger(cast, plan.scenario.preset, clock)
    store: ContentStore = DiskStore(run.store) if is_stored else make_memory_store(clock)
    try:
        yield Venue(ledger, store, cast, idle=clock.advance, measure=run.measure)
    finally:
        store.close()


def build_record(plan: Plan, venue: Venue, task: int) -> RunRecord:
    """Return what `run.json` says of a federation."""
    outline = plan.outline
    return RunRecord(
        kind=outline.command,
        ledger=outline.ledger,
        chain_id=venue.ledger.chain_id,
        addresses=asdict(venue.ledger.addresses),
        task=task,
        seed=outline.seed,
        dataset=outline.dataset,
    )

"""Places where a federation runs: a ledger and a store, opened and closed again."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial

from flchain.chain.address_book import AddressBook, save_address_book
from flchain.chain.anvil import AnvilOptions
from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.rpc import Rpc
from flchain.cli.federation import Progress, Venue
from flchain.cli.plans import Plan
from flchain.cli.runs import Run, RunRecord
from flchain.cli.session import BOOK
from flchain.crypto.signing import Signer
from flchain.protocol.params import NetworkParams
from flchain.roles.archive import Archive
from flchain.roles.simulation import (
    SimulatedClock,
    build_memory_ledger,
    derive_cast,
    derive_mnemonic,
)
from flchain.storage.base import ContentStore
from flchain.storage.disk import DiskStore
from flchain.storage.memory import make_memory_store

_IDLE = 0.05
"""Seconds to wait when nothing is due."""


@contextmanager
def open_venue(plan: Plan, run: Run, progress: Progress) -> Iterator[Venue]:
    """Open what the plan's ledger says. Raises ConfigError if it cannot be started."""
    if plan.outline.ledger == "memory":
        is_stored = plan.outline.command == "demo"
        with open_memory_venue(plan, run, is_stored=is_stored) as venue:
            yield venue
    else:
        with open_anvil_venue(plan, run, progress) as venue:
            yield venue


@contextmanager
def open_anvil_venue(plan: Plan, run: Run, progress: Progress) -> Iterator[Venue]:
    """Start a new chain in the run's folder, deploy, and open a store on disk."""
    outline = plan.outline
    mnemonic = derive_mnemonic(outline.seed)
    cast = derive_cast(mnemonic, outline.agents, outline.validators)
    options = AnvilOptions(mnemonic=mnemonic, accounts=2 + len(cast.agents) + len(cast.validators))
    config = DevnetConfig(folder=run.chain, anvil=plan.settings.anvil, options=options)
    with ExitStack() as stack:
        with progress.stage("chain"), progress.screen.step("starting Anvil, deploying"):
            devnet = stack.enter_context(start_devnet(config))
            book = deploy_local(devnet.rpc, cast.sponsor, plan.scenario.preset.network, run)
        ledger = EthereumLedger(devnet.rpc, book)
        store = DiskStore(run.store)
        stack.callback(store.close)
        idle = partial(time.sleep, _IDLE)
        yield Venue(ledger, store, cast, idle, run.measure, devnet.rpc_url)


def deploy_local(rpc: Rpc, signer: Signer, network: NetworkParams, run: Run) -> AddressBook:
    """Deploy all contracts and a token, and keep the address book in the run's folder."""
    book = deploy_suite(RpcDeployer(rpc, signer), network, signer.address)
    save_address_book(book, run.folder / BOOK)
    return book


@contextmanager
def open_memory_venue(plan: Plan, run: Run, *, is_stored: bool) -> Iterator[Venue]:
    """Open a ledger in memory, with a store on disk or in memory too."""
    outline = plan.outline
    cast = derive_cast(derive_mnemonic(outline.seed), outline.agents, outline.validators)
    clock = SimulatedClock()
    ledger = build_memory_ledger(cast, plan.scenario.preset, clock)
    store: ContentStore = DiskStore(run.store) if is_stored else make_memory_store(clock)
    try:
        yield Venue(
            ledger,
            store,
            cast,
            idle=clock.advance,
            measure=run.measure,
            archive=None if is_stored else Archive(store),
        )
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

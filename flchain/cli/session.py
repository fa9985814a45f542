"""The chain and the store that a command talks to, opened and closed again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flchain.chain.address_book import AddressBook, load_address_book
from flchain.chain.devnet import Devnet, DevnetConfig, attach_devnet, open_devnet
from flchain.chain.devnet_folder import DevnetFolder
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.rpc import HttpRpc
from flchain.cli.runs import Run, find_newest
from flchain.config import Settings
from flchain.protocol.errors import AdapterError, ConfigError
from flchain.protocol.types import TaskId
from flchain.storage.base import ContentStore
from flchain.storage.opening import open_store

BOOK = "deployment.json"
"""Address book of a deployment: in a run's folder, or in the working folder."""


@dataclass(frozen=True)
class Session:
    """An open chain; `run` is None on a node that the user named."""

    settings: Settings
    rpc_url: str
    book: AddressBook
    ledger: EthereumLedger
    store: ContentStore
    run: Run | None

    def get_task_id(self) -> TaskId:
        """Return the task that was named, the run's, or the chain's only one.

        Raises UnknownTask if the chain has none of that number.
        """
        if self.settings.task is not None:
            task_id = TaskId(self.settings.task)
            self.ledger.get_task(task_id)
            return task_id
        if self.run is not None and self.run.record is not None and self.run.record.task:
            return TaskId(self.run.record.task)
        tasks = self.ledger.get_task_count()
        if tasks == 1:
            return TaskId(1)
        raise ConfigError(f"the chain has {tasks} tasks; name one with --task")

    def get_journal_folder(self, role: str, account: str) -> Path:
        """Return where one role of one account writes its journal of the session's task."""
        place = f"{self.ledger.chain_id}-{self.ledger.addresses.round_manager}"
        if self.run is not None:
            base = self.run.folder
        else:
            # Devnets from one mnemonic differ in nothing but their first block.
            base, place = self.settings.data_dir, f"{place}-{_get_genesis(self.rpc_url)}"
        return base / "journals" / place / f"task-{self.get_task_id()}" / f"{role}-{account}"


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """Open the node that the settings name, or resume the newest saved devnet.

    A devnet that was resumed is saved and stopped again; one that runs is left alone. Raises
    ConfigError if there is neither, or if chain and address book do not fit.
    """
    with ExitStack() as stack:
        if settings.rpc is not None:
            run, url = None, settings.rpc
            path = settings.addresses or Path.cwd() / BOOK
        else:
            run = find_newest(settings.data_dir)
            url = stack.enter_context(open_run(run, settings)).rpc_url
            path = settings.addresses or run.folder / BOOK
        book = load_address_book(path)
        rpc = HttpRpc(url)
        _verify_chain(rpc, settings)
        ledger = EthereumLedger(rpc, book)
        store = _open_store(settings, run)
        stack.callback(store.close)
        yield Session(settings, url, book, ledger, store, run)


@contextmanager
def open_run(run: Run, settings: Settings) -> Iterator[Devnet]:
    """Yield a run's devnet, started for the time being if it does not run.

    Raises ConfigError if it does not run and was not saved.
    """
    if attach_devnet(run.chain) is None:
        # Without its state Anvil would start an empty chain.
        DevnetFolder(run.chain).verify_saved()
    config = DevnetConfig(folder=run.chain, anvil=settings.anvil, port=0)
    with open_devnet(config) as devnet:
        yield devnet


def _get_genesis(rpc_url: str) -> str:
    """Return the start of the hash of a chain's first block."""
    block = HttpRpc(rpc_url).call("eth_getBlockByNumber", "0x0", False)
    if block is None:
        raise AdapterError("the node has no first block of its chain; use one that has it")
    return str(block["hash"])[2:18]


def _open_store(settings: Settings, run: Run | None) -> ContentStore:
    folder = run.folder if run is not None else settings.data_dir
    url = settings.store or f"file:{run.store if run is not None else folder / 'store'}"
    return open_store(url, folder=folder / "pins")


def _verify_chain(rpc: HttpRpc, settings: Settings) -> None:
    if settings.chain_id is None:
        return
    found = int(rpc.call("eth_chainId"), 16)
    if found != settings.chain_id:
        raise ConfigError(
            f"the node is on chain {found}, not {settings.chain_id}; correct --rpc or --chain-id"
        )

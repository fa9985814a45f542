"""Devnets in run folders: create, resume, describe, hand out money."""

from dataclasses import asdict
from typing import Any

from flchain.chain.address_book import AddressBook, load_address_book
from flchain.chain.devnet import Devnet, DevnetConfig, attach_devnet, start_devnet
from flchain.chain.devnet_folder import DevnetFolder
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.rpc import HttpRpc
from flchain.cli.runs import Run, RunRecord, create_run, discard_run, find_newest, save_record
from flchain.cli.session import BOOK, open_run
from flchain.cli.tables import format_amount
from flchain.cli.venues import deploy_local
from flchain.config import Settings
from flchain.crypto.keys import derive_private_key
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Transfer
from flchain.protocol.errors import ConfigError
from flchain.protocol.params import ETHER, LOCAL
from flchain.protocol.types import Address, Wei


def open_or_create(settings: Settings, port: int, stamp: str, *, is_new: bool) -> dict[str, Any]:
    """Start the newest saved chain, or a new one, in the background; return what it is.

    Raises ConfigError if that chain is running already or cannot be started.
    """
    run = None if is_new else _find_saved(settings)
    if run is None:
        run = create_run(settings.data_dir, stamp)
    config = DevnetConfig(folder=run.chain, port=port, is_detached=True, anvil=settings.anvil)
    if run.record is not None:
        if attach_devnet(run.chain) is None:
            DevnetFolder(run.chain).verify_saved()
        start_devnet(config)
    else:
        run = _create(config, run)
    return describe_run(run)


def describe_run(run: Run) -> dict[str, Any]:
    """Return what is known of a run's chain."""
    running = attach_devnet(run.chain)
    book = load_address_book(run.folder / BOOK)
    return {
        "running": running is not None,
        **(_describe_process(running) if running is not None else {}),
        "chain": book.chain_id,
        "addresses": str(run.folder / BOOK),
        "store": f"file:{run.store}",
        "folder": str(run.folder),
        **asdict(book.addresses),
    }


def fund_account(settings: Settings, address: Address, tokens: Wei, coins: int) -> dict[str, Any]:
    """Send stake tokens from the devnet's deployer and raise the balance of coins."""
    run = find_newest(settings.data_dir)
    with open_run(run, settings) as devnet:
        book = load_address_book(run.folder / BOOK)
        ledger = EthereumLedger(devnet.rpc, book)
        ledger.send(Transfer(address, tokens), _get_sponsor(devnet, book))
        native = Wei(ledger.get_native_balance(address) + coins * ETHER)
        devnet.control.set_balance(address, native)
        return {
            "account": address,
            "tokens": format_amount(ledger.get_balance(address)),
            "coins": format_amount(ledger.get_native_balance(address)),
        }


def _find_saved(settings: Settings) -> Run | None:
    try:
        return find_newest(settings.data_dir)
    except ConfigError:
        return None


def _create(config: DevnetConfig, run: Run) -> Run:
    """Start a new chain and deploy; nothing keeps running if that fails."""
    try:
        devnet = start_devnet(config)
    except BaseException:
        discard_run(run)
        raise
    try:
        signer = LocalSigner(derive_private_key(devnet.mnemonic, 0))
        book = deploy_local(devnet.rpc, signer, LOCAL.network, run)
        return save_record(run, RunRecord("devnet", "anvil", book.chain_id, asdict(book.addresses)))
    except BaseException:
        devnet.stop()
        discard_run(run)
        raise


def _describe_process(running: Devnet) -> dict[str, Any]:
    head = int(HttpRpc(running.rpc_url).call("eth_blockNumber"), 16)
    return {"rpc": running.rpc_url, "pid": running.pid, "block": head}


def _get_sponsor(devnet: Devnet, book: AddressBook) -> LocalSigner:
    """Return the account that deployed and holds the tokens: the mnemonic's first."""
    signer = LocalSigner(derive_private_key(devnet.mnemonic, 0))
    if signer.address != book.governance:
        raise ConfigError("this chain has another deployer: send tokens from its account")
    return signer

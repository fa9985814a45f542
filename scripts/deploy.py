"""Deploy the contracts with an Ape account: `ape run deploy --network ethereum:local:foundry`.

Takes the same path as `flchain`: the same bytecode, the same order, the same address book. On a
local network the first test account deploys; elsewhere name one with `--account`.
"""

from pathlib import Path
from typing import Any, Literal

import click
from ape.cli import ConnectedProviderCommand, account_option
from ape.exceptions import ApeException

from flchain.chain.address_book import AddressBook, save_address_book
from flchain.chain.contracts import get_contract_names, to_address
from flchain.chain.deployment import LOCAL_TOKEN, Creation, deploy_suite
from flchain.protocol.errors import AdapterError, FlchainError
from flchain.protocol.params import PRESETS
from flchain.protocol.types import Address

NO_TOKEN = "none"  # noqa: S105 - a choice, no secret
DEFAULT_OUT = ".flchain/deployment-{chain_id}.json"


class ApeDeployer:
    """An Ape account that creates contracts through Ape's provider."""

    def __init__(self, provider: Any, account: Any) -> None:
        """Take a connected provider and an account that can sign."""
        self._provider = provider
        self._account = account
        self.chain_id: int = provider.chain_id

    @property
    def address(self) -> Address:
        """The account's address."""
        return to_address(self._account.address)

    def get_nonce(self) -> int:
        """Return the nonce of the account's next transaction."""
        return int(self._provider.get_nonce(self._account.address))

    def get_code(self, address: Address) -> bytes:
        """Return the code at an address; empty if there is none."""
        return bytes(self._provider.get_code(address))

    def create(self, init_code: bytes) -> Creation:
        """Create a contract and wait for it."""
        ecosystem = self._provider.network.ecosystem
        try:
            receipt = self._account.call(ecosystem.create_transaction(data=init_code))
        except ApeException as error:
            raise AdapterError(f"Ape could not deploy: {error}") from error
        return Creation(to_address(receipt.contract_address), int(receipt.block_number))


def get_account(account: Any, provider: Any, accounts: Any) -> Any:
    """Return the account to deploy with: the first test account on a local network."""
    if account is not None:
        return account
    if provider.network.is_local:
        return accounts.test_accounts[0]
    raise click.UsageError("name the deploying account with --account")


def get_token(choice: str) -> Address | Literal["local"] | None:
    """Return what `--token` means to the deployer."""
    if choice == LOCAL_TOKEN:
        return LOCAL_TOKEN
    return None if choice == NO_TOKEN else read_address(choice)


def read_address(text: str) -> Address:
    """Return an address that somebody typed."""
    try:
        return to_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not an address") from error


def get_table(book: AddressBook) -> str:
    """Return the addresses, one a line."""
    rows = [(name, address) for address, name in get_contract_names(book.addresses).items()]
    return "\n".join(f"{name:<20}{address}" for name, address in [*rows, *book.libraries.items()])


@click.command(cls=ConnectedProviderCommand)
@account_option(prompt=None)
@click.option("--preset", type=click.Choice(sorted(PRESETS)), default="local", show_default=True)
@click.option("--token", default=LOCAL_TOKEN, show_default=True, help="Address, 'local' or 'none'.")
@click.option("--governance", help="Keeper of allow-list and suspensions; default: the deployer.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Default: {DEFAULT_OUT}")
def cli(
    *,
    account: Any,
    provider: Any,
    preset: str,
    token: str,
    governance: str | None,
    out: Path | None,
) -> None:
    """Deploy the contracts and write their addresses to a file."""
    from ape import accounts  # noqa: PLC0415 - Ape connects only after the options are parsed

    try:
        deployer = ApeDeployer(provider, get_account(account, provider, accounts))
        book = deploy_suite(
            deployer,
            PRESETS[preset].network,
            read_address(governance or deployer.address),
            get_token(token),
        )
        path = out or Path(DEFAULT_OUT.format(chain_id=book.chain_id))
        save_address_book(book, path)
    except FlchainError as error:
        raise click.ClickException(str(error)) from error
    click.echo(get_table(book))
    click.echo(f"chain {book.chain_id}, block {book.first_block}: addresses written to {path}")

"""`flchain devnet`: a local chain with the contracts on it."""

import time
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.numbers import COINS, PORT
from flchain.cli.options import with_settings
from flchain.cli.output import print_facts
from flchain.config import Settings

if TYPE_CHECKING:
    from flchain.cli.runs import Run


@click.group()
def devnet() -> None:
    """Start, stop and look at a local chain."""


@devnet.command()
@click.option(
    "--port", type=PORT, default=8545, show_default=True, help="A free one is taken if it is busy."
)
@click.option("--new", "is_new", is_flag=True, help="A new chain instead of the newest saved one.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings("devnet")
def up(settings: Settings, port: int, *, is_new: bool, is_json: bool) -> None:
    """Start a chain in the background: the newest saved one, or a new one."""
    from flchain.cli.devnets import open_or_create  # noqa: PLC0415 - web3 takes a second

    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    print_facts(open_or_create(settings, port, stamp, is_new=is_new), is_json=is_json)


@devnet.command()
@with_settings()
def down(settings: Settings) -> None:
    """Save the running chain and stop it."""
    from flchain.chain.devnet import attach_devnet  # noqa: PLC0415 - not for --help

    run = _find(settings)
    running = attach_devnet(run.chain)
    if running is None:
        click.echo(f"no chain is running; the newest is saved in {run.folder}")
        return
    running.stop()
    click.echo(f"saved in {run.folder}")


@devnet.command()
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings()
def status(settings: Settings, *, is_json: bool) -> None:
    """Show whether the newest chain is running, and where."""
    from flchain.cli.devnets import describe_run  # noqa: PLC0415 - web3 takes a second

    print_facts(describe_run(_find(settings)), is_json=is_json)


@devnet.command()
@click.argument("address")
@click.option("--tokens", default="1000", show_default=True, help="Whole stake tokens to send.")
@click.option(
    "--coins", type=COINS, default=10, show_default=True, help="Whole coins for gas to add."
)
@with_settings("devnet")
def fund(settings: Settings, address: str, tokens: str, coins: int) -> None:
    """Give an account stake tokens and coins for gas, from the devnet's own."""
    from flchain.cli.devnets import fund_account  # noqa: PLC0415 - web3 takes a second
    from flchain.cli.task import parse_address, parse_amount  # noqa: PLC0415

    facts: dict[str, Any] = fund_account(
        settings, parse_address(address), parse_amount(tokens), coins
    )
    print_facts(facts, is_json=False)


def _find(settings: Settings) -> "Run":
    from flchain.cli.runs import find_newest  # noqa: PLC0415 - not for --help

    return find_newest(settings.data_dir)

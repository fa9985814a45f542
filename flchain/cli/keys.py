"""`flchain keys`: account keys in encrypted files."""

import secrets
from pathlib import Path

import click

from flchain.cli.options import with_settings
from flchain.cli.passwords import ask_new_password
from flchain.config import Settings


@click.group()
def keys() -> None:
    """Make account keys."""


@keys.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to create.")
@with_settings("key")
def new(settings: Settings, out: Path) -> None:
    """Make a new key and print its address; the key itself is never shown."""
    from flchain.crypto.keys import create_keystore  # noqa: PLC0415 - half a second

    password = ask_new_password(settings)
    click.echo(create_keystore(out, secrets.token_bytes(32), password))


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
def show(file: Path) -> None:
    """Print the address of a key file."""
    from flchain.crypto.keys import get_keystore_address  # noqa: PLC0415 - half a second

    click.echo(get_keystore_address(file))

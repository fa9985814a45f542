"""`flchain store`: stored content in and out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flchain.cli.files import write_pieces
from flchain.cli.numbers import AGE, BYTES
from flchain.cli.options import with_settings
from flchain.cli.output import print_facts, print_rows
from flchain.config import Settings
from flchain.storage.base import ContentStore

_DAY = 86_400.0
_LIMIT = 1 << 40


@click.group()
def store() -> None:
    """Export, import and clean stored content."""


@store.command()
@click.argument("cid")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CAR file to write.")
@with_settings("store")
def export(settings: Settings, cid: str, out: Path) -> None:
    """Write the tree under a CID as a CAR archive; every block is checked."""
    from flchain.storage.cid import decode_cid  # noqa: PLC0415 - not for --help

    root = decode_cid(cid)
    with _open(settings) as opened:
        size = write_pieces(out, opened.export_car(root))
    print_facts({"cid": str(root), "file": str(out), "bytes": size}, is_json=False)


@store.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pin", default="imported", show_default=True, help="Name that keeps the content.")
@click.option("--max-size", type=BYTES, default=_LIMIT, help="Most bytes to accept.")
@with_settings("store")
def import_(settings: Settings, file: Path, pin: str, max_size: int) -> None:
    """Keep the trees of a CAR archive; print their roots."""
    from flchain.protocol.errors import ConfigError  # noqa: PLC0415 - not for --help

    with _open(settings, is_new_allowed=True) as opened:
        try:
            with file.open("rb") as source:
                roots = opened.import_car(source, pin=pin, max_size=max_size)
        except OSError as error:
            raise ConfigError(f"archive {file} cannot be read: {error.strerror}") from error
    for root in roots:
        click.echo(str(root))


@store.command()
@click.option(
    "--min-age", type=AGE, default=_DAY, show_default=True, help="Spare blocks younger (seconds)."
)
@with_settings("store")
def gc(settings: Settings, min_age: float) -> None:
    """Remove blocks that no name keeps."""
    with _open(settings) as opened:
        removed = opened.gc(min_age, time.time())
    print_facts({"blocks": removed.blocks, "bytes": removed.size}, is_json=False)


@store.command()
@click.option("--prefix", default="", help="Only names that start like this.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings("store")
def pins(settings: Settings, prefix: str, *, is_json: bool) -> None:
    """List the names that keep content."""
    with _open(settings) as opened:
        rows = [{"name": pin.name, "cid": str(pin.cid)} for pin in opened.pins(prefix)]
    print_rows(rows, "pins", is_json=is_json)


@contextmanager
def _open(settings: Settings, *, is_new_allowed: bool = False) -> Iterator[ContentStore]:
    """Open the store that is named, or the newest run's.

    Raises ConfigError if a named folder does not exist, unless one may be made.
    """
    from flchain.cli.runs import find_newest_store  # noqa: PLC0415 - not for --help
    from flchain.storage.opening import open_store  # noqa: PLC0415

    url = settings.store or f"file:{find_newest_store(settings.data_dir)}"
    if settings.store and not is_new_allowed:
        _verify_folder(settings.store)
    opened = open_store(url, folder=settings.data_dir / "pins")
    try:
        yield opened
    finally:
        opened.close()


def _verify_folder(url: str) -> None:
    from flchain.protocol.errors import ConfigError  # noqa: PLC0415 - not for --help

    kind, _, place = url.partition(",")[0].strip().partition(":")
    if kind == "file" and place and not Path(place).expanduser().is_dir():
        raise ConfigError(f"there is no store in {place}: correct --store")

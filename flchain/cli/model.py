"""`flchain model`: model versions for the outside."""

from pathlib import Path

import click

from flchain.cli.files import write_file
from flchain.cli.numbers import VERSION
from flchain.cli.options import with_settings
from flchain.cli.output import print_facts
from flchain.config import Settings


@click.group()
def model() -> None:
    """Get model versions."""


@model.command()
@click.option("--version", "number", type=VERSION, help="Default: the newest.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@with_settings("chain", "store", "task")
def get(settings: Settings, number: int | None, out: Path) -> None:
    """Write a version as a safetensors file, checked against the chain's digest."""
    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second
    from flchain.learning.export import encode_safetensors  # noqa: PLC0415
    from flchain.protocol.types import Version  # noqa: PLC0415
    from flchain.roles.archive import Archive  # noqa: PLC0415
    from flchain.roles.assembly import fetch_state  # noqa: PLC0415
    from flchain.roles.terms import load_terms  # noqa: PLC0415

    with open_session(settings) as session:
        task_id, ledger = session.get_task_id(), session.ledger
        terms = load_terms(ledger, session.store, task_id)
        version = Version(ledger.get_latest_version(task_id) if number is None else number)
        digest = ledger.get_state_digest(task_id, version)
        state = fetch_state(Archive(session.store), digest, terms)
        metadata: dict[str, str | int] = {
            "task": int(task_id),
            "version": int(version),
            "state_digest": digest.hex(),
        }
        data = encode_safetensors(state, terms.policy, metadata)
    write_file(out, data)
    facts = {
        "version": int(version),
        "digest": digest.hex(),
        "file": str(out),
        "bytes": len(data),
    }
    print_facts(facts, is_json=False)

"""`flchain ledger`: what the chain recorded, as tables or JSON."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.numbers import ROUNDS
from flchain.cli.options import with_settings
from flchain.cli.output import Row, print_rows
from flchain.config import Settings

if TYPE_CHECKING:
    from flchain.cli.session import Session

Read = Callable[["Session", int | None], Sequence[Row]]


@click.group()
def ledger() -> None:
    """Show what the chain recorded."""


def _add(name: str, text: str, reader: str) -> None:
    """Add the sub-command `name`, which prints the rows of a function in `records`."""

    @click.option("--round", "number", type=ROUNDS, help="Only this round.")
    @click.option("--json", "is_json", is_flag=True, help="Print JSON.")
    @with_settings("chain", "store", "task")
    def command(settings: Settings, number: int | None, *, is_json: bool) -> None:
        # web3 takes a second to import.
        from flchain.cli import records  # noqa: PLC0415
        from flchain.cli.session import open_session  # noqa: PLC0415

        read: Callable[[Any, int | None], Sequence[Row]] = getattr(records, reader)
        with open_session(settings) as session:
            rows = read(session, number)
        print_rows(rows, name, is_json=is_json)

    ledger.command(name, help=text)(command)


_add("agents", "Registered identities, their stake and their place in the task.", "list_agents")
_add("rounds", "Rounds with their outcome.", "list_rounds")
_add("updates", "Updates with their digest and CID.", "list_updates")
_add("records", "Records of masked rounds, by phase and agent.", "list_records")
_add("votes", "Votes of validators.", "list_votes")
_add("seats", "Who was drawn: proofs by score, the lowest sit.", "list_seats")
_add("rewards", "Rewards that were published and claimed.", "list_rewards")
_add("privacy", "Rounds that the privacy budget was charged for.", "list_privacy")
_add("models", "Model versions with their digest and CID.", "list_models")

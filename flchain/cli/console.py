"""`flchain console`: a Python console with the chain, the contracts and the store at hand."""

import code
import sys
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.options import with_settings
from flchain.config import Settings

if TYPE_CHECKING:
    from flchain.cli.session import Session


@click.command()
@with_settings("chain", "store", "task")
def console(settings: Settings) -> None:
    """Open a Python console on the chain.

    Where stdin is no terminal, the program that it holds is run line by line.
    """
    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second

    with open_session(settings) as session:
        names = build_names(session)
        if sys.stdin.isatty():
            _talk(names, _describe(session, names))
        else:
            run_lines(sys.stdin.read(), names)


def build_names(session: "Session") -> dict[str, Any]:
    """Return what the console knows: w3, the contracts by name, ledger, store, task_id."""
    from web3 import Web3  # noqa: PLC0415 - a second

    from flchain.chain.bytecode import load_artifact  # noqa: PLC0415
    from flchain.chain.contracts import get_contract_names  # noqa: PLC0415
    from flchain.chain.rpc import HttpRpc  # noqa: PLC0415

    w3 = Web3(HttpRpc(session.rpc_url).provider)
    named = get_contract_names(session.ledger.addresses)
    contracts = {
        name: w3.eth.contract(address=w3.to_checksum_address(address), abi=load_artifact(name).abi)
        for address, name in named.items()
    }
    known = {"w3": w3, "ledger": session.ledger, "store": session.store, **contracts}
    if session.ledger.get_task_count() > 0:
        known["task_id"] = session.get_task_id()
    return known


class LineConsole(code.InteractiveConsole):
    """A console that reads from a program instead of a person, without prompts."""

    def __init__(self, names: dict[str, Any], text: str) -> None:
        """Run the lines of `text`."""
        super().__init__(names)
        self._lines = iter([*text.splitlines(), ""])

    def raw_input(self, prompt: str = "") -> str:  # noqa: ARG002 - the base's signature
        """Return the next line."""
        for line in self._lines:
            return line
        raise EOFError


def run_lines(text: str, names: dict[str, Any]) -> None:
    """Run a program line by line; values of expressions are printed."""
    LineConsole(names, text).interact(banner="", exitmsg="")


def _talk(names: dict[str, Any], banner: str) -> None:
    try:
        from IPython import start_ipython  # noqa: PLC0415 - optional, and slow
    except ImportError:
        code.interact(banner=banner, local=names, exitmsg="")
        return
    click.echo(banner)
    start_ipython(argv=["--no-banner", "--no-confirm-exit"], user_ns=names)  # type: ignore[no-untyped-call]  # IPython's own


def _describe(session: "Session", names: dict[str, Any]) -> str:
    place = session.run.folder if session.run is not None else session.rpc_url
    return f"chain {session.ledger.chain_id} of {place}\nknown: {', '.join(names)}"

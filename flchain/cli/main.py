"""The `flchain` command. Sub-commands are imported when they are used."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from flchain.cli.failures import EXIT_CODES, run_guarded

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Run a whole federation on real data and show what it did."),
    "simulate": ("demo:simulate", "Run a whole federation in memory, chain and store included."),
    "devnet": ("devnet:devnet", "Start, stop and look at a local chain."),
    "keys": ("keys:keys", "Make account keys."),
    "task": ("task:task", "Create, fund, show, clean up and close tasks."),
    "agent": ("member:agent", "Take part with data: register, enrol, run, claim."),
    "validator": ("member:validator", "Check results: register, enrol, endorse, run."),
    "orchestrator": ("member:orchestrator", "Move rounds forward: register, enrol, run."),
    "ledger": ("ledger:ledger", "Show what the chain recorded."),
    "model": ("model:model", "Get model versions."),
    "store": ("store:store", "Export, import and clean stored content."),
    "verify": (
        "verify:verify",
        "Prove or refute results from chain and content alone.",
    ),
    "console": (
        "console:console",
        "Open a Python console on the chain.",
    ),
}
"""Where each command is, and its help line, so that `--help` imports none of them."""

_EPILOG = "\b\nExit codes:\n" + "\n".join(
    f"  {code:<5} {text}" for code, text in EXIT_CODES.items()
)


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"flchain.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table's help lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="flchain", prog_name="flchain")
def cli() -> None:
    """Federated learning that nobody has to trust.

    Begin with `flchain demo`. Options may also be set in the environment (FLCHAIN_RPC, ...) and
    in flchain.toml.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(run_guarded(cli, sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    main()

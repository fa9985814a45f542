"""`flchain agent`, `validator` and `orchestrator`: one member of a task."""

from collections.abc import Callable
from typing import Any

import click

from flchain.cli.numbers import AGENTS, ALPHA, PAUSE, ROUNDS, SEED, STAKE
from flchain.cli.options import with_settings
from flchain.cli.task import parse_address
from flchain.config import Settings
from flchain.protocol.types import Role

_COMMON = ("chain", "store", "task", "key")


@click.group()
def agent() -> None:
    """Take part with data: register, enrol, run, claim."""


@click.group()
def validator() -> None:
    """Check results: register, enrol, endorse, run."""


@click.group()
def orchestrator() -> None:
    """Move rounds forward: register, enrol, run."""


def _add_membership(group: click.Group, role: Role) -> None:
    """Add what every member does: join, claim, leave."""

    @group.command(help="Stake and register this account, once for all tasks.")
    @click.option("--stake", type=STAKE, help="Whole tokens; default: what the role needs.")
    @with_settings(*_COMMON, "vrf")
    def register(settings: Settings, stake: int | None) -> None:
        _actions().register_member(settings, role, stake)

    @group.command(help="Enrol in the task; it counts from two epochs later.")
    @with_settings(*_COMMON)
    def enrol(settings: Settings) -> None:
        _actions().enrol_member(settings, role)

    @group.command(help="Leave the task; duties in the live round remain.")
    @with_settings(*_COMMON)
    def leave(settings: Settings) -> None:
        _actions().leave_task(settings)

    @group.command(help="Begin to unbond the stake or, once that is over, pay it out.")
    @with_settings(*_COMMON)
    def withdraw(settings: Settings) -> None:
        _actions().withdraw_stake(settings)

    @group.command(help="Claim every reward of this account that is due.")
    @with_settings(*_COMMON)
    def claim(settings: Settings) -> None:
        _actions().claim_member_rewards(settings)


def _node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--rounds", type=ROUNDS, help="Stop after this round; default: the task's last."
        ),
        click.option(
            "--poll", type=PAUSE, default=0.5, show_default=True, help="Seconds between two looks."
        ),
        click.option("--json", "is_json", is_flag=True, help="Print one JSON object per action."),
        click.option("--with-parent", is_flag=True, hidden=True, help="End when stdin closes."),
    ):
        command = option(command)
    return command


def _data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--data", required=True, metavar="SOURCE", help="Rows; see below."),
        click.option(
            "--model", metavar="MODULE:OBJECT", help="Your own model, as for `flchain simulate`."
        ),
        click.option("--share", metavar="I/N", help="Only the I-th of N Dirichlet parts."),
        click.option(
            "--alpha", type=ALPHA, default=0.5, show_default=True, help="Skew of the parts."
        ),
        click.option("--seed", type=SEED, default=7, show_default=True, help="Seed of the parts."),
    ):
        command = option(command)
    return command


def _floor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--min-survivors",
            type=AGENTS,
            default=1,
            show_default=True,
            help="Refuse tasks that add up fewer updates.",
        ),
        click.option(
            "--architecture",
            "architectures",
            multiple=True,
            metavar="NAME",
            help="Refuse tasks that train any other model; repeatable.",
        ),
    ):
        command = option(command)
    return command


def _trust_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--trust",
            "trusted",
            multiple=True,
            metavar="ADDRESS",
            help="An agent that you trust to be who it says; repeatable. For masked rounds.",
        ),
        click.option(
            "--min-trusted",
            type=AGENTS,
            help="Fewest of them that must be in a masked sum with you; default: all.",
        ),
    ):
        command = option(command)
    return command


_SOURCES = """\b
Sources:
  mnist[:A-B], mnist-test[:A-B], digits[:A-B]   rows A to B - 1 of a known set
  FILE.npz                                      with the arrays inputs and labels
  MODULE:FUNCTION                               Python that returns a Dataset
"""


@agent.command("run", epilog=_SOURCES)
@click.option(
    "--attack", metavar="NAME", help="Be malicious, to try out a federation: send what it makes."
)
@_data_options
@_node_options
@_floor_options
@click.option(
    "--relayed",
    "is_relayed",
    is_flag=True,
    help="Secure mode: let the orchestrator send your records, and send one only if it does not.",
)
@_trust_options
@with_settings(*_COMMON, "mnist")
def run_agent(settings: Settings, *, trusted: tuple[str, ...], **options: Any) -> None:
    """Train on own data in every round until the task's last."""
    known = tuple(parse_address(address) for address in trusted)
    _nodes().run_agent(settings, trusted=known, **options)


@validator.command("run", epilog=_SOURCES)
@_data_options
@_node_options
@_floor_options
@with_settings(*_COMMON, "vrf", "mnist")
def run_validator(settings: Settings, **options: Any) -> None:
    """Endorse the task if need be, then attest and vote until its last round."""
    _nodes().run_validator(settings, **options)


@validator.command()
@_floor_options
@with_settings(*_COMMON)
def endorse(settings: Settings, **floors: Any) -> None:
    """Check the task's policy and version 0 and accept them."""
    _nodes().endorse_task(settings, **floors)


@validator.command()
@click.option("--round", "number", type=ROUNDS, required=True, help="Round to explain.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings("chain", "store", "task")
def explain(settings: Settings, number: int, *, is_json: bool) -> None:
    """Show what the validators of a store checked before they voted, and what they found."""
    from flchain.cli.explain import explain_round  # noqa: PLC0415 - web3 takes a second

    explain_round(settings, number, is_json=is_json)


@validator.command("rotate-key")
@with_settings(*_COMMON, "vrf")
def rotate_key(settings: Settings) -> None:
    """Be drawn with the key of --vrf-keystore from two epochs on; stake and place stay."""
    _actions().rotate_vrf_key(settings)


@validator.command()
@click.argument("guardian", metavar="ADDRESS")
@with_settings("chain", "key")
def guardian(settings: Settings, guardian: str) -> None:
    """Name who may recover this account's VRF key; the zero address for nobody."""
    _actions().set_guardian(settings, parse_address(guardian))


@validator.group()
def recovery() -> None:
    """Give an account another VRF key as its guardian, or prevent that."""


@recovery.command()
@click.argument("account", metavar="ADDRESS")
@with_settings("chain", "key", "vrf")
def announce(settings: Settings, account: str) -> None:
    """Announce the key of --vrf-keystore; it counts after the unbonding period."""
    _actions().announce_recovery(settings, parse_address(account))


@recovery.command()
@with_settings("chain", "key")
def cancel(settings: Settings) -> None:
    """Cancel what this account's guardian has announced."""
    _actions().end_recovery(settings, None)


@recovery.command()
@click.argument("account", metavar="ADDRESS")
@with_settings("chain", "key")
def execute(settings: Settings, account: str) -> None:
    """Put an announced key into force; anybody may."""
    _actions().end_recovery(settings, parse_address(account))


@orchestrator.command("run")
@_node_options
@with_settings(*_COMMON)
def run_orchestrator(settings: Settings, **options: Any) -> None:
    """Open rounds, propose results and settle until the task's last round."""
    _nodes().run_orchestrator(settings, **options)


_add_membership(agent, Role.AGENT)
_add_membership(validator, Role.VALIDATOR)
_add_membership(orchestrator, Role.PROPOSER)


def _actions() -> Any:
    from flchain.cli import actions  # noqa: PLC0415 - web3 takes a second

    return actions


def _nodes() -> Any:
    from flchain.cli import nodes  # noqa: PLC0415 - web3 takes a second

    return nodes

"""`flchain task`: create, fund, show, clean up and close tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.numbers import MAX_TOKENS, ROUNDS, VALIDATORS
from flchain.cli.options import with_settings
from flchain.cli.output import print_facts
from flchain.config import Settings

if TYPE_CHECKING:
    from flchain.protocol.policy import Policy

_PATH = click.Path(path_type=Path)
_PRESETS = ("local", "minimal", "mainnet")


@click.group()
def task() -> None:
    """Create, fund, show, clean up and close tasks."""


@task.command()
@click.option("--policy", type=_PATH, required=True, help="Policy file, TOML or JSON.")
@click.option("--orchestrator", metavar="ADDRESS", help="Default: the account itself.")
@click.option("--preset", type=click.Choice(_PRESETS), default="local", show_default=True)
@click.option("--max-rounds", type=ROUNDS, help="Most rounds; default: the preset's.")
@click.option(
    "--validators", type=VALIDATORS, help="How many to expect; too few for a draw, and all sit."
)
@with_settings("chain", "store", "key")
def create(
    settings: Settings,
    *,
    policy: Path,
    orchestrator: str | None,
    preset: str,
    max_rounds: int | None,
    validators: int | None,
) -> None:
    """Publish a policy and create a task that follows it; print the task's id."""
    from dataclasses import replace  # noqa: PLC0415

    from flchain.cli.passwords import load_signer  # noqa: PLC0415 - half a second
    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second
    from flchain.protocol.params import PRESETS  # noqa: PLC0415
    from flchain.roles.task_setup import build_task, create_task  # noqa: PLC0415

    agreed = read_policy(policy)
    signer = load_signer(settings)
    schedule = PRESETS[preset].schedule
    if max_rounds is not None:
        schedule = replace(schedule, max_rounds=max_rounds)
    proposer = signer.address if orchestrator is None else parse_address(orchestrator)
    record = build_task(agreed, schedule, proposer, validators)
    with open_session(settings) as session:
        task_id = create_task(session.ledger, session.store, signer, record, agreed)
    click.echo(f"task {task_id}")


@task.command()
@click.option("--amount", required=True, help="Whole tokens, such as 10000 or 0.5.")
@with_settings("chain", "store", "task", "key")
def fund(settings: Settings, amount: str) -> None:
    """Add tokens to a task's budget."""
    wei = parse_amount(amount)
    from flchain.cli.passwords import load_signer  # noqa: PLC0415 - half a second
    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second
    from flchain.cli.tables import format_amount  # noqa: PLC0415
    from flchain.roles.task_setup import fund_task  # noqa: PLC0415

    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        fund_task(session.ledger, signer, task_id, wei)
        budget = session.ledger.get_budget(task_id)
    click.echo(f"task {task_id} has {format_amount(budget.available)} tokens to spend")


@task.command()
@with_settings("chain", "store", "task", "key")
def close(settings: Settings) -> None:
    """Close the task for good; its sponsor gets back what is not owed to anybody."""
    _actions().close_task(settings)


@task.command()
@click.argument("address")
@with_settings("chain", "store", "task", "key")
def dismiss(settings: Settings, address: str) -> None:
    """Remove a member that lapsed, or a validator that missed three votes in a row."""
    _actions().dismiss_member(settings, parse_address(address))


@task.command()
@click.option("--round", "number", type=ROUNDS, help="Only this round; default: all that ended.")
@with_settings("chain", "store", "task", "key")
def sweep(settings: Settings, number: int | None) -> None:
    """Return rewards that nobody claimed in time to the task's budget."""
    _actions().sweep_rewards(settings, number)


@task.command()
@click.option("--policy", type=_PATH, help="Show and check this file instead of a task.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings("chain", "store", "task")
def show(settings: Settings, policy: Path | None, *, is_json: bool) -> None:
    """Show a task's numbers and policy, or check a policy file."""
    facts = _describe_policy(read_policy(policy)) if policy else _read_task(settings)
    print_facts(facts, is_json=is_json)


def read_policy(path: Path) -> "Policy":
    """Read a policy file. Raises ConfigError in one line."""
    from flchain.protocol.errors import ConfigError  # noqa: PLC0415
    from flchain.protocol.policy import load_policy_file  # noqa: PLC0415

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy file {path} cannot be read: {error}") from error
    return load_policy_file(text)


def parse_amount(text: str) -> Any:
    """Return whole tokens, with up to 18 decimals, in wei. Raises BadParameter."""
    import re  # noqa: PLC0415

    match = re.fullmatch(r"(\d{1,20})(?:\.(\d{1,18}))?", text.replace("_", ""))
    wei = int(match[1]) * 10**18 + int((match[2] or "").ljust(18, "0")) if match else 0
    if not 0 < wei <= MAX_TOKENS * 10**18:
        raise click.BadParameter(f"{text!r} is no amount of tokens above 0 and up to {MAX_TOKENS}")
    return wei


def parse_address(text: str) -> Any:
    """Return an address in its EIP-55 form. Raises BadParameter."""
    from eth_utils.address import is_address, to_checksum_address  # noqa: PLC0415

    if not is_address(text):
        raise click.BadParameter(f"{text!r} is no address, or its checksum is wrong")
    return to_checksum_address(text)


def _actions() -> Any:
    from flchain.cli import actions  # noqa: PLC0415 - web3 takes a second

    return actions


def _read_task(settings: Settings) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    from flchain.cli.session import open_session  # noqa: PLC0415 - web3 takes a second
    from flchain.learning.budgets import explain_spending  # noqa: PLC0415
    from flchain.roles.spending import read_spending  # noqa: PLC0415
    from flchain.roles.terms import load_terms  # noqa: PLC0415

    with open_session(settings) as session:
        task_id, ledger = session.get_task_id(), session.ledger
        terms = load_terms(ledger, session.store, task_id)
        status, budget = ledger.get_task_status(task_id), ledger.get_budget(task_id)
        active, newest = ledger.count_active(task_id), ledger.get_round(task_id)
        spending = read_spending(ledger, task_id, terms.task)
    return {
        "task": int(task_id),
        "sponsor": status.sponsor,
        "closed": status.is_closed,
        "endorsements": status.endorsements,
        "agents": active.agents,
        "validators": active.validators,
        "rounds": int(newest.round),
        "budget_wei": str(budget.available),
        "reserved_wei": str(budget.reserved),
        **{name: _to_plain(value) for name, value in asdict(terms.task).items()},
        "privacy_spent": spending.spent if spending.allowed else 0,
        "privacy_now": explain_spending(terms.policy, spending.spent),
        **_describe_policy(terms.policy),
    }


def _describe_policy(policy: "Policy") -> dict[str, Any]:
    from flchain.learning.budgets import explain_budget  # noqa: PLC0415
    from flchain.protocol.policy import compute_policy_digest, encode_policy  # noqa: PLC0415
    from flchain.storage.cid import cid_from_digest  # noqa: PLC0415

    digest = compute_policy_digest(policy)
    return {
        "policy_digest": digest.hex(),
        "policy_cid": str(cid_from_digest(digest)),
        "privacy": explain_budget(policy),
        "policy": encode_policy(policy).decode(),
    }


def _to_plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, int) and value >= 1 << 53 else value

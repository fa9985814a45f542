"""Single steps of one account: join, claim, leave, close, dismiss, sweep."""

import click

from flchain.chain.base import Ledger
from flchain.cli.passwords import load_signer
from flchain.cli.session import open_session
from flchain.cli.tables import format_amount
from flchain.config import Settings
from flchain.protocol.calls import CloseTask, Dismiss, Sweep
from flchain.protocol.events import RewardsPublished, RewardsSwept, TaskRefunded
from flchain.protocol.params import ETHER
from flchain.protocol.types import Address, Role, RoundId, TaskId, Wei
from flchain.roles.context import Context
from flchain.roles.membership import enrol, leave, register, withdraw
from flchain.roles.observation import Watch
from flchain.roles.payouts import claim_rewards


def register_member(settings: Settings, role: Role, stake: int | None) -> None:
    """Register the account under one role and say what was staked."""
    signer = load_signer(settings)
    wanted = None if stake is None else Wei(stake * ETHER)
    with open_session(settings) as session:
        amount = register(session.ledger, signer, role, wanted)
    name = str(role.name).lower()
    click.echo(f"registered {signer.address} as {name} with {format_amount(amount)} tokens")


def enrol_member(settings: Settings, role: Role) -> None:
    """Enrol the account in the task and say from when it counts."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        enrol(session.ledger, signer, task_id, role)
        epoch = session.ledger.get_member(task_id, signer.address).active_from
        start = epoch * session.ledger.get_epoch_length()
        wait = max(0, start - session.ledger.get_time())
    name = str(role.name).lower()
    click.echo(f"enrolled {signer.address} in task {task_id} as {name}; counts in {wait} s")


def leave_task(settings: Settings) -> None:
    """Leave the task."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        leave(session.ledger, signer, task_id)
    click.echo(f"{signer.address} left task {task_id}")


def withdraw_stake(settings: Settings) -> None:
    """Take the next step towards getting the stake back."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        click.echo(withdraw(session.ledger, signer))


def claim_member_rewards(settings: Settings) -> None:
    """Claim what is due and say how much it was."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id, ledger = session.get_task_id(), session.ledger
        before = ledger.get_balance(signer.address)
        context = Context("member", ledger, session.store, signer, task_id)
        paid = claim_rewards(context, Watch(ledger, task_id).observe(), set())
        gained = ledger.get_balance(signer.address) - before
    click.echo(f"claimed {paid} rewards, {format_amount(gained)} tokens, for {signer.address}")


def close_task(settings: Settings) -> None:
    """Close the task and say what its sponsor got back."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        receipt = session.ledger.send(CloseTask(task_id), signer)
    refunded = sum(item.amount for item in receipt.events if isinstance(item, TaskRefunded))
    click.echo(f"task {task_id} is closed, {format_amount(refunded)} tokens came back")


def dismiss_member(settings: Settings, member: Address) -> None:
    """Remove a member from the task, if its rules allow that."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        session.ledger.send(Dismiss(task_id, member), signer)
    click.echo(f"{member} is no longer a member of task {task_id}")


def sweep_rewards(settings: Settings, number: int | None) -> None:
    """Sweep one round, or all whose claims have ended, and say what came back."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id, ledger = session.get_task_id(), session.ledger
        rounds = find_expired(ledger, task_id) if number is None else [RoundId(number)]
        receipts = [ledger.send(Sweep(task_id, item), signer) for item in rounds]
    swept = sum(
        item.amount
        for receipt in receipts
        for item in receipt.events
        if isinstance(item, RewardsSwept)
    )
    click.echo(f"swept {len(receipts)} rounds, {format_amount(swept)} tokens, of task {task_id}")


def find_expired(ledger: Ledger, task_id: TaskId) -> list[RoundId]:
    """Return the rounds with rewards left for which nobody can claim any more."""
    logged = ledger.get_events(task_id=task_id, kinds=(RewardsPublished,))
    rounds = [item.event.round for item in logged if isinstance(item.event, RewardsPublished)]
    now = ledger.get_time()
    left = {number: ledger.get_distribution(task_id, number) for number in rounds}
    return [number for number, item in left.items() if item.remaining and item.expires_at <= now]

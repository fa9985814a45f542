"""Single steps of one account: join, claim, leave, close, dismiss, sweep."""

import click

from flchain.chain.base import Ledger
from flchain.cli.passwords import load_signer, load_vrf_secret, require_vrf_secret
from flchain.cli.session import open_session
from flchain.cli.tables import format_amount
from flchain.config import Settings
from flchain.protocol.calls import (
    AnnounceRecovery,
    CancelRecovery,
    CloseTask,
    Dismiss,
    ExecuteRecovery,
    RefreshDrawKey,
    SetGuardian,
    Sweep,
)
from flchain.protocol.events import RewardsPublished, RewardsSwept, TaskRefunded
from flchain.protocol.params import ETHER
from flchain.protocol.types import Address, Role, RoundId, TaskId, Wei
from flchain.roles.context import Context
from flchain.roles.drawing import hash_secret
from flchain.roles.membership import (
    enrol,
    leave,
    prove_possession,
    register,
    register_with_key,
    rotate_key,
    withdraw,
)
from flchain.roles.observation import Watch
from flchain.roles.payouts import claim_rewards


def register_member(settings: Settings, role: Role, stake: int | None) -> None:
    """Register the account under one role and say what was staked."""
    signer = load_signer(settings)
    wanted = None if stake is None else Wei(stake * ETHER)
    secret = load_vrf_secret(settings) if role is Role.VALIDATOR else None
    with open_session(settings) as session:
        if secret is None:
            amount = register(session.ledger, signer, role, wanted)
        else:
            amount = register_with_key(session.ledger, signer, role, secret, wanted)
    name = str(role.name).lower()
    click.echo(f"registered {signer.address} as {name} with {format_amount(amount)} tokens")


def rotate_vrf_key(settings: Settings) -> None:
    """Give the account another VRF key, in the registry and in the task that is named."""
    signer, secret = load_signer(settings), require_vrf_secret(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        # In force already after a recovery, or for another task: a key is proven once.
        if session.ledger.get_proven_key(signer.address) != hash_secret(secret):
            rotate_key(session.ledger, signer, secret)
        session.ledger.send(RefreshDrawKey(task_id, signer.address), signer)
    click.echo(f"{signer.address} is drawn with another key in task {task_id}, two epochs on")


def set_guardian(settings: Settings, guardian: Address) -> None:
    """Name who may recover the account's VRF key."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        session.ledger.send(SetGuardian(guardian), signer)
    click.echo(f"{guardian} may recover the VRF key of {signer.address}")


def announce_recovery(settings: Settings, account: Address) -> None:
    """Announce, as its guardian, another VRF key for an account."""
    signer, secret = load_signer(settings), require_vrf_secret(settings)
    with open_session(settings) as session:
        key, proof = prove_possession(session.ledger, account, secret)
        session.ledger.send(AnnounceRecovery(account, key, proof), signer)
        _, due = session.ledger.get_recovery(account)
    click.echo(f"{account} gets another VRF key from block time {due} unless it cancels")


def end_recovery(settings: Settings, account: Address | None) -> None:
    """Put an announced key into force or, without an account, cancel one's own."""
    signer = load_signer(settings)
    with open_session(settings) as session:
        if account is None:
            session.ledger.send(CancelRecovery(), signer)
        else:
            session.ledger.send(ExecuteRecovery(account), signer)
    done = "is cancelled" if account is None else "is in force"
    click.echo(f"the recovery of {account or signer.address} {done}")


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

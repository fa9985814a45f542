"""Long-running processes: one role of one account."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.passwords import load_signer, require_vrf_secret
from flchain.cli.session import Session, open_session
from flchain.config import Settings
from flchain.protocol.errors import ConfigError, FlchainError
from flchain.protocol.types import Address, Phase, Role, RoundId, Seconds
from flchain.roles.context import Context, Notice
from flchain.roles.daemon import Role as RunningRole
from flchain.roles.daemon import run_role
from flchain.roles.journal import DiskJournal
from flchain.roles.observation import Observation, Watch
from flchain.roles.orchestrator import Orchestrator
from flchain.roles.payouts import claim_rewards
from flchain.roles.spending import read_spending
from flchain.roles.terms import Floors, Terms, load_terms, verify_floors
from flchain.roles.upkeep import Upkeep, is_over

if TYPE_CHECKING:
    from flchain.learning.attacks import Attack
    from flchain.learning.data import Dataset
    from flchain.learning.training import Trainer
    from flchain.roles.drawing import Drawing
    from flchain.roles.production import Produce

PATIENCE = Seconds(20)
"""How long a member waits before it does the orchestrator's work."""


@dataclass(frozen=True)
class NodeOptions:
    """How a process runs. `rounds` None means until the task ends."""

    rounds: int | None = None
    poll: float = 0.5
    is_json: bool = False
    with_parent: bool = False


@dataclass(frozen=True)
class Node:
    """One account's place in one task, before its role is built."""

    session: Session
    context: Context
    terms: Terms
    options: NodeOptions

    @property
    def has_endorsed(self) -> bool:
        """Whether this validator has accepted the task."""
        ledger, task_id = self.context.ledger, self.context.task_id
        return ledger.get_member(task_id, self.context.signer.address).has_endorsed

    def has_spent(self, number: RoundId) -> bool:
        """Return whether the task's privacy budget is spent, after saying so."""
        spending = read_spending(self.context.ledger, self.context.task_id, self.terms.task)
        if spending.is_over:
            values = {"rounds": float(spending.spent)}
            self.context.notify("privacy-budget-spent", number, 0.0, values=values)
        return spending.is_over

    def build_upkeep(self, patience: Seconds) -> Upkeep:
        """Return the upkeep that this member does."""
        return Upkeep(self.context, self.terms, patience, self.options.rounds)


def run_agent(
    settings: Settings,
    *,
    data: str,
    model: str | None,
    share: str | None,
    alpha: float,
    seed: int,
    min_survivors: int,
    architectures: tuple[str, ...],
    trusted: tuple[Address, ...],
    min_trusted: int | None,
    attack: str | None = None,
    is_relayed: bool = False,
    **options: Any,
) -> None:
    """Run an agent until the task's last round, then claim."""
    from flchain.cli.sources import verify_rows  # noqa: PLC0415 - not for orchestrators
    from flchain.learning.attacks import get_attack  # noqa: PLC0415
    from flchain.roles.agent import Agent  # noqa: PLC0415

    chosen = None if attack is None else get_attack(attack)
    rows = _load_data(settings, data, share, alpha, seed)
    least = len(trusted) if min_trusted is None else min_trusted
    floors = Floors(min_survivors, architectures, frozenset(trusted), least)
    with open_node(settings, "agent", Role.AGENT, NodeOptions(**options)) as node:
        verify_floors(node.terms, floors)
        trainer, rows = _build_trainer(node.terms, model, rows)
        verify_rows(rows, trainer, node.terms.policy)
        upkeep = node.build_upkeep(PATIENCE)
        role = Agent(
            node.context, node.terms, trainer, rows, upkeep, floors=floors, is_relayed=is_relayed
        )
        if chosen is not None:
            role.produce = build_attacker(node, chosen, rows)
        run_node(node, role)


def build_attacker(node: Node, attack: "Attack", rows: "Dataset") -> "Produce":
    """Return what makes a malicious agent's updates, after saying so loudly."""
    from flchain.roles.collusion import Collusion  # noqa: PLC0415

    click.echo(
        f"WARNING: {node.context.signer.address} is MALICIOUS: it sends what the attack "
        f"{attack.name!r} makes, to harm task {node.context.task_id} on chain "
        f"{node.context.ledger.chain_id}. Only for federations that are all your own.",
        err=True,
    )
    return partial(Collusion(attack, (rows,)).produce, 0)


def run_validator(
    settings: Settings,
    *,
    data: str,
    model: str | None,
    share: str | None,
    alpha: float,
    seed: int,
    min_survivors: int,
    architectures: tuple[str, ...],
    **options: Any,
) -> None:
    """Endorse the task if that is still to be done, then run until its last round and claim."""
    from flchain.cli.sources import verify_rows  # noqa: PLC0415 - not for orchestrators
    from flchain.roles.validator import Validator  # noqa: PLC0415

    rows = _load_data(settings, data, share, alpha, seed)
    with open_node(settings, "validator", Role.VALIDATOR, NodeOptions(**options)) as node:
        verify_floors(node.terms, Floors(min_survivors, architectures))
        trainer, rows = _build_trainer(node.terms, model, rows)
        verify_rows(rows, trainer, node.terms.policy)
        upkeep, drawing = node.build_upkeep(PATIENCE), build_drawing(settings, node)
        role = Validator(node.context, node.terms, trainer, rows, upkeep, drawing)
        if not node.has_endorsed:
            role.endorse()
        run_node(node, role)


def build_drawing(settings: Settings, node: Node) -> "Drawing | None":
    """Return a validator's part in draws. Raises ConfigError if it has not the key for them."""
    from flchain.roles.drawing import Drawing  # noqa: PLC0415 - not for orchestrators

    if node.terms.task.committee == 0:
        return None
    drawing = Drawing(node.context, require_vrf_secret(settings))
    ledger, account = node.context.ledger, node.context.signer.address
    if drawing.key_hash != ledger.get_proven_key(account):
        raise ConfigError(
            f"{account} registered another VRF key than that of --vrf-keystore: name the right "
            "file, or run `flchain validator rotate-key`"
        )
    place = ledger.get_member(node.context.task_id, account).place
    if not drawing.is_own(ledger.get_draw_key(node.context.task_id, place)[0]):
        raise ConfigError(
            f"task {node.context.task_id} still has an earlier VRF key of {account}: run "
            "`flchain validator rotate-key` with the file of --vrf-keystore"
        )
    return drawing


def endorse_task(settings: Settings, *, min_survivors: int, architectures: tuple[str, ...]) -> None:
    """Derive version 0 from the policy and accept the task."""
    from flchain.roles.validator import endorse  # noqa: PLC0415 - not for orchestrators

    with open_node(settings, "validator", Role.VALIDATOR, NodeOptions()) as node:
        verify_floors(node.terms, Floors(min_survivors, architectures))
        endorse(node.context, node.terms)
        click.echo(f"{node.context.signer.address} endorsed task {node.context.task_id}")


def run_orchestrator(settings: Settings, **options: Any) -> None:
    """Open rounds, propose and settle until the task's last round."""
    with open_node(settings, "orchestrator", Role.PROPOSER, NodeOptions(**options)) as node:
        run_node(node, Orchestrator(node.build_upkeep(Seconds(0))), is_paid=False)


@contextmanager
def open_node(settings: Settings, name: str, role: Role, options: NodeOptions) -> Iterator[Node]:
    """Open chain and store for an enrolled account. Raises ConfigError if it is not enrolled."""
    if options.with_parent:
        end_with_parent()
    signer = load_signer(settings)
    with open_session(settings) as session:
        task_id = session.get_task_id()
        terms = load_terms(session.ledger, session.store, task_id)
        member = session.ledger.get_member(task_id, signer.address)
        if member.role != role or member.left_at:
            raise ConfigError(
                f"{signer.address} is not enrolled in task {task_id} as {name}: "
                f"run `flchain {name} enrol`"
            )
        journal = DiskJournal(session.get_journal_folder(name, signer.address))
        report = print_json_notice if options.is_json else print_notice
        context = Context(name, session.ledger, session.store, signer, task_id, journal, report)
        yield Node(session, context, terms, options)


def run_node(node: Node, role: RunningRole, *, is_paid: bool = True) -> None:
    """Run a role to the end and claim what it earned."""
    context, options = node.context, node.options
    watch = Watch(context.ledger, context.task_id)
    context.notify("ready", watch.observe().round.round, 0.0)
    run_role(
        role,
        watch,
        until=_build_until(node),
        idle=lambda _: time.sleep(options.poll),
        on_error=_print_error,
    )
    if is_paid:
        claim_all(context, watch, lambda: time.sleep(options.poll))


def claim_all(context: Context, watch: Watch, idle: Callable[[], None]) -> None:
    """Claim every reward of an account, once those of the last round are due."""
    seen = watch.observe()
    published = [past.rewards for past in seen.past.rounds.values()]
    due = max((item.claimable_from for item in published if item), default=seen.now)
    while seen.now < due:
        idle()
        seen = watch.observe()
    claim_rewards(context, seen, set())


def _build_until(node: Node) -> Callable[[Observation], bool]:
    """Return the test for the end: the last round is over, the task closed or its budget spent."""
    last = node.terms.task.max_rounds
    rounds = last if node.options.rounds is None else min(node.options.rounds, last)
    ledger, task_id = node.context.ledger, node.context.task_id

    def until(seen: Observation) -> bool:
        if is_over(seen, rounds):
            return True
        if seen.phase not in (Phase.NONE, Phase.ENDED):
            return False
        return ledger.get_task_status(task_id).is_closed or node.has_spent(seen.round.round)

    return until


def end_with_parent() -> None:
    """Terminate this process when whoever holds the other end of stdin is gone."""

    def wait() -> None:
        # Not through `sys.stdin`: a thread that waits inside its lock aborts the interpreter's end.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def print_notice(notice: Notice) -> None:
    """Print one line about what the role did."""
    gas = f", {notice.gas:,} gas" if notice.gas else ""
    values = "".join(f", {name} {value:.4f}" for name, value in notice.values.items())
    why = f": {notice.detail}" if notice.detail else ""
    click.echo(f"round {notice.round}: {notice.action} {notice.seconds:.2f} s{gas}{values}{why}")


def print_json_notice(notice: Notice) -> None:
    """Print what the role did for a program that reads along."""
    sys.stdout.write(json.dumps(asdict(notice)) + "\n")
    sys.stdout.flush()


def _print_error(error: FlchainError) -> None:
    click.echo(f"trying again: {error}", err=True)


def _build_trainer(terms: Terms, model: str | None, rows: "Dataset") -> tuple["Trainer", "Dataset"]:
    """Return a trainer for the task's model, and the rows as it wants them."""
    from flchain.cli.objects import load_task  # noqa: PLC0415 - not for orchestrators
    from flchain.learning.training import get_trainer  # noqa: PLC0415

    spec = terms.policy.model
    if model is None:
        return get_trainer(spec), rows
    task = load_task(model)
    own = task.build_model()
    if own.get_layers() != spec.layers:
        raise ConfigError(
            f"model {model!r} has other layers than {spec.architecture}, which task "
            f"{terms.task_id} trains: name the module that its sponsor gave out"
        )
    return own, task.prepare_rows(rows)


def _load_data(
    settings: Settings, data: str, share: str | None, alpha: float, seed: int
) -> "Dataset":
    from flchain.cli.sources import load_rows, parse_share, take_share  # noqa: PLC0415

    part = None if share is None else parse_share(share, alpha, seed)
    rows = load_rows(data, settings.mnist)
    return rows if part is None else take_share(rows, part)

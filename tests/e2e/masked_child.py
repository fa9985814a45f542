"""An agent in a process of its own that stops at a chosen point of a round, to be killed there.

It shares nothing with the test but the node's address, the block folder and its journal's folder.
"""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flchain.chain.address_book import load_address_book
from flchain.chain.base import Receipt
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.rpc import HttpRpc
from flchain.crypto.signing import LocalSigner, Signer
from flchain.learning.data.digits import load_digits
from flchain.learning.training import DenseTrainer
from flchain.protocol.calls import Call, PostRecord
from flchain.protocol.types import Outcome, Phase, RoundId, TaskId
from flchain.roles.agent import Agent
from flchain.roles.context import Context
from flchain.roles.daemon import run_role
from flchain.roles.journal import DiskJournal
from flchain.roles.observation import Observation, Watch
from flchain.roles.terms import load_terms
from flchain.storage.disk import DiskStore
from tests.e2e import federation

BEFORE, BETWEEN, AFTER = "before", "between", "after"


@dataclass(frozen=True)
class Halt:
    """Where an agent stops: before or after what it does in a phase.

    For a record, before means that the journal has it and the chain does not, between that the
    chain has it and the agent does not know yet.
    """

    number: RoundId
    phase: Phase
    side: str


@dataclass(frozen=True)
class AgentOptions:
    """What a process needs. `flag` is a file that it makes where it stops."""

    url: str
    book: Path
    store: Path
    task_id: TaskId
    secret: bytes = field(repr=False)
    journal: Path
    rows: tuple[int, int]
    last_round: RoundId
    flag: Path
    halt: Halt | None = None


def halt_here(options: AgentOptions) -> None:
    """Say so, then do nothing more until the process is killed."""
    options.flag.touch()
    while True:
        signal.pause()


class HaltingLedger:
    """A ledger on which a process stops right before or after one of its records."""

    def __init__(self, ledger: EthereumLedger, options: AgentOptions) -> None:
        self._ledger = ledger
        self._options = options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def send(self, call: Call, signer: Signer) -> Receipt:
        self._stop(call, BEFORE)
        receipt = self._ledger.send(call, signer)
        self._stop(call, BETWEEN)
        return receipt

    def _stop(self, call: Call, side: str) -> None:
        if not isinstance(call, PostRecord):
            return
        if Halt(call.round, call.phase, side) == self._options.halt:
            halt_here(self._options)


@dataclass
class HaltingAgent(Agent):
    """An agent that stops once it has done what a phase asks, or before it looks in CHECK."""

    options: AgentOptions | None = None

    def tick(self, seen: Observation) -> bool:
        is_check = seen.phase is Phase.CHECK and seen.now >= seen.masked.opens_at
        if is_check:
            self._stop(seen, BEFORE)
        acted = super().tick(seen)
        if acted or is_check:
            self._stop(seen, AFTER)
        return acted

    def _stop(self, seen: Observation, side: str) -> None:
        if self.options and Halt(seen.round.round, seen.phase, side) == self.options.halt:
            halt_here(self.options)


def run_agent(options: AgentOptions) -> None:
    """Be one agent until its last round is over."""
    book = load_address_book(options.book)
    ledger: Any = HaltingLedger(EthereumLedger(HttpRpc(options.url), book), options)
    store = DiskStore(options.store, durable=False)
    terms = load_terms(ledger, store, options.task_id)
    context = Context(
        "agent",
        ledger,
        store,
        LocalSigner(options.secret),
        options.task_id,
        DiskJournal(options.journal),
        report=print_reason,
    )
    trainer = DenseTrainer(terms.policy.model.layers)
    agent = HaltingAgent(context, terms, trainer, load_digits(*options.rows), options=options)
    run_role(
        agent,
        Watch(ledger, options.task_id),
        until=lambda seen: is_past(seen, options.last_round),
        idle=federation.wait,
        on_error=print,
    )


def is_past(seen: Observation, last: RoundId) -> bool:
    """Return whether an agent's last round is over."""
    return seen.round.round >= last and seen.round.outcome is not Outcome.NONE


def print_reason(notice: Any) -> None:
    """Show why an agent drops out, where pytest shows a failed test's output."""
    if notice.detail:
        print(notice.round, notice.account, notice.action, notice.detail, flush=True)

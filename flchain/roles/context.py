"""What a role works with: everything that touches the world is handed in here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from flchain.chain.base import Ledger, Receipt
from flchain.crypto.signing import Signer
from flchain.protocol.calls import Call
from flchain.protocol.digests import round_key
from flchain.protocol.types import Digest, RoundId, TaskId
from flchain.roles.archive import Archive
from flchain.roles.execution import LedgerIds
from flchain.roles.journal import Journal, MemoryJournal
from flchain.roles.masked.blobs import Origin
from flchain.storage.base import ContentStore


@dataclass(frozen=True)
class Notice:
    """Something a role did, for progress displays and summaries.

    `action` is a call's name or an activity ("train", "evaluate", "execute"); `seconds` is wall
    time, `gas` is 0 for what sends nothing; `values` are figures such as accuracy; `detail` is a
    line for people where something went wrong.
    """

    role: str
    account: str
    action: str
    round: RoundId
    seconds: float
    gas: int = 0
    values: dict[str, float] = field(default_factory=dict)
    detail: str = ""
    """Why, in one line, where that needs words."""


Report = Callable[[Notice], None]


def ignore_notice(notice: Notice) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Context:
    """One role's ledger, store, key, journal and clock, for one task."""

    role: str
    ledger: Ledger
    store: ContentStore
    signer: Signer
    task_id: TaskId
    journal: Journal = field(default_factory=MemoryJournal)
    report: Report = ignore_notice
    stopwatch: Callable[[], float] = time.perf_counter
    shared_archive: Archive | None = None
    """Given to roles that live in one process and trust it; they verify each payload once."""

    @cached_property
    def archive(self) -> Archive:
        """The store's payloads, with those at hand that this role has verified."""
        return self.shared_archive or Archive(self.store)

    @property
    def ids(self) -> LedgerIds:
        """What a reward leaf binds besides its round."""
        return LedgerIds(self.ledger.chain_id, self.ledger.addresses.reward_distributor)

    def get_round_key(self, number: RoundId) -> Digest:
        """Return the domain value of a round of this task."""
        manager = self.ledger.addresses.round_manager
        return round_key(self.ledger.chain_id, manager, self.task_id, number)

    def get_origin(self, number: RoundId) -> Origin:
        """Return where messages and proofs of a masked round of this task count."""
        contract = self.ledger.addresses.masked_rounds
        return Origin(self.ledger.chain_id, contract, self.get_round_key(number))

    def send(self, call: Call, number: RoundId) -> Receipt:
        """Send a call of this round and report what it took."""
        start = self.stopwatch()
        receipt = self.ledger.send(call, self.signer)
        seconds = self.stopwatch() - start
        self.notify(type(call).__name__, number, seconds, gas=receipt.gas_used)
        return receipt

    def notify(
        self,
        action: str,
        number: RoundId,
        seconds: float,
        *,
        gas: int = 0,
        values: dict[str, float] | None = None,
        detail: str = "",
    ) -> None:
        """Report one activity."""
        account = self.signer.address
        values = values or {}
        self.report(Notice(self.role, account, action, number, seconds, gas, values, detail))

"""How much of a task's privacy budget the chain says is spent."""

from dataclasses import dataclass

from flchain.chain.base import Ledger
from flchain.protocol.events import PhaseClosed, RoundOpened
from flchain.protocol.records import Task
from flchain.protocol.types import Mode, Phase, RoundId, TaskId


@dataclass(frozen=True)
class Spending:
    """Rounds that were charged and rounds that the budget pays for, 0 where it limits nothing."""

    spent: int
    allowed: int

    @property
    def is_over(self) -> bool:
        """Whether the contract opens no further round."""
        return 0 < self.allowed <= self.spent


def read_spending(ledger: Ledger, task_id: TaskId, task: Task) -> Spending:
    """Return what a task has spent: a plain one in each opened round, else in each revealed sum."""
    if task.mode == Mode.SECURE:
        return Spending(ledger.get_masked(task_id).spent, task.privacy_rounds)
    return Spending(int(ledger.get_round(task_id).round), task.privacy_rounds)


def list_charged_rounds(ledger: Ledger, task_id: TaskId, task: Task) -> list[RoundId]:
    """Return the rounds that the budget was charged for, in their order."""
    kinds = (PhaseClosed,) if task.mode == Mode.SECURE else (RoundOpened,)
    events = (logged.event for logged in ledger.get_events(task_id=task_id, kinds=kinds))
    return [
        event.round
        for event in events
        if isinstance(event, RoundOpened)
        or (isinstance(event, PhaseClosed) and event.phase is Phase.ATTEST)
    ]

"""One storage slot as the rules have it."""

from dataclasses import dataclass

from flchain.protocol.types import RoundId, TaskId


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot: its value, what it is, and what it is about as far as that is one thing."""

    value: int
    name: str
    task_id: TaskId | None = None
    round: RoundId | None = None


Slots = dict[int, Slot]

"""Who was drawn in a round, and why: rows for tables and documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flchain.chain.base import Ledger
from flchain.chain.spec.committees import get_weight
from flchain.protocol.events import DrawKeySet, SeatsProven, SeatsReplaced
from flchain.protocol.sortition import compute_seat, get_score
from flchain.protocol.types import ZERO_DIGEST, Digest, TaskId
from flchain.roles.history import RoundPast

_GONE = "(left)"


@dataclass(frozen=True)
class Holding:
    """A validator took a place, or set its key there, in a block."""

    block: int
    place: int
    validator: str


def read_holders(ledger: Ledger, task_id: TaskId) -> list[Holding]:
    """Return who took which place, in the chain's order."""
    logged = ledger.get_events(task_id=task_id, kinds=(DrawKeySet,))
    return [
        Holding(item.block_number, item.event.place, item.event.validator)
        for item in logged
        if isinstance(item.event, DrawKeySet)
    ]


def list_proofs(past: RoundPast, holders: Sequence[Holding]) -> list[dict[str, Any]]:
    """Return one row for each validator that won seats in a draw: by which output, and how many.

    `score` is that of its first seat; the lowest scores of a draw sit, and come first. `seats` are
    those that it held when the attempt ended: 0 in reserve, or after it was silent.
    """
    outputs: dict[tuple[int, int], Digest] = {}
    committees: dict[int, int] = {}
    for event in past.draws:
        if isinstance(event, SeatsProven):
            # Zero stands for a proof that won nothing, which nobody has verified.
            pairs = zip(event.places, event.outputs, strict=True)
            won = {(event.attempt, place): out for place, out in pairs if out != ZERO_DIGEST}
            outputs |= won
        if isinstance(event, SeatsProven | SeatsReplaced):
            committees[event.attempt] = event.committee
    rows = [
        {
            "attempt": attempt,
            "validator": _find_holder(holders, place, past.block),
            "place": place,
            "score": get_score(compute_seat(output, 0, place)),
            "seats": get_weight(committees[attempt], place),
            "output": output.hex(),
        }
        for (attempt, place), output in outputs.items()
    ]
    return sorted(rows, key=lambda row: (row["attempt"], row["score"]))


def _find_holder(holders: Sequence[Holding], place: int, block: int) -> str:
    """Return who held a place when a round opened in `block`: only those are drawn in it."""
    names = [item.validator for item in holders if item.place == place and item.block <= block]
    return names[-1] if names else _GONE

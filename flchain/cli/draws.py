"""Who was drawn in a round, and why: rows for tables and documents."""

from collections.abc import Mapping
from typing import Any

from flchain.chain.base import Ledger
from flchain.chain.spec.committees import get_weight
from flchain.protocol.events import DrawKeySet, SeatsProven
from flchain.protocol.sortition import compute_seat, get_score
from flchain.protocol.types import TaskId
from flchain.roles.history import RoundPast

_GONE = "(left)"


def read_holders(ledger: Ledger, task_id: TaskId) -> dict[int, str]:
    """Return who holds each place, by the newest events."""
    logged = ledger.get_events(task_id=task_id, kinds=(DrawKeySet,))
    return {
        item.event.place: item.event.validator
        for item in logged
        if isinstance(item.event, DrawKeySet)
    }


def list_proofs(past: RoundPast, holders: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return one row for each proof of seats: who, by which output, and the seats held at last.

    `score` is that of the proof's first seat; the lowest scores of a draw sit, and come first.
    """
    proofs = [
        {
            "attempt": event.attempt,
            "validator": holders.get(place, _GONE),
            "place": place,
            "score": get_score(compute_seat(output, 0, place)),
            "seats": get_weight(past.committee, place),
            "output": output.hex(),
        }
        for event in past.draws
        if isinstance(event, SeatsProven)
        for place, output in zip(event.places, event.outputs, strict=True)
    ]
    return sorted(proofs, key=lambda proof: (proof["attempt"], proof["score"]))

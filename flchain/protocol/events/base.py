"""What all events have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that `contract` recorded; the class has the event's name."""

    contract: ClassVar[str]

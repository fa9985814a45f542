"""What all calls have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `function` on `contract`; the fields are its arguments."""

    contract: ClassVar[str]
    function: ClassVar[str]

"""What an audit found: one line for each thing that was checked."""

from dataclasses import dataclass, field
from enum import Enum

from flchain.protocol.types import RoundId


class Status(Enum):
    """What became of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"
    """Not checked, or not checkable: a limit that the reader must know."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `round` is None for what belongs to no round."""

    status: Status
    round: RoundId | None
    subject: str
    detail: str

    def __str__(self) -> str:
        place = "" if self.round is None else f"round {self.round}: "
        return f"{self.status.value}: {place}{self.subject}: {self.detail}"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything that an audit looked at, in order."""

    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """What does not fit."""
        return tuple(check for check in self.checks if check.status is Status.FAILED)

    @property
    def is_sound(self) -> bool:
        """Whether everything that was checked fits."""
        return not self.failures


@dataclass
class Findings:
    """The checks of an audit that is going on."""

    checks: list[Check] = field(default_factory=list)

    def passed(self, subject: str, detail: str, number: RoundId | None = None) -> None:
        """Record something that fits."""
        self.checks.append(Check(Status.PASSED, number, subject, detail))

    def failed(self, subject: str, detail: str, number: RoundId | None = None) -> None:
        """Record something that does not fit."""
        self.checks.append(Check(Status.FAILED, number, subject, detail))

    def noted(self, subject: str, detail: str, number: RoundId | None = None) -> None:
        """Record a limit of what was checked."""
        self.checks.append(Check(Status.NOTED, number, subject, detail))

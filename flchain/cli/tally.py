"""What a federation did: figures collected while it runs."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from flchain.chain.base import Ledger, Receipt
from flchain.crypto.signing import Signer
from flchain.protocol.calls import Call
from flchain.protocol.types import Phase, RoundId
from flchain.roles.context import Notice, Report
from flchain.roles.observation import Observation

_BETWEEN = "open"
_NAMES = {Phase.NONE: _BETWEEN, Phase.ENDED: _BETWEEN}


@dataclass
class GasUse:
    """Gas of one action. `later` is the most it cost from the second round on."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0
    later: int = 0

    def add(self, gas: int, number: RoundId) -> None:
        """Count one transaction."""
        self.least = min(self.least or gas, gas)
        self.most = max(self.most, gas)
        self.later = max(self.later, gas) if number > 1 else self.later
        self.count, self.total = self.count + 1, self.total + gas


@dataclass
class Tally:
    """Adds up notices; safe to report to from several threads."""

    gas: dict[str, GasUse] = field(default_factory=lambda: defaultdict(GasUse))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, notice: Notice) -> None:
        """Count one notice: wall time by action, and gas where there was some."""
        with self._lock:
            self.seconds[notice.action] += notice.seconds
            self.counts[notice.action] += 1
            if notice.gas:
                self.gas[notice.action].add(notice.gas, notice.round)

    @property
    def total_gas(self) -> int:
        """Gas of all transactions."""
        return sum(use.total for use in self.gas.values())


class PhaseClock:
    """Splits wall time among rounds and phases, from one observation to the next."""

    def __init__(self, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        """Start with nothing measured."""
        self._stopwatch = stopwatch
        self._last: tuple[float, RoundId, str] | None = None
        self.rounds: dict[RoundId, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def observe(self, seen: Observation) -> None:
        """Count the time since the last observation for the phase that it saw."""
        now = self._stopwatch()
        if self._last is not None:
            then, number, name = self._last
            self.rounds[number][name] += now - then
        name = _NAMES.get(seen.phase, seen.phase.name.lower())
        number = RoundId(seen.round.round + 1) if name == _BETWEEN else seen.round.round
        self._last = (now, number, name)

    def sum_phases(self) -> dict[str, float]:
        """Return the seconds of each phase over all rounds."""
        total: dict[str, float] = defaultdict(float)
        for phases in self.rounds.values():
            for name, seconds in phases.items():
                total[name] += seconds
        return dict(total)


class MeteredLedger:
    """A ledger that reports each transaction sent through it; all else is the ledger's own."""

    def __init__(self, ledger: Ledger, role: str, report: Report) -> None:
        """Report to `report` under the name of `role`."""
        self._ledger = ledger
        self._role = role
        self._report = report

    def __getattr__(self, name: str) -> Any:
        """Pass every read on."""
        return getattr(self._ledger, name)

    def send(self, call: Call, signer: Signer) -> Receipt:
        """Send one call and report it."""
        start = time.perf_counter()
        receipt = self._ledger.send(call, signer)
        self._note(call, signer, receipt, time.perf_counter() - start)
        return receipt

    def send_all(self, calls: list[tuple[Call, Signer]]) -> list[Any]:
        """Send calls and report those that went through, with an equal part of the time."""
        start = time.perf_counter()
        answers = self._ledger.send_all(calls)
        seconds = (time.perf_counter() - start) / max(1, len(calls))
        for (call, signer), answer in zip(calls, answers, strict=True):
            if isinstance(answer, Receipt):
                self._note(call, signer, answer, seconds)
        return answers

    def _note(self, call: Call, signer: Signer, receipt: Receipt, seconds: float) -> None:
        action = type(call).__name__
        notice = Notice(self._role, signer.address, action, RoundId(0), seconds, receipt.gas_used)
        self._report(notice)


def meter(ledger: Ledger, role: str, report: Report) -> Ledger:
    """Return a ledger that reports what is sent."""
    return cast("Ledger", MeteredLedger(ledger, role, report))

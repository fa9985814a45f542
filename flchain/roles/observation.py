"""What a role sees of its task at one moment, read once and acted upon.

An observation may be stale by the time a role acts. That is harmless: the contracts refuse
what no longer fits, and `is_overtaken` tells such a refusal from a mistake.
"""

from dataclasses import dataclass

from flchain.chain.base import Ledger
from flchain.protocol.errors import ProtocolError
from flchain.protocol.records import Ballot, Round
from flchain.protocol.reverts import (
    AlreadyAttested,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    NoSeat,
    NotYourRank,
    NotYourTurn,
    RoundIsLive,
    SeedIsFixed,
    TooEarly,
    WrongPhase,
    WrongProposal,
    WrongRound,
)
from flchain.protocol.types import Phase, TaskId, Timestamp
from flchain.roles.history import History, RoundPast, TaskPast

_OVERTAKEN = (
    AlreadyAttested,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    NoSeat,
    NotYourRank,
    NotYourTurn,
    RoundIsLive,
    SeedIsFixed,
    TooEarly,
    WrongPhase,
    WrongProposal,
    WrongRound,
)


@dataclass(frozen=True)
class Observation:
    """A task at one moment."""

    now: Timestamp
    phase: Phase
    round: Round
    ballot: Ballot
    past: TaskPast

    @property
    def live(self) -> RoundPast:
        """The newest round's events; KeyError before the first round."""
        return self.past.rounds[self.round.round]


class Watch:
    """Observes one task of one ledger."""

    def __init__(self, ledger: Ledger, task_id: TaskId) -> None:
        """Start without having looked."""
        self._ledger = ledger
        self._task_id = task_id
        self._history = History(ledger, task_id)

    def observe(self) -> Observation:
        """Look now.

        The events are read last, so they cover at least what the phase implies; a look during
        which the round changed is taken again.
        """
        while True:
            current = self._ledger.get_round(self._task_id)
            phase = self._ledger.get_phase(self._task_id)
            ballot = self._ledger.get_ballot(self._task_id)
            now = self._ledger.get_time()
            past = self._history.refresh()
            newest = max(past.rounds, default=0)
            if newest == current.round and _fits(phase, past):
                return Observation(now, phase, current, ballot, past)


def _fits(phase: Phase, past: TaskPast) -> bool:
    """Return whether the events show what a phase presupposes."""
    if phase not in (Phase.SEAT, Phase.VOTE):
        return True
    newest = past.rounds[max(past.rounds)]
    return bool(newest.proposals)


def is_overtaken(error: ProtocolError) -> bool:
    """Return whether a call was refused because somebody, or time, was faster."""
    return isinstance(error, _OVERTAKEN)

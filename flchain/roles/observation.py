"""What a role sees of its task at one moment, read once and acted upon.

An observation may be stale by the time a role acts. That is harmless: the contracts refuse
what no longer fits, and `is_overtaken` tells such a refusal from a mistake.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flchain.chain.base import Ledger
from flchain.protocol.errors import AdapterError, ProtocolError
from flchain.protocol.records import Ballot, DrawView, Round
from flchain.protocol.reverts import (
    AlreadyAttested,
    AlreadyAudited,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadyPunished,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    BondTooHigh,
    NoBlockHash,
    NoOffence,
    NoSeat,
    NotEntitled,
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
    AlreadyAudited,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadyPunished,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    BondTooHigh,
    NoBlockHash,
    NoOffence,
    NoSeat,
    NotEntitled,
    NotYourRank,
    NotYourTurn,
    RoundIsLive,
    SeedIsFixed,
    TooEarly,
    WrongPhase,
    WrongProposal,
    WrongRound,
)
"""A role looks before it acts, so NotEntitled and BondTooHigh mean that it left, or locked a bond
in another task, since then."""


_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""Seconds between looks that do not fit: a round that just changed needs none."""


@dataclass(frozen=True)
class Observation:
    """A task at one moment."""

    now: Timestamp
    phase: Phase
    round: Round
    ballot: Ballot
    draw: DrawView
    past: TaskPast

    @property
    def live(self) -> RoundPast:
        """The newest round's events; KeyError before the first round."""
        return self.past.rounds[self.round.round]


class Watch:
    """Observes one task of one ledger; `pause` waits some seconds."""

    def __init__(
        self, ledger: Ledger, task_id: TaskId, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Start without having looked."""
        self._pause = pause
        self._ledger = ledger
        self._task_id = task_id
        self._history = History(ledger, task_id)

    def observe(self) -> Observation:
        """Look now.

        The events are read last, so they cover at least what the phase implies; a look during
        which the round changed is taken again. Raises AdapterError, which may pass, if the node's
        logs stay behind its state, as they may where several nodes share one address.
        """
        for pause in _PAUSES:
            seen = self._look()
            if _fits(seen):
                return seen
            self._pause(pause)
        raise AdapterError(
            f"the node's logs of task {self._task_id} lag behind its state; wait, or use a node "
            "that answers both",
            is_retryable=True,
        )

    def _look(self) -> Observation:
        seen = self._ledger.get_snapshot(self._task_id)
        past = self._history.refresh(seen.head)
        return Observation(seen.now, seen.phase, seen.round, seen.ballot, seen.draw, past)


def _fits(seen: Observation) -> bool:
    """Return whether the events show what round and phase presuppose."""
    if max(seen.past.rounds, default=0) != seen.round.round:
        return False
    return seen.phase not in (Phase.SEAT, Phase.VOTE) or bool(seen.live.proposals)


def is_overtaken(error: ProtocolError) -> bool:
    """Return whether a call was refused because somebody, or time, was faster."""
    return isinstance(error, _OVERTAKEN)

"""What a role sees of its task at one moment, read once and acted upon.

An observation may be stale by the time a role acts. That is harmless: the contracts refuse
what no longer fits, and `is_overtaken` tells such a refusal from a mistake. What they can't
check, an execution tag, is only ever made of events that fit the state (`_fits`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flchain.chain.base import Ledger
from flchain.chain.spec.masked_clock import MAX_REVEALED
from flchain.protocol.errors import AdapterError, ProtocolError
from flchain.protocol.events import SeatsOpened
from flchain.protocol.records import Ballot, DrawView, MaskedRound, Round
from flchain.protocol.reverts import (
    AlreadyAccused,
    AlreadyAttested,
    AlreadyAudited,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadyPosted,
    AlreadyPunished,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    BondTooHigh,
    ComplaintsClosed,
    InvalidBitmap,
    InvalidPlaces,
    NoBlockHash,
    NoOffence,
    NoSeat,
    NoSuchRecord,
    NotEntitled,
    NothingMissed,
    NothingToRelay,
    NotOpenYet,
    NotRelayer,
    NotYourRank,
    NotYourTurn,
    PlacesExhausted,
    RoundIsLive,
    SeedIsFixed,
    StaleView,
    TooEarly,
    TooLateToRelay,
    WrongPhase,
    WrongProposal,
    WrongRound,
)
from flchain.protocol.types import Address, Digest, Outcome, Phase, TaskId, Timestamp, Version
from flchain.roles.history import History, RoundPast, TaskPast
from flchain.roles.masked.past import MaskedPast

_OVERTAKEN = (
    AlreadyAccused,
    AlreadyAttested,
    AlreadyAudited,
    AlreadyClaimed,
    AlreadyEndorsed,
    AlreadyPosted,
    AlreadyPunished,
    AlreadySeeded,
    AlreadySubmitted,
    AlreadyVoted,
    Barred,
    BondTooHigh,
    ComplaintsClosed,
    InvalidBitmap,
    InvalidPlaces,
    NoBlockHash,
    NoOffence,
    NoSeat,
    NoSuchRecord,
    NotEntitled,
    NotOpenYet,
    NotRelayer,
    NotYourRank,
    NotYourTurn,
    NothingMissed,
    NothingToRelay,
    PlacesExhausted,
    RoundIsLive,
    SeedIsFixed,
    StaleView,
    TooEarly,
    TooLateToRelay,
    WrongPhase,
    WrongProposal,
    WrongRound,
)
"""A role looks before it acts, so NotEntitled and BondTooHigh mean that it left, or locked a bond
in another task, since then; NotRelayer, that it lost its stake; InvalidPlaces, that somebody new
took a place."""


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
    masked: MaskedRound
    head: int
    """The newest block that was read."""
    past: TaskPast

    @property
    def live(self) -> RoundPast:
        """The newest round's events; KeyError before the first round."""
        return self.past.rounds[self.round.round]

    @property
    def masked_past(self) -> MaskedPast:
        """The masked part of the newest round so far."""
        return self.live.masked or MaskedPast(self.live.opened.validators)

    def is_revealed(self, version: Version) -> bool:
        """Return whether as many sums of a version are known as may be: no more are opened."""
        masked = self.masked
        return masked.revealed >= MAX_REVEALED and masked.revealed_version == version

    def find_place(self, agent: Address) -> int | None:
        """Return an agent's place in secure mode; None before its first JOIN."""
        holders = self.past.holders
        return holders.index(agent) if agent in holders else None

    def name_records(self, phase: Phase) -> dict[Address, Digest]:
        """Return the digests in force of a masked phase, by agent."""
        found = self.masked_past.get_records(phase)
        return {self.past.holders[place]: digest for place, digest in found.items()}

    def name_set(self, phase: Phase) -> frozenset[Address]:
        """Return the agents in the set that a masked phase decided, or has so far."""
        return frozenset(self.past.holders[place] for place in self.masked_past.get_set(phase))


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
        return Observation(
            now=seen.now,
            phase=seen.phase,
            round=seen.round,
            ballot=seen.ballot,
            draw=seen.draw,
            masked=seen.masked,
            head=seen.head.number,
            past=past,
        )


def _fits(seen: Observation) -> bool:
    """Return whether the events show what round, phase, ballot and draw presuppose.

    What a vote is about follows from the events, and no contract checks its execution tag: they
    must be those of the newest proposal and of its draw.
    """
    if max(seen.past.rounds, default=0) != seen.round.round:
        return False
    if seen.masked.round == seen.round.round and not (_is_whole(seen) and _shows_closed(seen)):
        return False
    if seen.phase not in (Phase.SEAT, Phase.VOTE):
        return True
    attempt = seen.ballot.attempt
    is_proposed = any(item.attempt == attempt for item in seen.live.proposals)
    return is_proposed and (seen.phase is Phase.SEAT or _shows_draw(seen, attempt))


def _is_whole(seen: Observation) -> bool:
    """Return whether phase and masked part are of one moment, though a node answered in two."""
    is_masked = Phase.JOIN <= seen.phase <= Phase.UNMASK
    return not is_masked or seen.phase is seen.masked.phase


def _shows_closed(seen: Observation) -> bool:
    """Return whether the events have the sets of all masked phases before this one."""
    if seen.masked.phase is Phase.ENDED:
        is_live = seen.round.outcome is Outcome.NONE
        return not is_live or seen.masked_past.has_closed(Phase.UNMASK)
    return seen.masked.phase <= Phase.JOIN or seen.masked_past.has_closed(
        Phase(seen.masked.phase - 1)
    )


def _shows_draw(seen: Observation, attempt: int) -> bool:
    """Return whether the events have the seed of the draw that the vote follows, if any."""
    draw = seen.draw.draw
    if (draw.round, draw.attempt) != (seen.round.round, attempt) or not draw.is_seeded:
        return True
    return any(isinstance(e, SeatsOpened) and e.attempt == attempt for e in seen.live.draws)


def is_overtaken(error: ProtocolError) -> bool:
    """Return whether a call was refused because somebody, or time, was faster."""
    return isinstance(error, _OVERTAKEN)

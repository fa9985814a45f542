"""A task's past, read off the chain's events and nothing else."""

from dataclasses import dataclass, field, replace

from flchain.chain.base import BlockRef, Ledger, LoggedEvent
from flchain.protocol.digests import decode_bitmap
from flchain.protocol.events import (
    BlobsAttested,
    ModelPublished,
    ProposalSubmitted,
    RecordPosted,
    RecordsRelayed,
    RecordVoided,
    RewardClaimed,
    RewardsPublished,
    RoundOpened,
    RoundSettled,
    SeatsOpened,
    SeatsProven,
    SeatsReplaced,
    SeedFixed,
    UpdateSubmitted,
    VoteCast,
)
from flchain.protocol.records import Task
from flchain.protocol.types import (
    Address,
    Digest,
    Outcome,
    Phase,
    RoundId,
    Seconds,
    TaskId,
    Version,
)
from flchain.roles.masked.past import MaskedPast, apply_masked, build_submissions


@dataclass(frozen=True)
class RoundPast:
    """Everything that happened in one round so far, in the chain's order."""

    opened: RoundOpened
    block: int
    submissions: tuple[UpdateSubmitted, ...] = ()
    attested: dict[Address, frozenset[int]] = field(default_factory=dict)
    proposals: tuple[ProposalSubmitted, ...] = ()
    votes: tuple[VoteCast, ...] = ()
    seeds: tuple[SeedFixed, ...] = ()
    draws: tuple[SeatsOpened | SeatsProven | SeatsReplaced, ...] = ()
    settled: RoundSettled | None = None
    rewards: RewardsPublished | None = None
    claimed: frozenset[int] = frozenset()
    masked: MaskedPast | None = None
    """Its masked part, from the first record on; `submissions` then are numbered by place."""

    @property
    def outcome(self) -> Outcome:
        """How the round ended; NONE while it is live."""
        return self.settled.outcome if self.settled else Outcome.NONE

    @property
    def committee(self) -> int:
        """Who sat last, four bits for each place; 0 where nobody was drawn or everybody sat."""
        last = self.draws[-1] if self.draws else None
        return 0 if last is None or isinstance(last, SeatsOpened) else last.committee

    @property
    def seats(self) -> int:
        """The seats that were held in the last vote."""
        word, held = self.committee, 0
        while word:
            held, word = held + (word & 15), word >> 4
        return held or self.opened.validators

    @property
    def final_proposal(self) -> ProposalSubmitted:
        """The last proposal; IndexError if there was none."""
        return self.proposals[-1]


@dataclass(frozen=True)
class TaskPast:
    """The rounds and model versions of one task, as of block `scanned`."""

    rounds: dict[RoundId, RoundPast] = field(default_factory=dict)
    versions: dict[Version, ModelPublished] = field(default_factory=dict)
    scanned: BlockRef | None = None
    last: LoggedEvent | None = None
    holders: tuple[Address, ...] = ()
    """Who has each place in secure mode."""


class History:
    """Follows one task's events; `refresh` reads only what is new.

    If the newest event that was read is no longer on the chain (a reorganisation), everything
    is read again.
    """

    def __init__(self, ledger: Ledger, task_id: TaskId) -> None:
        """Start with nothing read."""
        self._ledger = ledger
        self._task_id = task_id
        self.past = TaskPast()

    def refresh(self, head: BlockRef | None = None) -> TaskPast:
        """Read new events, up to block `head` or the newest one, and return the past."""
        head = self._ledger.get_head() if head is None else head
        if head == self.past.scanned:
            return self.past
        start, end = self.past.last.block_number if self.past.last else 0, head.number
        found = self._ledger.get_events(from_block=start, to_block=end, task_id=self._task_id)
        if self.past.last is not None and self.past.last not in found:
            self.past = TaskPast()
            found = self._ledger.get_events(from_block=0, to_block=end, task_id=self._task_id)
        seen = found.index(self.past.last) + 1 if self.past.last else 0
        for logged in found[seen:]:
            self.past = replace(apply_event(self.past, logged), last=logged)
        self.past = replace(self.past, scanned=head)
        return self.past


def apply_event(past: TaskPast, logged: LoggedEvent) -> TaskPast:
    """Return the past with one more event."""
    event = logged.event
    if isinstance(event, ModelPublished):
        return replace(past, versions={**past.versions, event.version: event})
    if isinstance(event, RoundOpened):
        opened = RoundPast(event, logged.block_number)
        return replace(past, rounds={**past.rounds, event.round: opened})
    number = getattr(event, "round", None)
    if number not in past.rounds:
        return past
    if isinstance(event, RecordPosted) and event.place == len(past.holders):
        past = replace(past, holders=(*past.holders, event.agent))
    extended = _extend(past.rounds[number], logged, past.holders)
    return replace(past, rounds={**past.rounds, number: extended})


def compute_waited(task: Task, past: RoundPast) -> Seconds:
    """Return how long a round waited for agents who did not act: the windows that ran out."""
    if past.masked is None:
        is_short = 0 < len(past.submissions) < past.opened.members
        return task.submit_window if is_short else Seconds(0)
    return past.masked.compute_waited(task, past.opened.members)


def get_state_digest(past: TaskPast, version: Version) -> Digest:
    """Return the manifest digest of a model version; KeyError if there is none."""
    return past.versions[version].state_digest


def _extend(  # noqa: C901, PLR0911 - one per event
    past: RoundPast, logged: LoggedEvent, holders: tuple[Address, ...]
) -> RoundPast:
    event = logged.event
    match event:
        case UpdateSubmitted():
            return replace(past, submissions=(*past.submissions, event))
        case BlobsAttested():
            known = past.attested.get(event.validator, frozenset())
            held = known | decode_bitmap(event.bitmap)
            return replace(past, attested={**past.attested, event.validator: held})
        case ProposalSubmitted():
            return replace(past, proposals=(*past.proposals, event))
        case SeedFixed():
            return replace(past, seeds=(*past.seeds, event))
        case SeatsOpened() | SeatsProven() | SeatsReplaced():
            return replace(past, draws=(*past.draws, event))
        case VoteCast():
            return replace(past, votes=(*past.votes, event))
        case RoundSettled():
            return replace(past, settled=event)
        case RewardsPublished():
            return replace(past, rewards=event)
        case RewardClaimed():
            return replace(past, claimed=past.claimed | {event.index})
        case _ if event.contract == "MaskedRounds":
            return _extend_masked(past, logged, holders)
        case _:
            return past


def _extend_masked(past: RoundPast, logged: LoggedEvent, holders: tuple[Address, ...]) -> RoundPast:
    """Return the past with one more event of its masked part.

    What survives are vectors in SUBMIT that validators attest in ATTEST, as in plain mode.
    """
    before, event = past.masked or MaskedPast(past.opened.validators), logged.event
    masked = replace(apply_masked(before, event), trail=(*before.trail, logged))
    attested = dict(masked.attested.get(Phase.ATTEST, {}))
    submissions = past.submissions
    if isinstance(event, RecordPosted | RecordsRelayed | RecordVoided):
        submissions = build_submissions(masked, event, holders)
    return replace(past, masked=masked, attested=attested, submissions=submissions)

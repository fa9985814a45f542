"""Events of the round manager and of its source of seeds: tasks, rounds, draws, votes."""

from dataclasses import dataclass

from flchain.protocol.events.base import Event
from flchain.protocol.records import Audit, Content, Task, Vote
from flchain.protocol.types import (
    Address,
    Bitmap,
    Digest,
    Epoch,
    Outcome,
    RoundId,
    TaskId,
    Timestamp,
    Version,
)


class _RoundManagerEvent(Event):
    __slots__ = ()
    contract = "RoundManager"


class _ChainSeedsEvent(Event):
    __slots__ = ()
    contract = "ChainSeeds"


@dataclass(frozen=True, slots=True)
class TaskCreated(_RoundManagerEvent):
    """A task was created."""

    task_id: TaskId
    sponsor: Address
    task: Task


@dataclass(frozen=True, slots=True)
class TaskEndorsed(_RoundManagerEvent):
    """A validator accepted a task's policy and initial state."""

    task_id: TaskId
    validator: Address


@dataclass(frozen=True, slots=True)
class TaskClosed(_RoundManagerEvent):
    """The sponsor closed a task."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class MemberEnrolled(_RoundManagerEvent):
    """An identity enrolled."""

    task_id: TaskId
    member: Address
    role: int
    active_from: Epoch


@dataclass(frozen=True, slots=True)
class MemberLeft(_RoundManagerEvent):
    """A member left, or was dismissed."""

    task_id: TaskId
    member: Address
    is_dismissed: bool


@dataclass(frozen=True, slots=True)
class DrawKeySet(_RoundManagerEvent):
    """A validator's key and weight for draws changed; all zero once they are gone."""

    task_id: TaskId
    validator: Address
    place: int
    key_hash: bytes
    weight: int
    active_from: Epoch


@dataclass(frozen=True, slots=True)
class RoundOpened(_RoundManagerEvent):
    """A round opened."""

    task_id: TaskId
    round: RoundId
    parent_version: Version
    members: int
    validators: int


@dataclass(frozen=True, slots=True)
class UpdateSubmitted(_RoundManagerEvent):
    """An agent submitted; `index` is its place in the round."""

    task_id: TaskId
    round: RoundId
    agent: Address
    index: int
    digest: Digest
    weight: int


@dataclass(frozen=True, slots=True)
class BlobsAttested(_RoundManagerEvent):
    """A validator attested blobs; `bitmap` holds the new ones alone."""

    task_id: TaskId
    round: RoundId
    validator: Address
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class ProposalSubmitted(_RoundManagerEvent):
    """A proposal was recorded."""

    task_id: TaskId
    round: RoundId
    proposer: Address
    attempt: int
    rank: int
    proposal_id: Digest
    content_id: Digest
    survivor_root: Digest
    content: Content


@dataclass(frozen=True, slots=True)
class VoteCast(_RoundManagerEvent):
    """A vote was counted."""

    task_id: TaskId
    round: RoundId
    validator: Address
    attempt: int
    vote: Vote


@dataclass(frozen=True, slots=True)
class VoteExtended(_RoundManagerEvent):
    """An undecided vote was extended."""

    task_id: TaskId
    round: RoundId
    attempt: int
    vote_close: Timestamp


@dataclass(frozen=True, slots=True)
class SeatsOpened(_RoundManagerEvent):
    """The seed of a draw is known; zero says that every active validator sits."""

    task_id: TaskId
    round: RoundId
    attempt: int
    seed: Digest


@dataclass(frozen=True, slots=True)
class SeatsProven(_RoundManagerEvent):
    """Proofs won seats: who proved what, and the committee after it."""

    task_id: TaskId
    round: RoundId
    attempt: int
    places: tuple[int, ...]
    outputs: tuple[Digest, ...]
    """Zero for a proof that won no seat on the list, which was skipped unverified."""
    committee: int


@dataclass(frozen=True, slots=True)
class SeatsReplaced(_RoundManagerEvent):
    """Silent validators lost their seats to the next on the list."""

    task_id: TaskId
    round: RoundId
    attempt: int
    committee: int


@dataclass(frozen=True, slots=True)
class VoteAudited(_RoundManagerEvent):
    """A member of a later committee found another tag than an audited vote claimed."""

    task_id: TaskId
    round: RoundId
    validator: Address
    auditor: Address
    finding: Audit


@dataclass(frozen=True, slots=True)
class OffencePunished(_RoundManagerEvent):
    """A validator was punished for an offence."""

    task_id: TaskId
    validator: Address
    offence: Digest
    reporter: Address
    """The zero address if a committee found it."""


@dataclass(frozen=True, slots=True)
class ProposalVoided(_RoundManagerEvent):
    """A proposal is void and the next attempt begins."""

    task_id: TaskId
    round: RoundId
    attempt: int
    is_proven_wrong: bool


@dataclass(frozen=True, slots=True)
class RoundSettled(_RoundManagerEvent):
    """A round ended."""

    task_id: TaskId
    round: RoundId
    outcome: Outcome
    next_open_at: Timestamp


@dataclass(frozen=True, slots=True)
class SeedFixed(_ChainSeedsEvent):
    """A beacon's output, or a block's hash, became a seed."""

    task_id: TaskId
    round: RoundId
    attempt: int
    rank: int
    seed: Digest

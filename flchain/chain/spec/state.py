"""Everything that the contracts remember, and what a call can see besides its arguments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flchain.chain.base import Addresses
from flchain.chain.spec.masked_state import MaskedBook
from flchain.protocol.digests import round_key
from flchain.protocol.records import (
    Agent,
    Audit,
    Ballot,
    Budget,
    Distribution,
    Draw,
    DrawKey,
    Member,
    Proposal,
    Round,
    Submissions,
    Task,
    Vote,
)
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Epoch,
    RoundId,
    Seconds,
    TaskId,
    Timestamp,
    Wei,
)

_ZEROS: dict[str, Any] = dict.fromkeys(Task.__slots__, 0)
NO_TASK = Task(
    **_ZEROS
    | {
        "orchestrator": ZERO_ADDRESS,
        "policy_digest": ZERO_DIGEST,
        "initial_state": ZERO_DIGEST,
    }
)
"""The parameters of a task that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the deployment fixes. Without a token the stakes count as zero."""

    chain_id: int
    addresses: Addresses
    governance: Address
    epoch_length: Seconds
    unbonding_period: Seconds
    agent_stake: Wei
    validator_stake: Wei
    proposer_stake: Wei

    @property
    def has_token(self) -> bool:
        """Whether there is stake; without it an allow-list decides who registers."""
        return self.addresses.token != ZERO_ADDRESS


def get_no_hash(_number: int) -> Digest:
    """Return what a chain answers that knows no block's hash."""
    return ZERO_DIGEST


@dataclass(frozen=True, slots=True)
class Env:
    """What a call sees of the chain: who sends it, and its block's number and time.

    `get_block_hash` returns zero, as the EVM's BLOCKHASH does, for the call's own block, later
    ones, and those more than 256 blocks back.
    """

    sender: Address
    time: Timestamp
    block: int = 0
    get_block_hash: Callable[[int], Digest] = get_no_hash


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who registered a keys digest, and whether with a proof of possession."""

    agent: Address
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class Recovery:
    """A key that a guardian has announced."""

    keys_digest: Digest = ZERO_DIGEST
    executable_from: Timestamp = field(default=Timestamp(0))


@dataclass(slots=True)
class Token:
    """Balances and allowances of the stake token."""

    balances: dict[Address, Wei] = field(default_factory=dict)
    allowances: dict[tuple[Address, Address], Wei] = field(default_factory=dict)
    """By (owner, spender)."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A vote whose window ran out: when its round opened, and which seats were not silent."""

    epoch: Epoch
    heard: frozenset[int]


@dataclass(slots=True)
class Book:
    """One task. `round`, `ballot` and `votes` are those of its newest round.

    Counts that follow from something else here (attesters, votes by verdict, endorsements)
    are not stored: the records hold zero, and the accessors count.
    """

    task: Task = NO_TASK
    sponsor: Address = ZERO_ADDRESS
    """The zero address if the task does not exist."""
    next_open_at: Timestamp = field(default=Timestamp(0))
    abort_streak: int = 0
    is_closed: bool = False
    members: dict[Address, Member] = field(default_factory=dict)
    """Everybody who ever enrolled."""
    proposers: list[Address] = field(default_factory=list)
    """Members in line to propose."""
    round: Round = field(default_factory=Round)
    submissions: Submissions = field(default_factory=Submissions)
    attestations: dict[Address, frozenset[int]] = field(default_factory=dict)
    """The submissions whose blobs each attester holds."""
    ballot: Ballot = field(default_factory=Ballot)
    votes: dict[Address, Vote] = field(default_factory=dict)
    """The votes of the newest attempt."""
    weights: dict[Address, int] = field(default_factory=dict)
    """The seats that each of these votes counts for, whatever place its validator takes later."""
    heard: frozenset[int] = frozenset()
    """Seats that voted in this attempt, and the proposer's own, which may not."""
    absences: list[Absence] = field(default_factory=list)
    """Votes whose window ran out, oldest first."""
    proposal: Proposal = field(default_factory=Proposal)
    draw: Draw = field(default_factory=Draw)
    seed: Digest = ZERO_DIGEST
    committee: dict[int, int] = field(default_factory=dict)
    """Seats held in the newest draw, by place."""
    seats: list[int] = field(default_factory=list)
    """The newest draw's list of 64-bit seats, ascending."""
    draw_keys: dict[int, DrawKey] = field(default_factory=dict)
    """What a validator needs to be drawn, by place."""
    holders: dict[int, Address] = field(default_factory=dict)
    """Who holds a place, or held it last."""
    offences: set[Digest] = field(default_factory=set)
    """Offences that were punished."""
    audits: dict[tuple[Audit, RoundId, int], dict[int, int]] = field(default_factory=dict)
    """Per finding about an earlier vote: the places that share it, with their seats then."""
    total_weight: int = 0
    """Weight of all validators when the newest round opened."""


@dataclass(slots=True)
class State:
    """The storage of all contracts."""

    config: Config
    token: Token = field(default_factory=Token)
    nonces: dict[tuple[Address, Address], int] = field(default_factory=dict)
    """By (contract, account)."""
    agents: dict[Address, Agent] = field(default_factory=dict)
    allowed: set[Address] = field(default_factory=set)
    keys: dict[Digest, KeyHolder] = field(default_factory=dict)
    """Every keys digest that anybody ever registered."""
    guardians: dict[Address, Address] = field(default_factory=dict)
    recoveries: dict[Address, Recovery] = field(default_factory=dict)
    books: dict[TaskId, Book] = field(default_factory=dict)
    versions: dict[TaskId, list[Digest]] = field(default_factory=dict)
    """State digests; the position is the version."""
    budgets: dict[TaskId, Budget] = field(default_factory=dict)
    distributions: dict[tuple[TaskId, RoundId], Distribution] = field(default_factory=dict)
    claimed: set[tuple[TaskId, RoundId, int]] = field(default_factory=set)
    """Leaves that were paid, by (task, round, index)."""
    seeds: dict[Digest, Digest] = field(default_factory=dict)
    """Fixed seeds, by the digest that names a draw."""
    last_seeds: dict[TaskId, Digest] = field(default_factory=dict)
    """The newest fixed seed of each task."""
    masked: dict[TaskId, MaskedBook] = field(default_factory=dict)
    """Tasks in secure mode, once they have opened a round."""
    masked_offences: set[Digest] = field(default_factory=set)
    """Pairs of records in one phase that were punished."""


def get_book(state: State, task_id: TaskId) -> Book:
    """Return what is known of a task; a blank book if it does not exist."""
    return state.books.get(task_id) or Book()


def get_round_key(config: Config, task_id: TaskId, number: RoundId) -> Digest:
    """Return the domain value of a round of this deployment."""
    return round_key(config.chain_id, config.addresses.round_manager, task_id, number)


def compute_epoch(config: Config, time: Timestamp) -> Epoch:
    """Return the epoch that holds `time`."""
    return Epoch(time // config.epoch_length)

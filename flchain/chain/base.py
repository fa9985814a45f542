"""The ledger port: what every role may ask of a chain and tell it.

An implementation turns each `Call` into one transaction. Reads answer at the pending block,
so that a phase which ended by time alone is seen as ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flchain.crypto.signing import Signer
from flchain.protocol.calls import Call
from flchain.protocol.errors import FlchainError
from flchain.protocol.events import Event, ProposalSubmitted, RoundOpened, TaskCreated
from flchain.protocol.records import (
    Agent,
    Ballot,
    Budget,
    Distribution,
    DrawKey,
    DrawView,
    MaskedRound,
    Member,
    Population,
    Proposal,
    Round,
    Submissions,
    Task,
    TaskStatus,
)
from flchain.protocol.types import (
    Address,
    Digest,
    Phase,
    RoundId,
    Seconds,
    TaskId,
    Timestamp,
    Version,
    Wei,
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the contracts are; `token` is zero in an allow-list deployment.

    `seed_source` is where the round manager reads the seeds of its draws.
    """

    token: Address
    agent_registry: Address
    round_manager: Address
    model_registry: Address
    reward_distributor: Address
    seed_source: Address
    masked_rounds: Address


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block."""

    number: int
    hash: bytes
    timestamp: Timestamp


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task at the pending block, in one look; `head` is the newest block then."""

    now: Timestamp
    phase: Phase
    round: Round
    ballot: Ballot
    draw: DrawView
    masked: MaskedRound
    head: BlockRef


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one successful call did and cost.

    `gas_price` is in wei of the native currency. `result` is what the function returned: a
    task id, a round number or a proposal id; None for all other calls.
    """

    tx_hash: bytes
    block: BlockRef
    gas_used: int
    gas_price: int
    events: tuple[Event, ...]
    result: Any = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place in the chain; `contract` is the emitter's address."""

    event: Event
    contract: Address
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    log_index: int


def get_result(events: Sequence[Event]) -> Any:
    """Return what the call that made `events` returned, see `Receipt.result`."""
    match events:
        case [TaskCreated() as created, *_]:
            return created.task_id
        case [RoundOpened() as opened, *_]:
            return opened.round
        case [ProposalSubmitted() as proposed, *_]:
            return proposed.proposal_id
        case _:
            return None


class Ledger(Protocol):
    """A chain with the contracts on it.

    Every method may raise AdapterError when the chain cannot be reached.
    """

    @property
    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are."""

    def get_time(self) -> Timestamp:
        """Return the time of the pending block, which decides every phase."""

    def get_head(self) -> BlockRef:
        """Return the newest block."""

    def get_finalized(self) -> BlockRef:
        """Return the newest block that cannot be reorganised away."""

    def send(self, call: Call, signer: Signer) -> Receipt:
        """Send one call and wait for it. Raises its Revert if a rule forbids it."""

    def send_all(self, calls: Sequence[tuple[Call, Signer]]) -> list[Receipt | FlchainError]:
        """Send calls without waiting between them; one answer each, in order.

        The order of each signer's own calls is kept.
        """

    def get_events(
        self,
        *,
        from_block: int = 0,
        to_block: int | None = None,
        task_id: TaskId | None = None,
        kinds: tuple[type[Event], ...] = (),
    ) -> list[LoggedEvent]:
        """Return events in chain order, both blocks included; no `kinds` means all.

        With `task_id`, events that belong to no task are left out.
        """

    def get_agent(self, address: Address) -> Agent:
        """Return one identity's record; all zero for a stranger."""

    def is_eligible(self, address: Address, role: int) -> bool:
        """Return whether an identity may take a duty under `role`."""

    def is_allowed(self, address: Address) -> bool:
        """Return whether governance put the account on the allow-list."""

    def get_proven_key(self, address: Address) -> Digest:
        """Return the digest of the VRF key that an identity proved to hold; zero without one."""

    def get_guardian(self, address: Address) -> Address:
        """Return who may recover an identity's VRF key; the zero address for nobody."""

    def get_recovery(self, address: Address) -> tuple[Digest, Timestamp]:
        """Return the key that a guardian has announced, and from when it may be used."""

    def compute_required_stake(self, roles: int) -> Wei:
        """Return the stake that a set of roles needs."""

    def get_nonce(self, contract: Address, address: Address) -> int:
        """Return the nonce of the account's next signature.

        `contract` is the agent registry or the token; a task's nonces are its members'.
        """

    def get_epoch_length(self) -> Seconds:
        """Return the length of an epoch."""

    def get_task(self, task_id: TaskId) -> Task:
        """Return a task's parameters. Raises UnknownTask if there is none."""

    def get_task_status(self, task_id: TaskId) -> TaskStatus:
        """Return a task's status; all zero if there is none."""

    def get_task_count(self) -> int:
        """Return the number of tasks; ids run from 1."""

    def get_member(self, task_id: TaskId, address: Address) -> Member:
        """Return an identity's enrolment; all zero for a stranger."""

    def count_active(self, task_id: TaskId) -> Population:
        """Return the number of members active now under each role."""

    def get_snapshot(self, task_id: TaskId) -> Snapshot:
        """Return what decides who may act now; zeros before the first round."""

    def get_round(self, task_id: TaskId) -> Round:
        """Return the newest round; all zero before the first."""

    def get_submissions(self, task_id: TaskId) -> Submissions:
        """Return the commitment to the newest round's submissions."""

    def get_ballot(self, task_id: TaskId) -> Ballot:
        """Return the newest ballot."""

    def get_draw(self, task_id: TaskId) -> DrawView:
        """Return the newest draw and what it has brought; all zero before the first."""

    def get_draw_key(self, task_id: TaskId, place: int) -> tuple[DrawKey, Address]:
        """Return what the validator at `place` needs to be drawn, and who it is."""

    def get_total_weight(self, task_id: TaskId) -> int:
        """Return the weight of all validators when the newest round opened."""

    def get_beacon_message(self, task_id: TaskId) -> Digest:
        """Return what the beacon of the newest draw proves.

        Raises NoBlockHash until the block behind the proposal's is mined, and once it is 256
        blocks old.
        """

    def get_masked(self, task_id: TaskId) -> MaskedRound:
        """Return the masked part of the newest round; all zero before the first in secure mode."""

    def get_masked_set(self, task_id: TaskId, phase: Phase) -> frozenset[int]:
        """Return the places that a phase of the newest masked round has decided so far."""

    def get_place(self, task_id: TaskId, agent: Address) -> int | None:
        """Return an agent's place in secure mode; None before its first JOIN."""

    def get_holders(self, task_id: TaskId) -> tuple[Address, ...]:
        """Return who has each place of a task in secure mode."""

    def get_proposal(self, task_id: TaskId) -> Proposal:
        """Return the newest proposal; all zero before the first."""

    def get_phase(self, task_id: TaskId) -> Phase:
        """Return the phase of the newest round at the pending block's time."""

    def get_survivors(self, task_id: TaskId) -> frozenset[int]:
        """Return the submissions whose blobs a majority of validators attested."""

    def get_proposer(self, task_id: TaskId) -> tuple[int, Address]:
        """Return which rank may propose now and who holds it.

        The zero address means that any active member may. Raises WrongPhase outside PROPOSE.
        """

    def get_latest_version(self, task_id: TaskId) -> Version:
        """Return the newest model version; 0 is the initial model."""

    def get_state_digest(self, task_id: TaskId, version: Version) -> Digest:
        """Return the manifest digest of a version. Raises UnknownVersion if there is none."""

    def get_budget(self, task_id: TaskId) -> Budget:
        """Return a task's budget."""

    def get_distribution(self, task_id: TaskId, number: RoundId) -> Distribution:
        """Return a round's rewards; all zero if it has none."""

    def is_claimed(self, task_id: TaskId, number: RoundId, index: int) -> bool:
        """Return whether one reward was paid."""

    def get_balance(self, address: Address) -> Wei:
        """Return an account's balance of the token; zero where there is none."""

    def get_native_balance(self, address: Address) -> Wei:
        """Return an account's balance of the currency that pays for gas."""

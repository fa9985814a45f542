"""A ledger in this process: the executable specification behind the port.

Every successful call is one block; a refused one is none. Where time has passed since the newest
block, an empty one comes first, since a real chain goes on without calls. Gas is free, finality is
at once, and blocks may share a second. Several threads may use one ledger.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import RLock

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from flchain.chain.base import (
    Addresses,
    BlockRef,
    LoggedEvent,
    Receipt,
    Snapshot,
    get_result,
)
from flchain.chain.spec import (
    agents,
    draws,
    keys,
    masked_clock,
    models,
    proposals,
    rewards,
    rounds,
    seeds,
    signatures,
    tasks,
    token,
    votes,
)
from flchain.chain.spec.state import Config, Env, State, get_book
from flchain.chain.spec.transition import process
from flchain.crypto.signing import Signer
from flchain.protocol.calls import Call
from flchain.protocol.errors import FlchainError
from flchain.protocol.events import Event
from flchain.protocol.params import NetworkParams
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
    ZERO_ADDRESS,
    ZERO_DIGEST,
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

CHAIN_ID = 1337
_KNOWN_HASHES = 256
_NATIVE_BALANCE = Wei(10**22)


def build_config(
    network: NetworkParams,
    governance: Address,
    *,
    chain_id: int = CHAIN_ID,
    has_token: bool = True,
) -> Config:
    """Return a deployment at addresses that follow from the contracts' names."""
    return Config(
        chain_id=chain_id,
        addresses=Addresses(
            token=_name_address("LocalToken") if has_token else ZERO_ADDRESS,
            agent_registry=_name_address("AgentRegistry"),
            round_manager=_name_address("RoundManager"),
            model_registry=_name_address("ModelRegistry"),
            reward_distributor=_name_address("RewardDistributor"),
            seed_source=_name_address("ChainSeeds"),
            masked_rounds=_name_address("MaskedRounds"),
        ),
        governance=governance,
        epoch_length=network.epoch_length,
        unbonding_period=network.unbonding_period,
        agent_stake=network.agent_stake,
        validator_stake=network.validator_stake,
        proposer_stake=network.proposer_stake,
    )


class MemoryLedger:
    """A ledger whose time is `clock`, in seconds since the Unix epoch."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float],
        balances: Mapping[Address, Wei] | None = None,
    ) -> None:
        """Start a chain with one empty block and the token's first `balances`."""
        self.state = State(config)
        self._clock = clock
        self._lock = RLock()
        self._blocks = [BlockRef(0, keccak(b"flchain"), Timestamp(int(clock())))]
        self._log: list[LoggedEvent] = []
        self._places: list[int] = []
        for account, amount in (balances or {}).items():
            token.mint(self.state, account, amount)

    @property
    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""
        return self.state.config.chain_id

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are."""
        return self.state.config.addresses

    def get_time(self) -> Timestamp:
        """Return the clock's time, or the newest block's if that is later."""
        return Timestamp(max(int(self._clock()), self._blocks[-1].timestamp))

    def get_head(self) -> BlockRef:
        """Return the newest block; if time has passed it is an empty one."""
        with self._lock:
            self._mine_if_due()
            return self._blocks[-1]

    def get_finalized(self) -> BlockRef:
        """Return the newest block: nothing here is ever reorganised."""
        return self._blocks[-1]

    def send(self, call: Call, signer: Signer) -> Receipt:
        """Apply one call in a block of its own. Raises its Revert and adds no block."""
        with self._lock:
            env = self._build_env(signer.address)
            events = tuple(process(self.state, env, call))
            block = self._append_block(env.time)
            tx_hash = keccak(block.hash)
            self._append_log(events, block, tx_hash)
            return Receipt(tx_hash, block, 0, 0, events, get_result(events))

    def send_all(self, calls: Sequence[tuple[Call, Signer]]) -> list[Receipt | FlchainError]:
        """Send calls in order; a refused one does not stop those after it."""
        return [self._try(call, signer) for call, signer in calls]

    def get_events(
        self,
        *,
        from_block: int = 0,
        to_block: int | None = None,
        task_id: TaskId | None = None,
        kinds: tuple[type[Event], ...] = (),
    ) -> list[LoggedEvent]:
        """Return events in chain order, both blocks included; no `kinds` means all."""
        with self._lock:
            start = bisect_left(self._places, from_block)
            stop = None if to_block is None else bisect_right(self._places, to_block)
            entries = self._log[start:stop]
        return [
            entry
            for entry in entries
            if (not kinds or isinstance(entry.event, kinds))
            and (task_id is None or getattr(entry.event, "task_id", None) == task_id)
        ]

    def get_epoch_length(self) -> Seconds:
        """Return the length of an epoch."""
        return self.state.config.epoch_length

    def get_agent(self, address: Address) -> Agent:
        """Return one identity's record; all zero for a stranger."""
        return agents.get_agent(self.state, address)

    def is_eligible(self, address: Address, role: int) -> bool:
        """Return whether an identity may take a duty under `role`."""
        return agents.is_eligible(self.state, address, role)

    def is_allowed(self, address: Address) -> bool:
        """Return whether governance put the account on the allow-list."""
        return address in self.state.allowed

    def get_proven_key(self, address: Address) -> Digest:
        """Return the digest of the VRF key that an identity proved to hold; zero without one."""
        return agents.get_draw_key(self.state, address)[0]

    def get_guardian(self, address: Address) -> Address:
        """Return who may recover an identity's VRF key; the zero address for nobody."""
        return keys.get_guardian(self.state, address)

    def get_recovery(self, address: Address) -> tuple[Digest, Timestamp]:
        """Return the key that a guardian has announced, and from when it may be used."""
        return keys.get_recovery(self.state, address)

    def compute_required_stake(self, roles: int) -> Wei:
        """Return the stake that a set of roles needs."""
        return agents.compute_required_stake(self.state.config, roles)

    def get_nonce(self, contract: Address, address: Address) -> int:
        """Return the nonce that the account's next signature for `contract` needs."""
        return signatures.get_nonce(self.state, contract, address)

    def get_task(self, task_id: TaskId) -> Task:
        """Return a task's parameters. Raises UnknownTask if there is none."""
        book = get_book(self.state, task_id)
        tasks.verify_exists(book, task_id)
        return book.task

    def get_task_status(self, task_id: TaskId) -> TaskStatus:
        """Return a task's status; all zero if there is none."""
        return tasks.get_task_status(self.state, task_id)

    def get_task_count(self) -> int:
        """Return the number of tasks; ids run from 1."""
        return len(self.state.books)

    def get_member(self, task_id: TaskId, address: Address) -> Member:
        """Return an identity's enrolment; all zero for a stranger."""
        return tasks.get_member(self.state, task_id, address)

    def count_active(self, task_id: TaskId) -> Population:
        """Return the number of members active now under each role."""
        book = get_book(self.state, task_id)
        return tasks.count_active(self.state.config, book, self.get_time())

    def get_snapshot(self, task_id: TaskId) -> Snapshot:
        """Return what decides who may act now; zeros before the first round."""
        return Snapshot(
            now=self.get_time(),
            phase=self.get_phase(task_id),
            round=self.get_round(task_id),
            ballot=self.get_ballot(task_id),
            draw=self.get_draw(task_id),
            masked=self.get_masked(task_id),
            head=self.get_head(),
        )

    def get_round(self, task_id: TaskId) -> Round:
        """Return the newest round; all zero before the first."""
        return rounds.get_round(self.state, task_id)

    def get_submissions(self, task_id: TaskId) -> Submissions:
        """Return the commitment to the newest round's submissions."""
        return get_book(self.state, task_id).submissions

    def get_ballot(self, task_id: TaskId) -> Ballot:
        """Return the newest ballot."""
        return votes.get_ballot(get_book(self.state, task_id))

    def get_draw(self, task_id: TaskId) -> DrawView:
        """Return the newest draw and what it has brought; all zero before the first."""
        return DrawView(*draws.get_draw(self.state, task_id))

    def get_draw_key(self, task_id: TaskId, place: int) -> tuple[DrawKey, Address]:
        """Return what the validator at `place` needs to be drawn, and who it is."""
        return draws.get_draw_key(self.state, task_id, place)

    def get_total_weight(self, task_id: TaskId) -> int:
        """Return the weight of all validators when the newest round opened."""
        return draws.get_total_weight(self.state, task_id)

    def get_beacon_message(self, task_id: TaskId) -> Digest:
        """Return what the beacon of the newest draw proves. Raises NoBlockHash."""
        with self._lock:
            env = self._build_env(ZERO_ADDRESS)
            return seeds.get_beacon_message(self.state, env, task_id)

    def get_masked(self, task_id: TaskId) -> MaskedRound:
        """Return the masked part of the newest round; all zero before the first in secure mode."""
        with self._lock:
            env = self._build_env(ZERO_ADDRESS)
            return masked_clock.get_masked(self.state, env, task_id)

    def get_masked_set(self, task_id: TaskId, phase: Phase) -> frozenset[int]:
        """Return the places that a phase of the newest masked round has decided so far."""
        return masked_clock.get_masked_book(self.state, task_id).get_set(phase)

    def get_place(self, task_id: TaskId, agent: Address) -> int | None:
        """Return an agent's place in secure mode; None before its first JOIN."""
        return masked_clock.get_masked_book(self.state, task_id).find_place(agent)

    def get_holders(self, task_id: TaskId) -> tuple[Address, ...]:
        """Return who has each place of a task in secure mode."""
        return tuple(masked_clock.get_masked_book(self.state, task_id).holders)

    def get_proposal(self, task_id: TaskId) -> Proposal:
        """Return the newest proposal; all zero before the first."""
        return get_book(self.state, task_id).proposal

    def get_phase(self, task_id: TaskId) -> Phase:
        """Return the phase of the newest round at the pending block's time."""
        return rounds.get_phase(self.state, task_id, self.get_time())

    def get_survivors(self, task_id: TaskId) -> frozenset[int]:
        """Return the submissions whose blobs a majority of validators attested."""
        return rounds.get_survivors(get_book(self.state, task_id))

    def get_proposer(self, task_id: TaskId) -> tuple[int, Address]:
        """Return which rank may propose now and who holds it; zero if any member may."""
        return proposals.get_proposer(self.state, task_id, self.get_time())

    def get_latest_version(self, task_id: TaskId) -> Version:
        """Return the newest model version; 0 is the initial model."""
        return models.get_latest_version(self.state, task_id)

    def get_state_digest(self, task_id: TaskId, version: Version) -> Digest:
        """Return the manifest digest of a version. Raises UnknownVersion."""
        return models.get_state_digest(self.state, task_id, version)

    def get_budget(self, task_id: TaskId) -> Budget:
        """Return a task's budget."""
        return rewards.get_budget(self.state, task_id)

    def get_distribution(self, task_id: TaskId, number: RoundId) -> Distribution:
        """Return a round's rewards; all zero if it has none."""
        return rewards.get_distribution(self.state, task_id, number)

    def is_claimed(self, task_id: TaskId, number: RoundId, index: int) -> bool:
        """Return whether one reward was paid."""
        return rewards.is_claimed(self.state, task_id, number, index)

    def get_balance(self, address: Address) -> Wei:
        """Return an account's balance of the token; zero where there is none."""
        return token.get_balance(self.state, address)

    def get_native_balance(self, address: Address) -> Wei:  # noqa: ARG002 - the port's signature
        """Return enough for anything: gas is free here."""
        return _NATIVE_BALANCE

    def _try(self, call: Call, signer: Signer) -> Receipt | FlchainError:
        try:
            return self.send(call, signer)
        except FlchainError as error:
            return error

    def _build_env(self, sender: Address) -> Env:
        """Return what a call in the next block sees."""
        self._mine_if_due()
        number = self._blocks[-1].number + 1
        return Env(sender, self.get_time(), number, partial(self._get_block_hash, number))

    def _mine_if_due(self) -> None:
        """Mine an empty block if time has passed since the newest one."""
        time = self.get_time()
        if time > self._blocks[-1].timestamp:
            self._append_block(time)

    def _get_block_hash(self, current: int, number: int) -> Digest:
        """Return the hash of one of the 256 blocks before the current one, or zero."""
        is_known = max(current - _KNOWN_HASHES, 0) <= number < current
        return Digest(self._blocks[number].hash) if is_known else ZERO_DIGEST

    def _append_block(self, time: Timestamp) -> BlockRef:
        parent = self._blocks[-1]
        content = parent.hash + time.to_bytes(8, "big")
        self._blocks.append(BlockRef(parent.number + 1, keccak(content), time))
        return self._blocks[-1]

    def _append_log(self, events: tuple[Event, ...], block: BlockRef, tx_hash: bytes) -> None:
        emitters = {
            "AgentRegistry": self.addresses.agent_registry,
            "RoundManager": self.addresses.round_manager,
            "ModelRegistry": self.addresses.model_registry,
            "RewardDistributor": self.addresses.reward_distributor,
            "ChainSeeds": self.addresses.seed_source,
            "MaskedRounds": self.addresses.masked_rounds,
        }
        for index, event in enumerate(events):
            emitter = emitters[event.contract]
            entry = LoggedEvent(event, emitter, block.number, block.hash, tx_hash, index)
            self._log.append(entry)
            self._places.append(block.number)


def _name_address(name: str) -> Address:
    return Address(to_checksum_address(keccak(text=f"flchain {name}")[12:]))

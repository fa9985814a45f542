"""The ledger over an Ethereum node."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

from flchain.chain.address_book import AddressBook, load_address_book
from flchain.chain.base import (
    Addresses,
    BlockRef,
    LoggedEvent,
    Receipt,
    Snapshot,
    get_result,
)
from flchain.chain.contracts import (
    build_record,
    encode_call,
    get_address,
    to_address,
)
from flchain.chain.deployment import verify_deployment
from flchain.chain.events import LogFilter, decode_logs, get_logged_events
from flchain.chain.fees import get_large_gas
from flchain.chain.rpc import HttpRpc, Rpc, decode_block, get_receipt_block
from flchain.chain.scanning import EventScanner
from flchain.chain.transactions import SendPolicy, Transaction, TransactionSender
from flchain.chain.views import View, ViewReader
from flchain.crypto.signing import Signer
from flchain.protocol.calls import Call
from flchain.protocol.digests import LANES, WORD, unpack_bits
from flchain.protocol.errors import FlchainError
from flchain.protocol.events import Event
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
from flchain.protocol.reverts import UnknownTask
from flchain.protocol.types import (
    ZERO_ADDRESS,
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

Record = TypeVar("Record")


class EthereumLedger:
    """A ledger behind JSON-RPC; several threads may use one."""

    def __init__(self, rpc: Rpc, book: AddressBook, policy: SendPolicy | None = None) -> None:
        """Check that the contracts are there. Raises ConfigError if they are not."""
        verify_deployment(rpc, book)
        self._rpc = rpc
        self._book = book
        self._sender = TransactionSender(rpc, book.chain_id, policy)
        self._views = ViewReader(rpc, book.addresses)
        self._epoch_length: Seconds | None = None

    @property
    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""
        return self._book.chain_id

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are."""
        return self._book.addresses

    @property
    def book(self) -> AddressBook:
        """The deployment."""
        return self._book

    @property
    def rpc(self) -> Rpc:
        """The connection to the node."""
        return self._rpc

    def get_time(self) -> Timestamp:
        """Return the time of the pending block, which decides every phase."""
        return decode_block(self._rpc.call("eth_getBlockByNumber", "pending", False)).timestamp

    def get_head(self) -> BlockRef:
        """Return the newest block."""
        return decode_block(self._rpc.call("eth_getBlockByNumber", "latest", False))

    def get_finalized(self) -> BlockRef:
        """Return the newest block that cannot be reorganised away."""
        return decode_block(self._rpc.call("eth_getBlockByNumber", "finalized", False))

    def send(self, call: Call, signer: Signer) -> Receipt:
        """Send one call and wait for it.

        Raises its Revert if a rule forbids it, ConfigError if the account cannot pay.
        """
        (answer,) = self.send_all([(call, signer)])
        if isinstance(answer, FlchainError):
            raise answer
        return answer

    def send_all(self, calls: Sequence[tuple[Call, Signer]]) -> list[Receipt | FlchainError]:
        """Send calls without waiting between them; one answer each, in order."""
        built = self._build_all(calls)
        ready = [item for item in built if not isinstance(item, FlchainError)]
        answers = self._sender.send_all(ready)
        blocks = self._get_blocks(answers)
        received = iter(answers)
        return [
            item if isinstance(item, FlchainError) else self._decode_answer(next(received), blocks)
            for item in built
        ]

    def get_events(
        self,
        *,
        from_block: int = 0,
        to_block: int | None = None,
        task_id: TaskId | None = None,
        kinds: tuple[type[Event], ...] = (),
    ) -> list[LoggedEvent]:
        """Return events in chain order, both blocks included; no `kinds` means all."""
        last = self.get_head().number if to_block is None else to_block
        first = max(from_block, self._book.first_block)
        wanted = LogFilter(self.addresses, task_id, kinds)
        return get_logged_events(self._rpc, wanted, first, last)

    def build_scanner(
        self, task_id: TaskId | None = None, kinds: tuple[type[Event], ...] = ()
    ) -> EventScanner:
        """Return a scanner for events as `get_events` selects them."""
        wanted = LogFilter(self.addresses, task_id, kinds)
        return EventScanner(self._rpc, wanted, self._book.first_block)

    def get_agent(self, address: Address) -> Agent:
        """Return one identity's record; all zero for a stranger."""
        return self._read_record(Agent, "AgentRegistry", "getAgent", address)

    def is_eligible(self, address: Address, role: int) -> bool:
        """Return whether an identity may take a duty under `role`."""
        return bool(self._read("AgentRegistry", "isEligible", address, role))

    def is_allowed(self, address: Address) -> bool:
        """Return whether governance put the account on the allow-list."""
        return bool(self._read("AgentRegistry", "isAllowed", address))

    def get_proven_key(self, address: Address) -> Digest:
        """Return the digest of the VRF key that an identity proved to hold; zero without one."""
        return Digest(self._read_all("AgentRegistry", "getDrawKey", address)[0])

    def get_guardian(self, address: Address) -> Address:
        """Return who may recover an identity's VRF key; the zero address for nobody."""
        return to_address(self._read("AgentRegistry", "getGuardian", address))

    def get_recovery(self, address: Address) -> tuple[Digest, Timestamp]:
        """Return the key that a guardian has announced, and from when it may be used."""
        digest, due = self._read_all("AgentRegistry", "getRecovery", address)
        return Digest(digest), Timestamp(due)

    def compute_required_stake(self, roles: int) -> Wei:
        """Return the stake that a set of roles needs."""
        return Wei(self._read("AgentRegistry", "computeRequiredStake", roles))

    def get_nonce(self, contract: Address, address: Address) -> int:
        """Return the nonce that the account's next signature for `contract` needs."""
        return int(self._views.read(View("AgentRegistry", "nonces", (address,), at=contract))[0])

    def get_epoch_length(self) -> Seconds:
        """Return the length of an epoch."""
        if self._epoch_length is None:  # immutable in the contract
            self._epoch_length = Seconds(self._read("AgentRegistry", "epochLength"))
        return self._epoch_length

    def get_task(self, task_id: TaskId) -> Task:
        """Return a task's parameters. Raises UnknownTask if there is none."""
        task = self._read_record(Task, "RoundManager", "getTask", task_id)
        if task.orchestrator == ZERO_ADDRESS:
            raise UnknownTask(task_id)
        return task

    def get_task_status(self, task_id: TaskId) -> TaskStatus:
        """Return a task's status; all zero if there is none."""
        return self._read_record(TaskStatus, "RoundManager", "getTaskStatus", task_id)

    def get_task_count(self) -> int:
        """Return the number of tasks; ids run from 1."""
        return int(self._read("RoundManager", "taskCount"))

    def get_member(self, task_id: TaskId, address: Address) -> Member:
        """Return an identity's enrolment; all zero for a stranger."""
        return self._read_record(Member, "RoundManager", "getMember", task_id, address)

    def count_active(self, task_id: TaskId) -> Population:
        """Return the number of members active now under each role."""
        return Population(*self._read_all("RoundManager", "countActive", task_id))

    def get_snapshot(self, task_id: TaskId) -> Snapshot:
        """Return what decides who may act now, from one round trip; zeros before a round.

        A node that answers a batch piece by piece may take a block between two of them.
        """
        names = ("getPhase", "getRound", "getBallot", "getDraw")
        views = [View("RoundManager", name, (task_id,)) for name in names]
        views.append(View("MaskedRounds", "getMasked", (task_id,)))
        tags = [("eth_getBlockByNumber", (tag, False)) for tag in ("pending", "latest")]
        (phase, opened, ballot, draw, masked), blocks = self._views.read_all(views, tags)
        pending, head = map(decode_block, blocks)
        return Snapshot(
            now=pending.timestamp,
            phase=Phase(*phase),
            round=build_record(Round, *opened),
            ballot=build_record(Ballot, *ballot),
            draw=build_record(DrawView, draw),
            masked=build_record(MaskedRound, *masked),
            head=head,
        )

    def get_round(self, task_id: TaskId) -> Round:
        """Return the newest round; all zero before the first."""
        return self._read_record(Round, "RoundManager", "getRound", task_id)

    def get_submissions(self, task_id: TaskId) -> Submissions:
        """Return the commitment to the newest round's submissions."""
        return self._read_record(Submissions, "RoundManager", "getSubmissions", task_id)

    def get_ballot(self, task_id: TaskId) -> Ballot:
        """Return the newest ballot."""
        return self._read_record(Ballot, "RoundManager", "getBallot", task_id)

    def get_draw(self, task_id: TaskId) -> DrawView:
        """Return the newest draw and what it has brought; all zero before the first."""
        return build_record(DrawView, self._read_all("RoundManager", "getDraw", task_id))

    def get_draw_key(self, task_id: TaskId, place: int) -> tuple[DrawKey, Address]:
        """Return what the validator at `place` needs to be drawn, and who it is."""
        known, holder = self._read_all("RoundManager", "getDrawKey", task_id, place)
        return build_record(DrawKey, known), to_address(holder)

    def get_total_weight(self, task_id: TaskId) -> int:
        """Return the weight of all validators when the newest round opened."""
        return int(self._read("RoundManager", "getTotalWeight", task_id))

    def get_beacon_message(self, task_id: TaskId) -> Digest:
        """Return what the beacon of the newest draw proves. Raises NoBlockHash."""
        draw = self.get_draw(task_id).draw
        return Digest(self._read("ChainSeeds", "beaconMessage", task_id, astuple(draw)))

    def get_masked(self, task_id: TaskId) -> MaskedRound:
        """Return the masked part of the newest round; all zero before the first in secure mode."""
        return self._read_record(MaskedRound, "MaskedRounds", "getMasked", task_id)

    def get_masked_set(self, task_id: TaskId, phase: Phase) -> frozenset[int]:
        """Return the places that a phase of the newest masked round has decided so far."""
        return unpack_bits(self._read("MaskedRounds", "getSet", task_id, phase), WORD)

    def get_place(self, task_id: TaskId, agent: Address) -> int | None:
        """Return an agent's place in secure mode; None before its first JOIN."""
        has_place, place = self._read_all("MaskedRounds", "getPlace", task_id, agent)
        return int(place) if has_place else None

    def get_holders(self, task_id: TaskId) -> tuple[Address, ...]:
        """Return who has each place of a task in secure mode."""
        return tuple(map(to_address, self._read("MaskedRounds", "getHolders", task_id)))

    def get_proposal(self, task_id: TaskId) -> Proposal:
        """Return the newest proposal; all zero before the first."""
        return self._read_record(Proposal, "RoundManager", "getProposal", task_id)

    def get_phase(self, task_id: TaskId) -> Phase:
        """Return the phase of the newest round at the pending block's time."""
        return Phase(self._read("RoundManager", "getPhase", task_id))

    def get_survivors(self, task_id: TaskId) -> frozenset[int]:
        """Return the submissions whose blobs a majority of validators attested."""
        words, _ = self._read_all("RoundManager", "getSurvivors", task_id)
        return unpack_bits(words, LANES)

    def get_proposer(self, task_id: TaskId) -> tuple[int, Address]:
        """Return which rank may propose now and who holds it."""
        rank, holder = self._read_all("RoundManager", "getProposer", task_id)
        return rank, to_address(holder)

    def get_latest_version(self, task_id: TaskId) -> Version:
        """Return the newest model version; 0 is the initial model."""
        return Version(self._read("ModelRegistry", "getLatest", task_id))

    def get_state_digest(self, task_id: TaskId, version: Version) -> Digest:
        """Return the manifest digest of a version. Raises UnknownVersion if there is none."""
        return Digest(self._read("ModelRegistry", "getStateDigest", task_id, version))

    def get_budget(self, task_id: TaskId) -> Budget:
        """Return a task's budget."""
        return self._read_record(Budget, "RewardDistributor", "getBudget", task_id)

    def get_distribution(self, task_id: TaskId, number: RoundId) -> Distribution:
        """Return a round's rewards; all zero if it has none."""
        return self._read_record(
            Distribution, "RewardDistributor", "getDistribution", task_id, number
        )

    def is_claimed(self, task_id: TaskId, number: RoundId, index: int) -> bool:
        """Return whether one reward was paid."""
        return bool(self._read("RewardDistributor", "isClaimed", task_id, number, index))

    def get_balance(self, address: Address) -> Wei:
        """Return an account's balance of the token; zero where there is none."""
        if self.addresses.token == ZERO_ADDRESS:
            return Wei(0)
        return Wei(self._read("LocalToken", "balanceOf", address))

    def get_native_balance(self, address: Address) -> Wei:
        """Return an account's balance of the currency that pays for gas."""
        return Wei(int(self._rpc.call("eth_getBalance", address, "pending"), 16))

    def _build_all(
        self, calls: Sequence[tuple[Call, Signer]]
    ) -> list[tuple[Transaction, Signer] | FlchainError]:
        """Return the transactions, or why one cannot be made.

        What follows on another call of the same account cannot be estimated before that one is
        mined: it gets a large limit instead.
        """
        built: list[tuple[Transaction, Signer] | FlchainError] = []
        seen: set[Address] = set()
        for call, signer in calls:
            try:
                to = get_address(self.addresses, call.contract)
                gas = get_large_gas(call) if signer.address in seen else None
                built.append((Transaction(to, encode_call(call), gas), signer))
                seen.add(signer.address)
            except FlchainError as error:
                built.append(error)
        return built

    def _get_blocks(self, answers: Sequence[dict[str, Any] | FlchainError]) -> dict[str, BlockRef]:
        """Return the blocks of all receipts by number: from them, or in one round trip."""
        receipts = [answer for answer in answers if not isinstance(answer, FlchainError)]
        if all("blockTimestamp" in receipt for receipt in receipts):
            return {receipt["blockNumber"]: get_receipt_block(receipt) for receipt in receipts}
        numbers = list({str(receipt["blockNumber"]) for receipt in receipts})
        blocks = self._rpc.call_all(
            [("eth_getBlockByNumber", (number, False)) for number in numbers]
        )
        return dict(zip(numbers, map(decode_block, blocks), strict=True))

    def _decode_answer(
        self, answer: dict[str, Any] | FlchainError, blocks: dict[str, BlockRef]
    ) -> Receipt | FlchainError:
        if isinstance(answer, FlchainError):
            return answer
        logged = decode_logs(answer["logs"], self.addresses)
        happened = tuple(item.event for item in logged)
        return Receipt(
            tx_hash=bytes.fromhex(answer["transactionHash"].removeprefix("0x")),
            block=blocks[answer["blockNumber"]],
            gas_used=int(answer["gasUsed"], 16),
            gas_price=int(answer["effectiveGasPrice"], 16),
            events=happened,
            result=get_result(happened),
        )

    def _read_record(self, kind: type[Record], contract: str, name: str, *values: Any) -> Record:
        return build_record(kind, self._read(contract, name, *values))

    def _read(self, contract: str, name: str, *values: Any) -> Any:
        """Return the one value of a view."""
        (value,) = self._read_all(contract, name, *values)
        return value

    def _read_all(self, contract: str, name: str, *values: Any) -> tuple[Any, ...]:
        """Return the values of a view at the pending block. Raises its Revert."""
        return self._views.read(View(contract, name, values))


def connect(url: str, book: Path, policy: SendPolicy | None = None) -> EthereumLedger:
    """Return the ledger of an address book behind a node.

    Raises ConfigError if the contracts are not there or the node serves another chain.
    """
    return EthereumLedger(HttpRpc(url), load_address_book(book), policy)

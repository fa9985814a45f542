"""Who takes part in the model test, and what they know."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

from eth_account import Account

from flchain.chain.spec.state import Book, Env, State, get_no_hash
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Call, RelayRecords
from flchain.protocol.records import Task
from flchain.protocol.rewards import Reward
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Mode,
    RoundId,
    Seconds,
    TaskId,
    Timestamp,
    Wei,
)

Attempt = tuple[TaskId, RoundId, int]
Command = tuple[Address, Call]
"""Who sends what."""

MNEMONIC = "test test test test test test test test test test test junk"
NAMES = (
    *("treasury", "governance", "stranger", "orchestrator", "p1", "p2"),
    *("a1", "a2", "a3", "a4", "v1", "v2", "v3", "v4"),
)
ROLES = {"a": 1, "v": 2, "p": 4, "o": 4}
ETHER = 10**18
SUPPLY = Wei(10**9 * ETHER)
FUNDS = Wei(10_000 * ETHER)
AGENT_STAKE = Wei(10 * ETHER)
VALIDATOR_STAKE = Wei(20 * ETHER)
PROPOSER_STAKE = Wei(30 * ETHER)
KNOWN_HASHES = 256
"""Blocks whose hash a call can see."""
EPOCH = Seconds(10)
UNBONDING = Seconds(300)


def derive_signers() -> dict[str, LocalSigner]:
    """Return one signer per name; Anvil's unlocked accounts are the same."""
    Account.enable_unaudited_hdwallet_features()
    return {
        name: LocalSigner(
            bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)
        )
        for index, name in enumerate(NAMES)
    }


SIGNERS = derive_signers()
ADDRESSES = {name: signer.address for name, signer in SIGNERS.items()}
NAME_OF = {address: name for name, address in ADDRESSES.items()}


def build_task(*, has_token: bool = True, **changes: object) -> Task:
    """Return a small valid task; `changes` replace fields."""
    fields: dict[str, object] = {
        "orchestrator": ADDRESSES["orchestrator"],
        "round_reserve": Wei(1_000 if has_token else 0),
        "proposal_bond": Wei(15 * ETHER if has_token else 0),
        "max_agents": 3,
        "min_agents": 1,
        "min_survivors": 1,
        "min_validators": 1,
        "w_max": 8,
        "max_attempts": 2,
        "propose_ranks": 3,
        "mode": Mode.PLAIN,
        "max_share_bps": 10_000,
        "participation_bps": 2_500,
        "max_rounds": 50,
        "committee": 0,
        "submit_window": 60,
        "attest_window": 30,
        "propose_window": 10,
        "vote_window": 20,
        "open_delay": 4,
        "claim_delay": 6,
        "claim_window": 60,
        "forced_window": 0,
        "join_window": 0,
        "shares_window": 0,
        "check_window": 0,
        "unmask_window": 0,
        "seat_window": 0,
        "coordinate_bound": 1_000,
        "policy_digest": Digest(b"\x11" * 32),
        "initial_state": Digest(b"\x22" * 32),
    }
    return Task(**(fields | changes))


@dataclass
class Scene:
    """One sequence: the specification's state, the time, and what the actors remember."""

    rng: random.Random
    state: State
    time: int
    trees: dict[Digest, tuple[Reward, ...]] = field(default_factory=dict)
    """Leaves of every proposed reward root."""
    moods: dict[Attempt, str] = field(default_factory=dict)
    """How the committee sees each attempt."""
    silences: dict[Attempt, bool] = field(default_factory=dict)
    """Attempts in which those whose turn it is do not propose."""
    draw_moods: dict[Attempt, str] = field(default_factory=dict)
    """Whether anybody reveals the seed of each draw, and who proves seats."""
    sleepers: dict[Attempt, Address | None] = field(default_factory=dict)
    """Who does not vote in each attempt."""
    reports: list[Call] = field(default_factory=list)
    """Double votes that were reported."""
    relayed: dict[Attempt, tuple[RelayRecords, tuple[int, ...]]] = field(default_factory=dict)
    """Batches by task, round and number, with the places that count in each."""
    block: int = 0
    """Number of the pending block."""
    find_hash: Callable[[int], Digest] = get_no_hash
    """Finds the hash of a block that the chain has."""

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.time)

    @property
    def has_token(self) -> bool:
        return self.state.config.has_token

    def fork(self, seed: int) -> "Scene":
        """Return a scene that starts here and goes its own way."""
        return replace(
            self,
            rng=random.Random(seed),
            state=deepcopy(self.state),
            trees=dict(self.trees),
            moods=dict(self.moods),
            silences=dict(self.silences),
            draw_moods=dict(self.draw_moods),
            sleepers=dict(self.sleepers),
            reports=list(self.reports),
            relayed=dict(self.relayed),
        )

    def get_env(self, sender: Address) -> Env:
        """Return what a call of `sender` in the pending block sees."""
        return Env(sender, self.now, self.block, self.get_block_hash)

    def get_block_hash(self, number: int) -> Digest:
        """Return what BLOCKHASH gives in the pending block."""
        is_known = self.block - KNOWN_HASHES <= number < self.block
        return self.find_hash(number) if is_known else ZERO_DIGEST

    def get_attempt(self, task_id: TaskId) -> Attempt:
        """Return the newest attempt of a task."""
        book = self.get_book(task_id)
        return task_id, book.round.round, book.ballot.attempt

    def draw_digest(self) -> Digest:
        """Return 32 bytes that were never drawn before."""
        return Digest(self.rng.randbytes(32))

    def pick_task(self) -> TaskId:
        """Return a task, mostly the first that is open, rarely one that does not exist."""
        count = len(self.state.books)
        if not count or self.rng.random() < 0.02:
            return TaskId(self.rng.choice([0, count + 1]))
        if self.rng.random() < 0.3:
            return TaskId(self.rng.randint(1, count))
        open_tasks = [task_id for task_id, book in self.state.books.items() if not book.is_closed]
        return open_tasks[0] if open_tasks else TaskId(count)

    def get_book(self, task_id: TaskId) -> Book:
        return self.state.books.get(task_id) or Book()

    def pick_actor(self, prefix: str = "") -> Address:
        """Return any actor, or one whose name starts with `prefix`."""
        return ADDRESSES[self.rng.choice([name for name in NAMES if name.startswith(prefix)])]

"""Is what the node serves one chain, and are the calls and logs of the suite in it?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flchain.chain.base import Addresses, Ledger, LoggedEvent
from flchain.chain.contracts import get_contract_names
from flchain.chain.proofs.accounts import fetch_account
from flchain.chain.proofs.blocks import (
    Block,
    BlockProofError,
    fetch_blocks,
    fetch_head,
    fetch_headers,
)
from flchain.chain.proofs.creations import find_creations, get_missing, prove_deployment
from flchain.chain.proofs.headers import Header, compute_bloom, may_hold_logs
from flchain.chain.proofs.transactions import Transaction
from flchain.chain.proofs.tries import Account
from flchain.chain.rpc import Rpc, RpcError
from flchain.protocol.errors import EncodingError, FlchainError, ProofError
from flchain.protocol.events import ModelPublished, RoundOpened
from flchain.protocol.types import Address, RoundId, TaskId, Version
from flchain.roles.audit.replay import Replay, ReplayError
from flchain.roles.audit.report import Findings

Progress = Callable[[str, int, int], None]

Rounds = Mapping[tuple[TaskId, Version], RoundId]
"""By task and version."""

_STATE_ATTEMPTS = 5
_NO_ANCHOR = (
    "none was given. A node can't forge a signature, but it could leave out or reorder calls, or "
    "show a whole chain of its own with accounts of its own, and all here would fit. Only the "
    "hash of a block that you know from elsewhere rules that out: give it with --anchor"
)


@dataclass(frozen=True)
class ProvenChain:
    """The chain from the deployment to `head`, and what the rules make of it."""

    head: Header
    accounts: dict[Address, Account]
    """The suite's accounts in the head's state; empty where the node gives no proofs."""
    blocks: tuple[Block, ...]
    events: tuple[LoggedEvent, ...]
    replay: Replay
    is_replayed: bool
    """Whether the rules explain every call, so that `replay.state` is the state at `head`."""

    def get_rounds(self) -> Rounds:
        """Return the round that made each model version; version 0 comes from none."""
        made = [e.event for e in self.events if isinstance(e.event, ModelPublished)]
        return {(e.task_id, e.version): e.round for e in made if e.round}


@dataclass
class _Walk:
    """What was read of the chain so far."""

    blocks: list[Block] = field(default_factory=list)
    events: list[LoggedEvent] = field(default_factory=list)
    creations: dict[Address, Transaction] = field(default_factory=dict)
    replay: Replay | None = None
    is_replayed: bool = True


@dataclass
class ChainAudit:
    """One audit of what a node serves about a deployment."""

    rpc: Rpc
    ledger: Ledger
    task_id: TaskId
    first_block: int
    anchor: bytes | None
    findings: Findings
    progress: Progress

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are."""
        return self.ledger.addresses

    def prove(self) -> ProvenChain | None:
        """Return the proven chain, or None with the reason among the findings."""
        try:
            return self._prove()
        except BlockProofError as error:
            subject = "newest block" if error.number is None else f"block {error.number}"
            self.findings.failed(subject, str(error), self._find_round(error.number))
        except (ProofError, EncodingError) as error:
            self.findings.failed("chain", str(error))
        self.findings.noted("chain", "nothing else was checked: its evidence would prove nothing")
        return None

    def _prove(self) -> ProvenChain:
        head, accounts = self._fetch_state()
        headers = fetch_headers(self.rpc, self.first_block, head, self._show("link blocks"))
        text = f"{len(headers)} linked to {head.hash.hex()} (block {head.number})"
        self.findings.passed("blocks", text)
        self._check_anchor(headers)
        walk = self._walk(headers)
        if walk.replay is None:
            missing = ", ".join(get_missing(walk.creations, self.addresses))
            raise ProofError(f"no transaction from block {self.first_block} on creates {missing}")
        self._report(walk)
        blocks, events = tuple(walk.blocks), tuple(walk.events)
        return ProvenChain(head, accounts, blocks, events, walk.replay, walk.is_replayed)

    def _walk(self, headers: Sequence[Header]) -> "_Walk":
        """Prove the blocks that matter, in order, and apply their calls."""
        walk = _Walk()
        hashes = {header.number: header.hash for header in headers}
        for block in self._fetch_blocks(headers, walk.creations):
            walk.blocks.append(block)
            walk.creations |= find_creations(block)
            if walk.replay is None and not get_missing(walk.creations, self.addresses):
                chain_id = self.ledger.chain_id
                deployment = prove_deployment(walk.creations, chain_id, self.addresses)
                walk.replay = Replay(deployment, hashes)
            if walk.replay is not None:
                walk.events += walk.replay.read_events(block)
                walk.is_replayed = walk.is_replayed and self._apply(walk.replay, block)
        return walk

    def _report(self, walk: "_Walk") -> None:
        steps = sum(len(block.steps) for block in walk.blocks)
        text = f"{steps}, with their receipts, give the roots of {len(walk.blocks)} blocks"
        self.findings.passed("transactions", f"{text}; every sender recovered from its signature")
        self.findings.passed(
            "deployment", "created with this version's code, wired as it should be"
        )
        if walk.is_replayed and walk.replay is not None:
            text = f"{walk.replay.calls} calls give the {len(walk.events)} events that were logged"
            refused = walk.replay.refused
            text += f"; {refused} refused calls did nothing" if refused else ""
            self.findings.passed("rules", text)

    def _fetch_blocks(
        self, headers: Sequence[Header], creations: dict[Address, Transaction]
    ) -> Iterator[Block]:
        """Yield the blocks that create the suite, then those in which it may have logged."""
        names = get_contract_names(self.addresses)
        blooms = [compute_bloom(bytes.fromhex(address[2:])) for address in names]
        start = 0
        while start < len(headers) and get_missing(creations, self.addresses):
            yield from fetch_blocks(self.rpc, headers[start : start + 1])
            start += 1
        wanted = [header for header in headers[start:] if may_hold_logs(header, blooms)]
        show = self._show("prove transactions")
        for done, block in enumerate(fetch_blocks(self.rpc, wanted), 1):
            yield block
            show(done, len(wanted))

    def _apply(self, replay: Replay, block: Block) -> bool:
        try:
            replay.apply(block)
        except ReplayError as error:
            is_ours = error.task_id in (None, self.task_id)
            subject = "rules" if is_ours else f"rules (task {error.task_id})"
            self.findings.failed(subject, str(error), error.round if is_ours else None)
            self.findings.noted("rules", "the calls after this one were not replayed")
            return False
        return True

    def _fetch_state(self) -> tuple[Header, dict[Address, Account]]:
        """Return the head and the suite's accounts in its state; none without proofs.

        Before anything else, since nodes keep the state of recent blocks only. A node that is
        about to make the next block may prove that block's state: it is asked again.
        """
        attempt = 0
        while True:
            head = fetch_head(self.rpc)
            try:
                return head, self._fetch_accounts(head)
            except RpcError as error:
                self.findings.noted("state", f"the node gives no state proofs: {error}")
                return head, {}
            except (ProofError, EncodingError) as error:
                attempt += 1
                if attempt == _STATE_ATTEMPTS:
                    self.findings.failed("state", f"block {head.number}: {error}")
                    return head, {}

    def _fetch_accounts(self, head: Header) -> dict[Address, Account]:
        names = get_contract_names(self.addresses)
        return {address: fetch_account(self.rpc, head, address) for address in names}

    def _check_anchor(self, headers: Sequence[Header]) -> None:
        if self.anchor is None:
            self.findings.noted("anchor", _NO_ANCHOR)
            return
        found = [header for header in headers if header.hash == self.anchor]
        if not found:
            raise ProofError(
                f"the block {self.anchor.hex()} that you trust is not on this chain between "
                f"blocks {headers[0].number} and {headers[-1].number}"
            )
        later = headers[-1].number - found[0].number
        text = f"block {found[0].number} is on this chain, and so is all before it"
        self.findings.passed("anchor", text)
        if later:
            self.findings.noted("anchor", f"{later} later blocks build on it, by the node's word")

    def _find_round(self, block: int | None) -> RoundId | None:
        """Return the round that a block fell into, by the node's own account of it."""
        try:
            opened = self.ledger.get_events(
                to_block=block, task_id=self.task_id, kinds=(RoundOpened,)
            )
        except FlchainError:
            return None
        rounds = [e.event.round for e in opened if isinstance(e.event, RoundOpened)]
        return max(rounds, default=None)

    def _show(self, label: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(label, done, total)

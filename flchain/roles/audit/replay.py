"""The rules, applied anew: every proven call through the executable specification.

Whatever the chain recorded (membership, signatures in bundles, votes, phases, payments) must be
what the rules make of the calls. The first call that they don't explain ends the replay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flchain.chain.base import LoggedEvent
from flchain.chain.contracts import get_contract_names
from flchain.chain.proofs.blocks import Block, Step
from flchain.chain.proofs.creations import Deployment
from flchain.chain.proofs.decoding import decode_call, decode_event
from flchain.chain.proofs.headers import Header
from flchain.chain.proofs.traces import Traces
from flchain.chain.spec import token
from flchain.chain.spec.state import Env, State, Token, get_book
from flchain.chain.spec.transition import process
from flchain.protocol.calls import Call
from flchain.protocol.errors import EncodingError, ProofError, ProtocolError
from flchain.protocol.events import Event
from flchain.protocol.types import ZERO_DIGEST, Address, Digest, RoundId, TaskId, Wei

_TOKEN = "LocalToken"  # noqa: S105 - a contract's name, no secret
_KNOWN_HASHES = 256
"""A contract sees the hashes of so many blocks before its own."""


class ReplayError(ProofError):
    """A call that the chain accepted, and that the rules do not explain."""

    def __init__(self, task_id: TaskId | None, number: RoundId | None, message: str) -> None:
        """Take the task and round that the call is about, as far as they are known."""
        super().__init__(message)
        self.task_id = task_id
        self.round = number


class _Boundless(dict[Any, Wei]):
    """Balances or allowances of a token whose own rules are unknown: always enough."""

    def get(self, key: Any, default: Any = None) -> Any:
        del key, default
        return Wei(token.UNLIMITED)


@dataclass
class Replay:
    """The suite's state as the rules give it, call by call.

    `hashes` has those of the proven blocks by number, which seeds of draws take in.
    """

    deployment: Deployment
    hashes: Mapping[int, bytes] = field(default_factory=dict)
    calls: int = 0
    refused: int = 0
    traces: Traces = field(default_factory=Traces)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.deployment.config)
        if self.deployment.mints is None:
            self.state.token = Token(_Boundless(), _Boundless())
        for account, amount in (self.deployment.mints or {}).items():
            token.mint(self.state, account, amount)
        self._names = get_contract_names(self.deployment.config.addresses)
        if self.deployment.mints is None:
            self._names.pop(self.deployment.config.addresses.token)

    def get_round(self, task_id: TaskId) -> RoundId | None:
        """Return the newest round of a task so far."""
        return get_book(self.state, task_id).round.round or None

    def read_events(self, block: Block) -> list[LoggedEvent]:
        """Return the proven events of a block. Raises EncodingError on a malformed log."""
        return [
            LoggedEvent(event, at, header.number, header.hash, tx_hash, index)
            for header, tx_hash, index, at, event in self._iterate_events(block)
        ]

    def apply(self, block: Block) -> None:
        """Apply a block's calls in order. Raises ReplayError at the first that does not fit."""
        for step in block.steps:
            self._apply_step(block.header, step)

    def _iterate_events(self, block: Block) -> Iterator[tuple[Header, bytes, int, Address, Event]]:
        index = 0
        for step in block.steps:
            for log in step.receipt.logs:
                name = self._names.get(log.address)
                event = decode_event(name, log) if name else None
                if event is not None:
                    yield block.header, step.transaction.hash, index, log.address, event
                index += 1

    def _apply_step(self, header: Header, step: Step) -> None:
        name = self._names.get(step.transaction.to) if step.transaction.to else None
        if name is None:
            self._refuse_indirect(header, step)
        elif not step.receipt.is_success:
            self.refused += 1
        else:
            self._apply_call(header, step, name)

    def _refuse_indirect(self, header: Header, step: Step) -> None:
        """Raise ReplayError if a transaction to a stranger did something to the suite."""
        touched = [
            self._names[log.address] for log in step.receipt.logs if log.address in self._names
        ]
        if step.transaction.to is not None and touched:
            raise ReplayError(
                None,
                None,
                f"block {header.number}: {step.transaction.to} called {touched[0]} from its own "
                f"code (transaction {step.transaction.hash.hex()}); such calls can't be read off "
                "the transaction",
            )

    def _apply_call(self, header: Header, step: Step, name: str) -> None:
        transaction, call = step.transaction, None
        if transaction.chain_id not in {None, self.deployment.config.chain_id}:
            text = f"{name} was sent a transaction that was signed for chain {transaction.chain_id}"
            raise self._build_error(header, call, text)
        try:
            call = decode_call(name, transaction.data)
            made = process(self.state, self._build_env(header, transaction.sender), call)
        except (ProtocolError, EncodingError) as error:
            text = f"the chain accepted {_describe(call, name, step)}, the rules refuse it: {error}"
            raise self._build_error(header, call, text) from error
        found = [
            event
            for log in step.receipt.logs
            if log.address in self._names
            and (event := decode_event(self._names[log.address], log)) is not None
        ]
        if found != made:
            text = f"{_describe(call, name, step)}: {_compare_events(found, made)}"
            raise self._build_error(header, call, text)
        self.traces.apply(self.state, header.timestamp, made)
        self.calls += 1

    def _build_env(self, header: Header, sender: Address) -> Env:
        def get_block_hash(number: int) -> Digest:
            is_known = header.number - _KNOWN_HASHES <= number < header.number
            return Digest(self.hashes.get(number, ZERO_DIGEST)) if is_known else ZERO_DIGEST

        return Env(sender, header.timestamp, header.number, get_block_hash)

    def _build_error(self, header: Header, call: Call | None, text: str) -> ReplayError:
        task_id = getattr(call, "task_id", None)
        number = getattr(call, "round", None)
        if number is None and task_id is not None:
            number = self.get_round(task_id)
        return ReplayError(task_id, number, f"block {header.number}: {text}")


def _describe(call: Call | None, name: str, step: Step) -> str:
    action = f"{name}.{call.function}" if call else f"a call of {name}"
    return f"{action} of {step.transaction.sender}"


def _compare_events(found: list[Event], made: list[Event]) -> str:
    for index, event in enumerate(made):
        if index >= len(found):
            return f"the chain logged nothing where the rules give {event}"
        if found[index] != event:
            return f"the chain logged {found[index]}, the rules give {event}"
    return f"the chain logged {found[len(made)]}, the rules give nothing"

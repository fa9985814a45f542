"""The contracts' state at the head, as the node answers, against what the rules give.

Answers are the node's word; `storage` proves the same state against the block's state root.
What this adds is the name of the record, and of the field in it, that is another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from flchain.chain.abi import decode_values
from flchain.chain.contracts import (
    build_record,
    encode_arguments,
    get_address,
    get_function,
)
from flchain.chain.memory import MemoryLedger
from flchain.chain.proofs.headers import Header
from flchain.chain.rpc import Rpc, RpcError
from flchain.chain.spec.state import State
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import (
    Agent,
    Ballot,
    Budget,
    Distribution,
    Member,
    Proposal,
    Round,
    Submissions,
    Task,
    TaskStatus,
)
from flchain.protocol.types import RoundId, TaskId, Version
from flchain.roles.audit.authenticity import ProvenChain, Rounds
from flchain.roles.audit.report import Findings

_BATCH = 128


@dataclass(frozen=True)
class Reading:
    """One question to a contract, and the answer that the rules give.

    `task_id` and `round` say what the answer is about, as far as it is about one.
    """

    contract: str
    function: str
    arguments: tuple[Any, ...]
    expected: Any
    task_id: TaskId | None = None
    round: RoundId | None = None

    @property
    def subject(self) -> str:
        """The question, as a reader would write it."""
        return f"{self.contract}.{self.function}({', '.join(map(str, self.arguments))})"


def audit_readings(rpc: Rpc, chain: ProvenChain, task_id: TaskId, findings: Findings) -> None:
    """Ask the node for every record of the suite and compare it with the rules' state."""
    head, state = chain.head, chain.replay.state
    ledger = MemoryLedger(state.config, lambda: head.timestamp)
    ledger.state = state
    readings = list(_list_readings(ledger, state, chain.get_rounds()))
    differing = 0
    for start in range(0, len(readings), _BATCH):
        part = readings[start : start + _BATCH]
        answers = rpc.call_all([_build_request(ledger, reading, head) for reading in part])
        for reading, answer in zip(part, answers, strict=True):
            if text := _compare(reading, answer):
                differing += 1
                number = reading.round if reading.task_id in {None, task_id} else None
                findings.failed(reading.subject, text, number)
    if not differing:
        findings.passed(
            "state", f"{len(readings)} records of the contracts are as the rules give them"
        )


def _list_readings(ledger: MemoryLedger, state: State, rounds: Rounds) -> Iterator[Reading]:
    for agent in state.agents:
        yield Reading("AgentRegistry", "getAgent", (agent,), ledger.get_agent(agent))
    yield Reading("RoundManager", "taskCount", (), ledger.get_task_count())
    for task_id in state.books:
        yield from _list_task(ledger, state, task_id, rounds)
    for task_id, number in state.distributions:
        value = ledger.get_distribution(task_id, number)
        key = (task_id, number)
        yield Reading("RewardDistributor", "getDistribution", key, value, task_id, number)
    if state.config.has_token and type(state.token.balances) is dict:
        for account in state.token.balances:
            balance = ledger.get_balance(account)
            yield Reading("LocalToken", "balanceOf", (account,), balance)


def _list_task(
    ledger: MemoryLedger, state: State, task_id: TaskId, rounds: Rounds
) -> Iterator[Reading]:
    number = ledger.get_round(task_id).round or None
    answers = {
        "getTask": ledger.get_task(task_id),
        "getTaskStatus": ledger.get_task_status(task_id),
        "getRound": ledger.get_round(task_id),
        "getSubmissions": ledger.get_submissions(task_id),
        "getBallot": ledger.get_ballot(task_id),
        "getProposal": ledger.get_proposal(task_id),
    }
    for function, value in answers.items():
        place = None if function in {"getTask", "getTaskStatus"} else number
        yield Reading("RoundManager", function, (task_id,), value, task_id, place)
    for member in state.books[task_id].members:
        value = ledger.get_member(task_id, member)
        yield Reading("RoundManager", "getMember", (task_id, member), value, task_id)
    budget = ledger.get_budget(task_id)
    yield Reading("RewardDistributor", "getBudget", (task_id,), budget, task_id)
    latest = ledger.get_latest_version(task_id)
    yield Reading("ModelRegistry", "getLatest", (task_id,), latest, task_id, number)
    for version in range(latest + 1):
        digest = ledger.get_state_digest(task_id, Version(version))
        key = (task_id, Version(version))
        yield Reading("ModelRegistry", "getStateDigest", key, digest, task_id, rounds.get(key))


def _build_request(
    ledger: MemoryLedger, reading: Reading, head: Header
) -> tuple[str, Sequence[Any]]:
    function = get_function(reading.contract, reading.function)
    data = encode_arguments(function, reading.arguments)
    call = {"to": get_address(ledger.addresses, reading.contract), "data": "0x" + data.hex()}
    return "eth_call", (call, hex(head.number))


_RECORDS = (
    *(Agent, Ballot, Budget, Distribution, Member, Proposal),
    *(Round, Submissions, Task, TaskStatus),
)


def _compare(reading: Reading, answer: Any) -> str:
    """Return how the node's answer differs from the rules'; nothing if it does not."""
    if isinstance(answer, RpcError):
        return f"the contract answers with an error: {answer}"
    function = get_function(reading.contract, reading.function)
    try:
        values = decode_values(function.outputs, bytes.fromhex(str(answer).removeprefix("0x")))
        kind = type(reading.expected)
        found = build_record(kind, values[0]) if kind in _RECORDS else values[0]
    except (EncodingError, ValueError) as error:
        return f"the contract's answer does not decode: {error}"
    if found == reading.expected:
        return ""
    return describe_difference(found, reading.expected)


def describe_difference(found: Any, expected: Any) -> str:
    """Return the fields in which two records differ, or the two values."""
    if not is_dataclass(expected):
        return f"is {_show(found)}, the rules give {_show(expected)}"
    pairs = [
        (field.name, getattr(found, field.name), getattr(expected, field.name))
        for field in fields(expected)
    ]
    return "; ".join(
        f"{name} is {_show(got)}, the rules give {_show(due)}"
        for name, got, due in pairs
        if got != due
    )


def _show(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)

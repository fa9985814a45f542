"""Does the node answer everyday questions as it answers the auditor?

Everything here is proven already. A node that hides a log from others, or tells them another
status, is still worth knowing about: roles and explorers ask these simpler questions.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flchain.chain.base import Addresses
from flchain.chain.contracts import get_contract_names
from flchain.chain.proofs.blocks import Block, Step
from flchain.chain.proofs.fields import decode_data, decode_list, decode_object, decode_quantity
from flchain.chain.proofs.receipts import Log, decode_log, decode_receipt
from flchain.chain.proofs.transactions import decode_transaction
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Address, RoundId
from flchain.roles.audit.report import Findings

FindRound = Callable[[int], RoundId | None]
"""Returns the round that was going on at a block."""
Place = tuple[int, bytes, Log]
"""A log with its block and its transaction."""

_BATCH = 64
_RANGE = 2_000
"""Blocks in one question for logs, which every provider accepts."""


def audit_candour(
    rpc: Rpc,
    addresses: Addresses,
    blocks: Sequence[Block],
    find_round: FindRound,
    findings: Findings,
) -> None:
    """Ask for the suite's logs, receipts and transactions and compare them with the proven ones."""
    names = get_contract_names(addresses)
    steps = [(b.header.number, s) for b in blocks for s in b.steps if _is_of_suite(s, names)]
    lies = [*_compare_logs(rpc, blocks, names), *_compare_steps(rpc, steps)]
    for number, subject, detail in lies:
        findings.failed(subject, f"block {number}: {detail}", find_round(number))
    if not lies:
        text = f"its logs, and {len(steps)} receipts and transactions, are the proven ones"
        findings.passed("node", text)


def _is_of_suite(step: Step, names: dict[Address, str]) -> bool:
    return step.transaction.to in names or any(log.address in names for log in step.receipt.logs)


def _compare_logs(
    rpc: Rpc, blocks: Sequence[Block], names: dict[Address, str]
) -> Iterator[tuple[int, str, str]]:
    """Yield what eth_getLogs leaves out or adds."""
    proven = [
        (block.header.number, step.transaction.hash, log)
        for block in blocks
        for step in block.steps
        for log in step.receipt.logs
        if log.address in names
    ]
    try:
        served = _fetch_logs(rpc, blocks, list(names))
    except (EncodingError, RpcError) as error:
        yield blocks[-1].header.number, "eth_getLogs", f"the node's answer is no list: {error}"
        return
    for place in _subtract(proven, served):
        yield place[0], "eth_getLogs", f"the node hides or alters {_describe(place, names)}"
    for place in _subtract(served, proven):
        yield place[0], "eth_getLogs", f"the node makes up {_describe(place, names)}"


def _fetch_logs(rpc: Rpc, blocks: Sequence[Block], addresses: list[Address]) -> list[Place]:
    first, last = blocks[0].header.number, blocks[-1].header.number
    served = []
    for start in range(first, last + 1, _RANGE):
        end = min(start + _RANGE - 1, last)
        query = {"fromBlock": hex(start), "toBlock": hex(end), "address": addresses}
        served += decode_list(rpc.call("eth_getLogs", query), "logs")
    raws = [decode_object(raw, "log") for raw in served]
    return [
        (decode_quantity(r, "blockNumber"), decode_data(r, "transactionHash", 32), decode_log(r))
        for r in raws
    ]


def _subtract(places: Sequence[Place], others: Sequence[Place]) -> list[Place]:
    """Return the places that are not among the others, one for one."""
    return list((Counter(places) - Counter(others)).elements())


def _compare_steps(rpc: Rpc, steps: Sequence[tuple[int, Step]]) -> Iterator[tuple[int, str, str]]:
    """Yield receipts and transactions that are others when asked for by hash."""
    for start in range(0, len(steps), _BATCH):
        part = steps[start : start + _BATCH]
        hashes = [f"0x{step.transaction.hash.hex()}" for _, step in part]
        receipts: list[Request] = [("eth_getTransactionReceipt", (value,)) for value in hashes]
        bodies: list[Request] = [("eth_getTransactionByHash", (value,)) for value in hashes]
        answers = rpc.call_all([*receipts, *bodies])
        pairs = zip(answers[: len(part)], answers[len(part) :], strict=True)
        for (number, step), (receipt, body) in zip(part, pairs, strict=True):
            name = f"transaction {step.transaction.hash.hex()}"
            if not _is_same(lambda raw: decode_receipt(raw) == step.receipt, receipt):  # noqa: B023
                yield number, name, "asked for its receipt, the node gives another"
            if not _is_same(lambda raw: decode_transaction(raw) == step.transaction, body):  # noqa: B023
                yield number, name, "asked for it by hash, the node gives another"


def _is_same(compare: Callable[[Any], bool], answer: Any) -> bool:
    try:
        return compare(decode_object(answer, "answer"))
    except (EncodingError, ProofError):
        return False


def _describe(place: Place, names: dict[Address, str]) -> str:
    _, tx_hash, log = place
    topic = f", topic {log.topics[0].hex()[:16]}" if log.topics else ""
    return f"a log of {names.get(log.address, log.address)} (transaction {tx_hash.hex()}{topic})"

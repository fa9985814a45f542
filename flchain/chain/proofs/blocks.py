"""Blocks whose every transaction and receipt is proven against a verified header."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flchain.chain.proofs.fields import decode_list, decode_object
from flchain.chain.proofs.headers import Header, decode_header, verify_link
from flchain.chain.proofs.receipts import (
    Receipt,
    compute_logs_bloom,
    decode_receipt,
    encode_receipt,
)
from flchain.chain.proofs.transactions import Transaction, decode_transaction
from flchain.chain.proofs.tries import compute_ordered_root
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.protocol.errors import AdapterError, EncodingError, ProofError

HEADER_BATCH = 256
BLOCK_BATCH = 64

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction and what it did."""

    transaction: Transaction
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Block:
    """A block: the steps are all there and in order."""

    header: Header
    steps: tuple[Step, ...]


class BlockProofError(ProofError):
    """Something about a block does not fit its hash."""

    def __init__(self, number: int | None, message: str) -> None:
        """Take the block's number, None for the newest one, and what is wrong."""
        super().__init__(message)
        self.number = number


def fetch_head(rpc: Rpc) -> Header:
    """Return the newest block's header, hashed anew."""
    return _read_header(rpc.call("eth_getBlockByNumber", "latest", False), None)


def fetch_headers(rpc: Rpc, first: int, head: Header, progress: Progress) -> list[Header]:
    """Return the headers from block `first` to `head`, each hashed anew and linked.

    Raises BlockProofError at the first that does not fit, seen from the head, and
    AdapterError if the node lacks a block.
    """
    parts, oldest = [[head]], head
    for end in range(head.number, first, -HEADER_BATCH):
        numbers = range(max(first, end - HEADER_BATCH), end)
        requests: list[Request] = [("eth_getBlockByNumber", (hex(n), False)) for n in numbers]
        fetched = [
            _read_header(answer, number)
            for number, answer in zip(numbers, _call(rpc, requests), strict=True)
        ]
        _verify_part([*fetched, oldest])
        parts.append(fetched)
        oldest = fetched[0]
        progress(head.number - oldest.number + 1, head.number - first + 1)
    return list(itertools.chain.from_iterable(reversed(parts)))


def fetch_blocks(rpc: Rpc, headers: Sequence[Header]) -> Iterator[Block]:
    """Yield the blocks of verified headers, in order, with their proven steps.

    Raises BlockProofError if transactions or receipts don't give the header's roots.
    """
    for start in range(0, len(headers), BLOCK_BATCH):
        part = headers[start : start + BLOCK_BATCH]
        bodies = _call(rpc, [("eth_getBlockByNumber", (hex(h.number), True)) for h in part])
        receipts = rpc.call_all([("eth_getBlockReceipts", (hex(h.number),)) for h in part])
        for header, body, answers in zip(part, bodies, receipts, strict=True):
            raw = decode_object(body, f"block {header.number}").get("transactions")
            transactions = decode_list(raw, f"transactions of block {header.number}")
            if isinstance(answers, RpcError):
                answers = _fetch_receipts_singly(rpc, transactions)  # noqa: PLW2901  # older nodes
            yield _verify(header, transactions, decode_list(answers, "receipts"))


def _verify(header: Header, raw_transactions: list[Any], raw_receipts: list[Any]) -> Block:
    try:
        return verify_block(header, raw_transactions, raw_receipts)
    except (ProofError, EncodingError) as error:
        raise BlockProofError(header.number, f"block {header.number}: {error}") from error


def verify_block(header: Header, raw_transactions: list[Any], raw_receipts: list[Any]) -> Block:
    """Return the block that these transactions and receipts make up.

    Raises ProofError, naming what was altered where that can be told, unless they give the
    header's roots, and EncodingError on malformed ones.
    """
    transactions = [
        decode_transaction(decode_object(raw, "transaction")) for raw in raw_transactions
    ]
    root = compute_ordered_root([transaction.encoded for transaction in transactions])
    if root != header.transactions_root:
        raise ProofError(
            f"its {len(transactions)} transactions give the root {root.hex()}, its header says "
            f"{header.transactions_root.hex()}: one was added, dropped, altered or moved"
        )
    receipts = [decode_receipt(decode_object(raw, "receipt")) for raw in raw_receipts]
    root = compute_ordered_root([encode_receipt(receipt) for receipt in receipts])
    if root != header.receipts_root or len(receipts) != len(transactions):
        raise ProofError(
            f"its {len(receipts)} receipts give the root {root.hex()}, its header says "
            f"{header.receipts_root.hex()}: {_diagnose(header, receipts)}"
        )
    steps = zip(transactions, receipts, strict=True)
    return Block(header, tuple(Step(transaction, receipt) for transaction, receipt in steps))


def _diagnose(header: Header, receipts: Sequence[Receipt]) -> str:
    """Say which part of which receipt was altered, as far as that can be told."""
    for index, receipt in enumerate(receipts):
        if compute_logs_bloom(receipt) != receipt.bloom:
            return f"a log of receipt {index} was dropped, added or altered"
        flipped = replace(receipt, is_success=not receipt.is_success)
        encoded = [encode_receipt(r) for r in (*receipts[:index], flipped, *receipts[index + 1 :])]
        if compute_ordered_root(encoded) == header.receipts_root:
            return f"the status of receipt {index} was altered"
    return "a receipt, or the data of a log, was altered"


def _verify_part(headers: Sequence[Header]) -> None:
    for pair in reversed(list(itertools.pairwise(headers))):
        try:
            verify_link(*pair)
        except ProofError as error:
            raise BlockProofError(pair[0].number, str(error)) from error


def _read_header(answer: Any, number: int | None) -> Header:
    if answer is None:
        raise AdapterError(f"the node does not have block {number}: ask one with full history")
    try:
        header = decode_header(decode_object(answer, "block"))
    except (ProofError, EncodingError) as error:
        raise BlockProofError(number, str(error)) from error
    if number is not None and header.number != number:
        raise BlockProofError(number, f"block {number}: the node sends block {header.number}")
    return header


def _fetch_receipts_singly(rpc: Rpc, transactions: list[Any]) -> list[Any]:
    hashes = [decode_object(raw, "transaction").get("hash") for raw in transactions]
    return _call(rpc, [("eth_getTransactionReceipt", (value,)) for value in hashes])


def _call(rpc: Rpc, requests: Sequence[Request]) -> list[Any]:
    answers = rpc.call_all(requests)
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return answers

"""Signing, sending and awaiting EIP-1559 transactions.

Each account's nonce is counted here, so an account must not send from two processes at a time;
different accounts may. Threads may share one sender.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import rlp
from eth_utils.crypto import keccak

from flchain.chain.failures import decode_refusal, decode_revert
from flchain.chain.fees import (
    FeePolicy,
    Fees,
    compute_bumped_fees,
    compute_fees,
    compute_gas_limit,
)
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.crypto.signing import Signer
from flchain.protocol.errors import AdapterError, ConfigError, FlchainError
from flchain.protocol.types import Address

_TYPE_2 = b"\x02"
_V_OFFSET = 27
_SENDING_ATTEMPTS = 3
_ALREADY_KNOWN = ("already known", "already imported", "known transaction")
_NONCE_PROBLEMS = ("nonce too low", "replacement transaction underpriced", "nonce too high")
_FEE_PROBLEMS = ("less than block base fee", "fee too low", "underpriced")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What to send; `to` is None for a creation and `gas` is None for an estimate."""

    to: Address | None
    data: bytes
    gas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """Patience, in seconds of wall time, and prices.

    A transaction that is not mined after `bump_after` is sent again for more; after `timeout` it
    is given up, and may still be mined. `confirmations` counts its own block.
    """

    fees: FeePolicy = field(default_factory=FeePolicy)
    confirmations: int = 1
    first_poll: float = 0.002
    longest_poll: float = 1.0
    bump_after: float = 30.0
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the sender sees it; tests hand in their own."""

    get_time: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class _Account:
    lock: Lock = field(default_factory=Lock)
    nonce: int | None = None


@dataclass(slots=True)
class _Sent:
    """A transaction on its way: every version of it has the same nonce."""

    signer: Signer
    transaction: Transaction
    nonce: int
    gas: int
    fees: Fees
    raw: bytes
    hashes: list[str]
    sent_at: float
    answer: dict[str, Any] | FlchainError | None = None


class TransactionSender:
    """Sends transactions of any number of accounts to one chain."""

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        policy: SendPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Send nothing yet; nonces are read when an account first sends."""
        self._rpc = rpc
        self._chain_id = chain_id
        self._policy = policy or SendPolicy()
        self._clock = clock or Clock()
        self._accounts: dict[Address, _Account] = {}
        self._accounts_lock = Lock()

    def send(self, transaction: Transaction, signer: Signer) -> dict[str, Any]:
        """Return the receipt, as the node gives it, once the transaction has its confirmations.

        Raises ProtocolError if a contract refuses, ConfigError if the account cannot pay, and
        AdapterError if the node cannot be reached or the transaction is not mined in time.
        """
        (answer,) = self.send_all([(transaction, signer)])
        if isinstance(answer, FlchainError):
            raise answer
        return answer

    def send_all(
        self, transactions: Sequence[tuple[Transaction, Signer]]
    ) -> list[dict[str, Any] | FlchainError]:
        """Send without waiting in between; return a receipt or an error for each, in order.

        An account's transactions keep their order, and a refused one takes no nonce, so the
        ones behind it still go out.
        """
        answers: list[dict[str, Any] | FlchainError | None] = [None] * len(transactions)
        sent: dict[int, _Sent] = {}
        for wave in _get_waves([signer.address for _, signer in transactions]):
            for index, outcome in self._send_wave([(i, *transactions[i]) for i in wave]):
                if isinstance(outcome, _Sent):
                    sent[index] = outcome
                else:
                    answers[index] = outcome
        self._wait(list(sent.values()))
        for index, done in sent.items():
            answers[index] = done.answer
        return [answer or _get_lost() for answer in answers]

    def _send_wave(
        self, wave: Sequence[tuple[int, Transaction, Signer]]
    ) -> Iterator[tuple[int, _Sent | FlchainError]]:
        """Send at most one transaction of each account, all in two round trips."""
        # Locks are taken in the order of addresses, so that two threads cannot block each other.
        ordered = sorted(wave, key=lambda item: item[2].address)
        with self._lock_accounts([signer.address for _, _, signer in ordered]):
            yield from self._prepare_and_send(ordered)

    def _prepare_and_send(
        self, wave: Sequence[tuple[int, Transaction, Signer]]
    ) -> Iterator[tuple[int, _Sent | FlchainError]]:
        ready: list[tuple[int, _Sent]] = []
        for (index, transaction, signer), outcome in zip(wave, self._prepare(wave), strict=True):
            if isinstance(outcome, FlchainError):
                yield index, outcome
            else:
                ready.append((index, self._sign(transaction, signer, *outcome)))
        requests: list[Request] = [_get_raw_request(sent) for _, sent in ready]
        for (index, sent), result in zip(ready, self._rpc.call_all(requests), strict=True):
            yield index, self._process_sending(sent, result)

    def _prepare(
        self, wave: Sequence[tuple[int, Transaction, Signer]]
    ) -> list[tuple[int, int, Fees] | FlchainError]:
        """Return nonce, gas limit and fees for each, or why it cannot be sent."""
        estimated = [item for item in wave if item[1].gas is None]
        unknown = [item for item in wave if self._accounts[item[2].address].nonce is None]
        requests: list[Request] = [("eth_getBlockByNumber", ("pending", False))]
        requests += [
            ("eth_estimateGas", (_describe(tx, who), "pending")) for _, tx, who in estimated
        ]
        requests += [("eth_getTransactionCount", (who.address, "pending")) for *_, who in unknown]
        block, *results = self._rpc.call_all(requests)
        if isinstance(block, RpcError):
            raise block
        fees = compute_fees(int(block.get("baseFeePerGas", "0x0"), 16), self._policy.fees)
        estimates = dict(zip((i for i, *_ in estimated), results, strict=False))
        for (*_, who), count in zip(unknown, results[len(estimated) :], strict=True):
            if isinstance(count, RpcError):
                raise count
            self._accounts[who.address].nonce = int(count, 16)
        return [self._get_terms(item, estimates.get(item[0]), fees) for item in wave]

    def _get_terms(
        self, item: tuple[int, Transaction, Signer], estimate: Any, fees: Fees
    ) -> tuple[int, int, Fees] | FlchainError:
        _, transaction, signer = item
        if isinstance(estimate, RpcError):
            return self._explain(estimate, signer.address)
        nonce = self._accounts[signer.address].nonce or 0
        if transaction.gas is not None:
            return nonce, transaction.gas, fees
        return nonce, compute_gas_limit(int(estimate, 16), self._policy.fees), fees

    def _sign(
        self, transaction: Transaction, signer: Signer, nonce: int, gas: int, fees: Fees
    ) -> _Sent:
        raw = sign_transaction(
            transaction, signer, chain_id=self._chain_id, nonce=nonce, gas=gas, fees=fees
        )
        hashes = [f"0x{keccak(raw).hex()}"]
        return _Sent(signer, transaction, nonce, gas, fees, raw, hashes, self._clock.get_time())

    def _process_sending(self, sent: _Sent, result: Any) -> _Sent | FlchainError:
        """Count the nonce if the node took the transaction; else say why it did not."""
        account = self._accounts[sent.signer.address]
        for _ in range(_SENDING_ATTEMPTS):
            if not isinstance(result, RpcError) or _is_about(result, _ALREADY_KNOWN):
                account.nonce = sent.nonce + 1
                return sent
            if not _is_about(result, _NONCE_PROBLEMS + _FEE_PROBLEMS):
                break
            if self._is_known(sent):
                account.nonce = sent.nonce + 1
                return sent
            sent = self._renew(sent)
            (result,) = self._rpc.call_all([_get_raw_request(sent)])
        account.nonce = None
        return self._explain(result, sent.signer.address, sent)

    def _is_known(self, sent: _Sent) -> bool:
        """Return whether the node has it after all: an earlier answer may have been lost."""
        return self._rpc.call("eth_getTransactionByHash", sent.hashes[-1]) is not None

    def _renew(self, sent: _Sent) -> _Sent:
        """Sign again with the account's true nonce and the current fees."""
        count = self._rpc.call("eth_getTransactionCount", sent.signer.address, "pending")
        block = self._rpc.call("eth_getBlockByNumber", "pending", False)
        fees = compute_fees(int(block.get("baseFeePerGas", "0x0"), 16), self._policy.fees)
        return self._sign(sent.transaction, sent.signer, int(count, 16), sent.gas, fees)

    def _explain(
        self, refusal: RpcError, account: Address, sent: _Sent | None = None
    ) -> FlchainError:
        if "insufficient funds" not in refusal.message.lower():
            return decode_refusal(refusal)
        balance = int(self._rpc.call("eth_getBalance", account, "pending"), 16)
        missing = f"{sent.gas * sent.fees.max_fee - balance} wei more" if sent else "more"
        return ConfigError(
            f"account {account} has {balance} wei and needs {missing} to pay for gas: fund it"
        )

    @contextmanager
    def _lock_accounts(self, addresses: Sequence[Address]) -> Iterator[None]:
        with self._accounts_lock:
            accounts = [self._accounts.setdefault(address, _Account()) for address in addresses]
        for account in accounts:
            account.lock.acquire()
        try:
            yield
        except BaseException:
            # It is not known which of them the node has taken: ask it next time.
            for account in accounts:
                account.nonce = None
            raise
        finally:
            for account in accounts:
                account.lock.release()

    def _wait(self, pending: Sequence[_Sent]) -> None:
        """Fill in the answer of each."""
        deadline = self._clock.get_time() + self._policy.timeout
        pause = self._policy.first_poll
        while waiting := [sent for sent in pending if sent.answer is None]:
            self._poll(waiting)
            if self._clock.get_time() >= deadline:
                for sent in waiting:
                    sent.answer = sent.answer or _get_overdue(sent, self._policy.timeout)
                return
            if any(sent.answer is None for sent in waiting):
                self._bump([sent for sent in waiting if sent.answer is None])
                self._clock.sleep(pause)
                pause = min(pause * 1.5, self._policy.longest_poll)

    def _poll(self, waiting: Sequence[_Sent]) -> None:
        requests: list[Request] = [("eth_blockNumber", ())]
        requests += [
            ("eth_getTransactionReceipt", (item,)) for sent in waiting for item in sent.hashes
        ]
        head, *results = self._rpc.call_all(requests)
        if isinstance(head, RpcError):
            raise head
        found = iter(results)
        for sent in waiting:
            receipts = [next(found) for _ in sent.hashes]
            for receipt in receipts:
                if isinstance(receipt, dict) and self._is_confirmed(receipt, int(head, 16)):
                    sent.answer = self._judge(sent, receipt)

    def _is_confirmed(self, receipt: dict[str, Any], head: int) -> bool:
        return head >= int(receipt["blockNumber"], 16) + self._policy.confirmations - 1

    def _judge(self, sent: _Sent, receipt: dict[str, Any]) -> dict[str, Any] | FlchainError:
        if int(receipt["status"], 16) == 1:
            return receipt
        if int(receipt["gasUsed"], 16) >= sent.gas:
            return AdapterError(
                f"the transaction ran out of its {sent.gas} gas: send it again", is_retryable=True
            )
        return self._replay(sent, receipt)

    def _replay(self, sent: _Sent, receipt: dict[str, Any]) -> FlchainError:
        """Return why a mined transaction failed: from its trace, else from running it again."""
        options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        before = hex(int(receipt["blockNumber"], 16) - 1)
        call = _describe(sent.transaction, sent.signer)
        trace, rerun = self._rpc.call_all(
            [
                ("debug_traceTransaction", (receipt["transactionHash"], options)),
                ("eth_call", (call, before)),
            ]
        )
        if isinstance(trace, dict) and isinstance(trace.get("output"), str):
            return decode_revert(bytes.fromhex(trace["output"].removeprefix("0x")))
        if isinstance(rerun, RpcError):
            return decode_refusal(rerun)
        return AdapterError(
            "the call failed, and would succeed now: send it again", is_retryable=True
        )

    def _bump(self, waiting: Sequence[_Sent]) -> None:
        """Send what is overdue again: for more if the cap allows it, else as it is."""
        now = self._clock.get_time()
        overdue = [sent for sent in waiting if now - sent.sent_at >= self._policy.bump_after]
        for sent in overdue:
            sent.sent_at = now
            fees = compute_bumped_fees(sent.fees, self._policy.fees)
            if fees is not None:
                sent.fees = fees
                sent.raw = sign_transaction(
                    sent.transaction,
                    sent.signer,
                    chain_id=self._chain_id,
                    nonce=sent.nonce,
                    gas=sent.gas,
                    fees=fees,
                )
                sent.hashes.append(f"0x{keccak(sent.raw).hex()}")
        # A refusal is harmless here: an earlier version is known, or mined already.
        self._rpc.call_all([_get_raw_request(sent) for sent in overdue])


def sign_transaction(
    transaction: Transaction, signer: Signer, *, chain_id: int, nonce: int, gas: int, fees: Fees
) -> bytes:
    """Return a signed transaction of type 2 (EIP-1559), ready for `eth_sendRawTransaction`."""
    to = bytes.fromhex(transaction.to.removeprefix("0x")) if transaction.to else b""
    offer = (fees.priority_fee, fees.max_fee, gas)
    unsigned = [chain_id, nonce, *offer, to, 0, transaction.data, []]
    signature = signer.sign_digest(keccak(_TYPE_2 + rlp.encode(unsigned)))
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
    signed: bytes = rlp.encode([*unsigned, signature[64] - _V_OFFSET, r, s])
    return _TYPE_2 + signed


def _describe(transaction: Transaction, signer: Signer) -> dict[str, str]:
    """Return the transaction as `eth_call` and `eth_estimateGas` take it."""
    call = {"from": signer.address, "data": f"0x{transaction.data.hex()}"}
    return call | ({"to": transaction.to} if transaction.to else {})


def _get_raw_request(sent: _Sent) -> Request:
    return ("eth_sendRawTransaction", (f"0x{sent.raw.hex()}",))


def _get_waves(addresses: Sequence[Address]) -> Iterator[list[int]]:
    """Yield indices in groups that name each address at most once, keeping each one's order."""
    waves: list[list[int]] = []
    seen: dict[Address, int] = {}
    for index, address in enumerate(addresses):
        depth = seen.get(address, 0)
        seen[address] = depth + 1
        if depth == len(waves):
            waves.append([])
        waves[depth].append(index)
    yield from waves


def _is_about(refusal: RpcError, texts: Sequence[str]) -> bool:
    message = refusal.message.lower()
    return any(text in message for text in texts)


def _get_overdue(sent: _Sent, timeout: float) -> FlchainError:
    return AdapterError(
        f"transaction {sent.hashes[-1]} of {sent.signer.address} was not mined in {timeout:g} s; "
        "it may be later: look before sending it again",
        is_retryable=True,
    )


def _get_lost() -> FlchainError:
    return AdapterError(
        "the node never answered about a transaction: look for it", is_retryable=True
    )

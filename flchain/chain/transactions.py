"""Sending transactions: nonces, prices, gas limits, and many at a time.

An account must not send from two processes at a time, since each counts its nonce; different
accounts may. Threads may share one sender.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from flchain.chain.failures import decode_refusal
from flchain.chain.fees import Fees, compute_fees, compute_gas_limit
from flchain.chain.nonces import Nonces
from flchain.chain.raw_transactions import SignedTransaction, Transaction, sign_transaction
from flchain.chain.receipts import Clock, ReceiptWaiter, SendPolicy, Sent, get_raw_request
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.crypto.signing import Signer
from flchain.protocol.errors import AdapterError, ConfigError, FlchainError
from flchain.protocol.types import Address

__all__ = ["Clock", "SendPolicy", "Transaction", "TransactionSender"]

_ATTEMPTS = 3
_RETRY_PAUSE = 0.2
_ALREADY_KNOWN = ("already known", "already imported", "known transaction")
_STALE = ("nonce too low", "nonce too high", "underpriced", "block base fee", "fee too low")

Outgoing = tuple[int, Transaction, Signer]
"""A transaction with its place in the answers."""


class TransactionSender:
    """Sends transactions of any number of accounts to one chain."""

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        policy: SendPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Send nothing yet; an account's nonce is read when it first sends."""
        self._rpc = rpc
        self._chain_id = chain_id
        self._policy = policy or SendPolicy()
        self._clock = clock or Clock()
        self._nonces = Nonces()
        self._waiter = ReceiptWaiter(rpc, self._policy, self._clock)

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
        outcomes: dict[int, Sent | FlchainError] = {}
        for wave in _get_waves(transactions):
            outcomes.update(self._send_wave(wave))
        sent = [item for item in outcomes.values() if isinstance(item, Sent)]
        self._waiter.wait(sent)
        self._forget_lost(sent)
        return [_get_answer(outcomes[index]) for index in range(len(transactions))]

    def _forget_lost(self, sent: Sequence[Sent]) -> None:
        """Ask for the nonce anew after a transaction that may have been dropped, by a fork too."""
        for item in sent:
            if isinstance(item.answer, AdapterError):
                address = item.signed.signer.address
                with self._nonces.hold([address]):
                    self._nonces.set(address, None)

    def _send_wave(self, wave: Sequence[Outgoing]) -> dict[int, Sent | FlchainError]:
        """Send at most one transaction of each account, all in two round trips."""
        try:
            with self._nonces.hold([signer.address for *_, signer in wave]):
                return self._prepare_and_send(wave)
        except AdapterError as error:
            return {index: error for index, *_ in wave}

    def _prepare_and_send(self, wave: Sequence[Outgoing]) -> dict[int, Sent | FlchainError]:
        outcomes: dict[int, Sent | FlchainError] = {}
        ready: dict[int, SignedTransaction] = {}
        for (index, *_), prepared in zip(wave, self._prepare(wave), strict=True):
            if isinstance(prepared, FlchainError):
                outcomes[index] = prepared
            else:
                ready[index] = prepared
        results = self._broadcast(list(ready.values()))
        for (index, signed), result in zip(ready.items(), results, strict=True):
            outcomes[index] = self._process_sending(signed, result)
        return outcomes

    def _prepare(self, wave: Sequence[Outgoing]) -> list[SignedTransaction | FlchainError]:
        """Return each transaction signed, or why it cannot be sent."""
        estimated = [item for item in wave if item[1].gas is None]
        unknown = [who.address for *_, who in wave if self._nonces.get(who.address) is None]
        requests: list[Request] = [("eth_getBlockByNumber", ("pending", False))]
        requests += [("eth_getTransactionCount", (address, "pending")) for address in unknown]
        requests += [
            ("eth_estimateGas", (tx.describe(who.address), "pending")) for _, tx, who in estimated
        ]
        block, *results = self._rpc.call_all(requests)
        for address, count in zip(unknown, results, strict=False):
            self._nonces.set(address, int(_require(count), 16))
        estimates = dict(
            zip((index for index, *_ in estimated), results[len(unknown) :], strict=True)
        )
        fees = self._compute_fees(_require(block))
        return [self._sign(item, estimates.get(item[0]), fees) for item in wave]

    def _sign(self, item: Outgoing, estimate: Any, fees: Fees) -> SignedTransaction | FlchainError:
        _, transaction, signer = item
        if isinstance(estimate, RpcError):
            return self._explain(estimate, signer.address)
        gas = transaction.gas
        if gas is None:
            gas = compute_gas_limit(int(estimate, 16), self._policy.fees)
        nonce = self._nonces.get(signer.address) or 0
        return sign_transaction(
            transaction, signer, chain_id=self._chain_id, nonce=nonce, gas=gas, fees=fees
        )

    def _broadcast(self, signed: Sequence[SignedTransaction]) -> list[Any]:
        """Hand transactions to the node; again, if it is not known whether it took them.

        The bytes stay the same, so that no transaction can be made twice.
        """
        requests = [get_raw_request(item) for item in signed]
        for attempt in range(_ATTEMPTS - 1):
            try:
                return self._rpc.call_all(requests)
            except AdapterError as error:
                if not error.is_retryable:
                    raise
            self._clock.sleep(_RETRY_PAUSE * 2**attempt)
        return self._rpc.call_all(requests)

    def _process_sending(self, signed: SignedTransaction, result: Any) -> Sent | FlchainError:
        """Count the nonce if the node took the transaction; else say why it did not."""
        address = signed.signer.address
        for _ in range(_ATTEMPTS):
            is_taken = not isinstance(result, RpcError) or _is_about(result, _ALREADY_KNOWN)
            if is_taken or (_is_about(result, _STALE) and self._is_known(signed)):
                self._nonces.set(address, signed.nonce + 1)
                return Sent(signed, [signed.hash], self._clock.get_time())
            if not _is_about(result, _STALE):
                break
            signed = self._renew(signed)
            (result,) = self._broadcast([signed])
        self._nonces.set(address, None)
        return self._explain(result, address, signed.price)

    def _is_known(self, signed: SignedTransaction) -> bool:
        """Return whether the node has it after all: an earlier answer may have been lost."""
        return self._rpc.call("eth_getTransactionByHash", signed.hash) is not None

    def _renew(self, signed: SignedTransaction) -> SignedTransaction:
        """Sign again with the account's true nonce and the current fees."""
        count = self._rpc.call("eth_getTransactionCount", signed.signer.address, "pending")
        block = self._rpc.call("eth_getBlockByNumber", "pending", False)
        return signed.renew(nonce=int(count, 16), fees=self._compute_fees(block))

    def _compute_fees(self, block: dict[str, Any]) -> Fees:
        return compute_fees(int(block.get("baseFeePerGas", "0x0"), 16), self._policy.fees)

    def _explain(self, refusal: RpcError, account: Address, price: int = 0) -> FlchainError:
        if "insufficient funds" not in refusal.message.lower():
            return decode_refusal(refusal)
        balance = int(self._rpc.call("eth_getBalance", account, "pending"), 16)
        missing = f"{price - balance} wei more" if price > balance else "more"
        return ConfigError(
            f"account {account} has {balance} wei and needs {missing} to pay for gas: fund it"
        )


def _get_waves(transactions: Sequence[tuple[Transaction, Signer]]) -> Iterator[list[Outgoing]]:
    """Yield groups that name each account at most once, keeping each one's order."""
    waves: list[list[Outgoing]] = []
    seen: dict[Address, int] = {}
    for index, (transaction, signer) in enumerate(transactions):
        depth = seen.get(signer.address, 0)
        seen[signer.address] = depth + 1
        if depth == len(waves):
            waves.append([])
        waves[depth].append((index, transaction, signer))
    yield from waves


def _get_answer(outcome: Sent | FlchainError) -> dict[str, Any] | FlchainError:
    answer = outcome.answer if isinstance(outcome, Sent) else outcome
    if answer is None:
        return AdapterError("the node gave no answer about a transaction", is_retryable=True)
    return answer


def _is_about(refusal: Any, texts: Sequence[str]) -> bool:
    message = refusal.message.lower()
    return any(text in message for text in texts)


def _require(result: Any) -> Any:
    """Return a result. Raises it if it is an error."""
    if isinstance(result, RpcError):
        raise result
    return result

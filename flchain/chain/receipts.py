"""Waiting for transactions: polling, confirmations, better offers, and why one failed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flchain.chain.failures import decode_refusal, decode_revert
from flchain.chain.fees import FeePolicy, compute_bumped_fees
from flchain.chain.raw_transactions import SignedTransaction
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.protocol.errors import AdapterError, FlchainError

_BACKOFF = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """Patience, in seconds of wall time, and prices.

    A transaction that is not mined after `bump_after` is sent again for more; after `timeout` it
    is given up, and may still be mined. `confirmations` counts its own block.
    """

    fees: FeePolicy = field(default_factory=FeePolicy)
    confirmations: int = 1
    first_poll: float = 0.0005
    longest_poll: float = 1.0
    bump_after: float = 30.0
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the sender sees it; tests hand in their own."""

    get_time: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Sent:
    """A transaction on its way; all `hashes` are offers for the same nonce, newest last."""

    signed: SignedTransaction
    hashes: list[str]
    sent_at: float
    answer: dict[str, Any] | FlchainError | None = None


class ReceiptWaiter:
    """Waits until transactions are mined and confirmed."""

    def __init__(self, rpc: Rpc, policy: SendPolicy, clock: Clock) -> None:
        """Wait for nothing yet."""
        self._rpc = rpc
        self._policy = policy
        self._clock = clock

    def wait(self, sent: Sequence[Sent]) -> None:
        """Fill in the answer of each: the receipt as the node gives it, or an error.

        A node that does not answer for a while is asked again.
        """
        deadline = self._clock.get_time() + self._policy.timeout
        pause = self._policy.first_poll
        while waiting := [item for item in sent if item.answer is None]:
            # First, too: even a node that mines at once has not done so yet.
            self._clock.sleep(pause)
            pause = min(pause * _BACKOFF, self._policy.longest_poll)
            failure = self._try_poll(waiting)
            if self._clock.get_time() >= deadline:
                self._give_up(waiting, failure)

    def _try_poll(self, waiting: Sequence[Sent]) -> AdapterError | None:
        try:
            self._poll(waiting)
            self._bump([item for item in waiting if item.answer is None])
        except AdapterError as error:
            if not error.is_retryable:
                raise
            return error
        return None

    def _poll(self, waiting: Sequence[Sent]) -> None:
        requests: list[Request] = [("eth_blockNumber", ())]
        requests += [
            ("eth_getTransactionReceipt", (name,)) for item in waiting for name in item.hashes
        ]
        head, *results = self._rpc.call_all(requests)
        if isinstance(head, RpcError):
            raise head
        found = iter(results)
        for item in waiting:
            for receipt in [next(found) for _ in item.hashes]:
                if isinstance(receipt, dict) and self._is_confirmed(receipt, int(head, 16)):
                    item.answer = self._judge(item.signed, receipt)

    def _is_confirmed(self, receipt: dict[str, Any], head: int) -> bool:
        return head >= int(receipt["blockNumber"], 16) + self._policy.confirmations - 1

    def _judge(
        self, signed: SignedTransaction, receipt: dict[str, Any]
    ) -> dict[str, Any] | FlchainError:
        if int(receipt["status"], 16) == 1:
            return receipt
        if int(receipt["gasUsed"], 16) >= signed.gas:
            return AdapterError(
                f"the transaction ran out of its {signed.gas} gas: send it again", is_retryable=True
            )
        return self._replay(signed, receipt)

    def _replay(self, signed: SignedTransaction, receipt: dict[str, Any]) -> FlchainError:
        """Return why a mined transaction failed: from its trace, else from running it again.

        The second is run on the block before, which is not exactly what the transaction saw.
        """
        options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        before = hex(int(receipt["blockNumber"], 16) - 1)
        call = signed.transaction.describe(signed.signer.address)
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
        text = "the call failed when it was mined, and would not now: send it again"
        return AdapterError(text, is_retryable=True)

    def _bump(self, waiting: Sequence[Sent]) -> None:
        """Send what is overdue again: for more if the cap allows it, else as it is."""
        now = self._clock.get_time()
        overdue = [item for item in waiting if now - item.sent_at >= self._policy.bump_after]
        for item in overdue:
            item.sent_at = now
            fees = compute_bumped_fees(item.signed.fees, self._policy.fees)
            if fees is not None:
                item.signed = item.signed.renew(nonce=item.signed.nonce, fees=fees)
                item.hashes.append(item.signed.hash)
        # A refusal is harmless here: an earlier offer is known, or was mined meanwhile.
        self._rpc.call_all([get_raw_request(item.signed) for item in overdue])

    def _give_up(self, waiting: Sequence[Sent], failure: AdapterError | None) -> None:
        reason = f" ({failure})" if failure else ""
        for item in waiting:
            item.answer = item.answer or AdapterError(
                f"transaction {item.hashes[-1]} of {item.signed.signer.address} was not mined in "
                f"{self._policy.timeout:g} s{reason}: it may be later, look before sending again",
                is_retryable=True,
            )


def get_raw_request(signed: SignedTransaction) -> Request:
    """Return the request that hands a transaction to the node."""
    return ("eth_sendRawTransaction", (f"0x{signed.raw.hex()}",))

"""Reading the contracts' views at the pending block, one at a time or many in one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flchain.chain.abi import decode_values
from flchain.chain.base import Addresses
from flchain.chain.contracts import encode_arguments, get_address, get_function
from flchain.chain.failures import decode_refusal
from flchain.chain.rpc import Request, Rpc, RpcError
from flchain.protocol.types import Address


@dataclass(frozen=True, slots=True)
class View:
    """One view with its arguments; `at` is the contract's address if it is not the deployed one."""

    contract: str
    name: str
    arguments: tuple[Any, ...] = ()
    at: Address | None = None


class ViewReader:
    """Reads the views of one deployment."""

    def __init__(self, rpc: Rpc, addresses: Addresses) -> None:
        """Read nothing yet."""
        self._rpc = rpc
        self._addresses = addresses

    def read(self, view: View) -> tuple[Any, ...]:
        """Return the values of a view. Raises its Revert."""
        method, params = self._build_request(view)
        try:
            answer = self._rpc.call(method, *params)
        except RpcError as error:
            raise decode_refusal(error) from None
        return _decode(view, answer)

    def read_all(
        self, views: Sequence[View], others: Sequence[Request] = ()
    ) -> tuple[list[tuple[Any, ...]], list[Any]]:
        """Return the values of each view, and the answers to `others`, from one round trip.

        Raises a view's Revert; an answer to one of `others` may be an RpcError.
        """
        answers = self._rpc.call_all([*map(self._build_request, views), *others])
        decoded = [_decode(*item) for item in zip(views, answers, strict=False)]
        return decoded, answers[len(views) :]

    def _build_request(self, view: View) -> Request:
        data = encode_arguments(get_function(view.contract, view.name), view.arguments)
        to = view.at or get_address(self._addresses, view.contract)
        return ("eth_call", ({"to": to, "data": f"0x{data.hex()}"}, "pending"))


def _decode(view: View, answer: Any) -> tuple[Any, ...]:
    if isinstance(answer, RpcError):
        raise decode_refusal(answer) from None
    outputs = get_function(view.contract, view.name).outputs
    return decode_values(outputs, bytes.fromhex(answer.removeprefix("0x")))

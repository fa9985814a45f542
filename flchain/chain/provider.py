"""A web3 provider over the package's own connection, for people at a console."""

from typing import Any

from web3.providers import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from flchain.chain.rpc import HttpRpc


class RpcProvider(JSONBaseProvider):
    """Lets `Web3(RpcProvider(HttpRpc(url)))` send through an open connection."""

    def __init__(self, rpc: HttpRpc) -> None:
        """Share `rpc` with whoever else uses it."""
        super().__init__()
        self.endpoint_uri = rpc.url
        self._rpc = rpc

    def __str__(self) -> str:
        return f"RPC connection to {self._rpc}"

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Return the response object. Raises AdapterError if none comes."""
        answer: RPCResponse = self._rpc.post(self.encode_rpc_request(method, params))
        return answer

    def make_batch_request(
        self, requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        """Return the response objects in the order of the requests."""
        answers: list[RPCResponse] = self._rpc.post(self.encode_batch_rpc_request(requests))
        if not isinstance(answers, list):
            return answers  # one error object for the whole batch
        return sorted(answers, key=lambda answer: int(answer.get("id") or 0))

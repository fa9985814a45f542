"""JSON-RPC to an Ethereum node.

Over urllib3 alone: requests, which web3 uses, reads the proxy environment anew for every request
and takes four times as long (1.9 against 0.4 ms measured on loopback), and importing web3 takes
a second.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Protocol

import urllib3

from flchain.chain.base import BlockRef
from flchain.protocol.errors import AdapterError, ConfigError
from flchain.protocol.types import Timestamp

Request = tuple[str, Sequence[Any]]
"""A method and its parameters."""

DEFAULT_TIMEOUT = 30.0
_RETRYABLE_STATUS = (429, 500, 502, 503, 504)
_LIMIT_EXCEEDED = -32005


class RpcError(AdapterError):
    """The node answered with an error; `data` is its detail, often revert data in hex."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        """Take the fields of the JSON-RPC error object."""
        super().__init__(
            f"the node refuses the request: {message} (code {code})",
            is_retryable=code == _LIMIT_EXCEEDED,
        )
        self.code = code
        self.message = message
        self.data = data


class Rpc(Protocol):
    """A node that answers JSON-RPC requests.

    Both methods raise AdapterError when no answer comes; `is_retryable` says if one may later.
    """

    def call(self, method: str, *params: Any) -> Any:
        """Return one result. Raises RpcError if the node answers with an error."""

    def call_all(self, requests: Sequence[Request]) -> list[Any]:
        """Return one result or RpcError for each request, in order, from one round trip."""


class HttpRpc:
    """An `Rpc` over HTTP that keeps connections open; threads may share one.

    A connection that could not be made is tried again three times. A request that was sent is
    not: it may have been a transaction.
    """

    def __init__(self, url: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Connect lazily to `url`; `timeout` is in seconds, for each request.

        Raises ConfigError if `url` is none of HTTP.
        """
        _verify_url(url)
        self.url = url
        retries = urllib3.Retry(total=3, read=0, redirect=0, other=0, backoff_factor=0.05)
        self._pool = urllib3.PoolManager(
            maxsize=32, timeout=timeout, retries=retries, headers=_get_headers(url)
        )
        self._ids = itertools.count(1)

    @property
    def provider(self) -> Any:
        """This connection as a web3 provider."""
        from flchain.chain.provider import RpcProvider  # noqa: PLC0415 - web3 takes a second

        return RpcProvider(self)

    def __str__(self) -> str:
        return f"the node at {get_origin(self.url)}"

    def call(self, method: str, *params: Any) -> Any:
        """Return one result. Raises RpcError if the node answers with an error."""
        result = _get_result(self.post(json.dumps(self._build(method, params)).encode()))
        if isinstance(result, RpcError):
            raise result
        return result

    def call_all(self, requests: Sequence[Request]) -> list[Any]:
        """Return one result or RpcError for each request, in order, from one round trip."""
        if not requests:
            return []
        documents = [self._build(method, params) for method, params in requests]
        answers = self.post(json.dumps(documents).encode())
        if not isinstance(answers, list):
            refusal = _get_result(answers)
            raise refusal if isinstance(refusal, RpcError) else self._get_nonsense()
        try:
            by_id = {answer["id"]: answer for answer in answers}
            return [_get_result(by_id[document["id"]]) for document in documents]
        except (KeyError, TypeError) as error:
            raise self._get_nonsense() from error

    def post(self, body: bytes) -> Any:
        """Return the node's answer to a JSON document. Raises AdapterError if none comes."""
        try:
            response = self._pool.request("POST", self.url, body=body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            text = f"no answer from {self}: start it, or correct its address"
            raise AdapterError(text, is_retryable=True) from error
        if response.status in _RETRYABLE_STATUS:
            text = f"{self} is overloaded or failing: HTTP {response.status}"
            raise AdapterError(text, is_retryable=True)
        try:
            return json.loads(response.data)
        except ValueError as error:
            raise self._get_nonsense() from error

    def _build(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    def _get_nonsense(self) -> AdapterError:
        return AdapterError(f"{self} does not speak Ethereum's JSON-RPC: correct its address")


def decode_block(block: Any) -> BlockRef:
    """Return a block's reference from a node's answer; a pending block has an empty hash.

    Raises AdapterError if there is no such block, or what came instead of it.
    """
    if isinstance(block, AdapterError):
        raise block
    try:
        return BlockRef(
            int(block["number"], 16),
            bytes.fromhex((block["hash"] or "").removeprefix("0x")),
            Timestamp(int(block["timestamp"], 16)),
        )
    except (KeyError, TypeError, ValueError) as error:
        text = "the node does not have the block: wait until it has caught up, or use another"
        raise AdapterError(text, is_retryable=True) from error


def get_receipt_block(receipt: dict[str, Any]) -> BlockRef:
    """Return the block of a receipt that carries its time, as Anvil's do."""
    time = receipt["blockTimestamp"]
    return BlockRef(
        int(receipt["blockNumber"], 16),
        bytes.fromhex(receipt["blockHash"].removeprefix("0x")),
        Timestamp(int(time, 16) if isinstance(time, str) else int(time)),
    )


def get_origin(url: str | None) -> str:
    """Return scheme, host and port alone: paths and user names may be secrets."""
    parsed = urllib3.util.parse_url(url or "")
    return urllib3.util.Url(parsed.scheme, None, parsed.host, parsed.port).url


def _verify_url(url: str) -> None:
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parsed = urllib3.util.Url()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # The address itself is not repeated: it may hold a secret.
        raise ConfigError("a node's address starts with http:// or https://: correct --rpc")


def _get_headers(url: str) -> dict[str, str]:
    auth = urllib3.util.parse_url(url).auth
    secret = urllib3.make_headers(basic_auth=auth) if auth else {}
    return {"Content-Type": "application/json", "Accept": "application/json"} | secret


def _get_result(answer: Any) -> Any:
    """Return the result, or an RpcError as a value."""
    if isinstance(answer, dict) and "error" in answer:
        error = answer["error"]
        if isinstance(error, dict):
            message = str(error.get("message", "no reason given"))
            return RpcError(int(error.get("code", 0)), message, error.get("data"))
        return RpcError(0, str(error))
    if isinstance(answer, dict) and "result" in answer:
        return answer["result"]
    return RpcError(0, "neither result nor error")

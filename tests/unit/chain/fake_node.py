"""An Ethereum node in memory: accounts, a pool, blocks, logs, and ways to misbehave."""

from dataclasses import dataclass, field

import rlp
from eth_utils.crypto import keccak

from flchain.chain.rpc import RpcError
from flchain.crypto.signing import recover_address
from flchain.protocol.errors import AdapterError

INTRINSIC_GAS = 21_000
RICH = 10**21


@dataclass
class Pooled:
    sender: str
    nonce: int
    max_fee: int
    gas: int
    data: bytes
    hash: str
    raw: bytes


@dataclass
class FakeNode:
    """Answers JSON-RPC; every attribute may be changed by a test.

    `reverts` maps call data to revert data, seen by estimates; `fails` is the same, seen only
    once mined. `outages` names methods whose next answer is lost after the node acted on it.
    """

    chain_id: int = 31337
    base_fee: int = 10
    is_automatic: bool = True
    has_traces: bool = True
    largest_range: int = 10**9
    finality: int = 2
    reverts: dict = field(default_factory=dict)
    fails: dict = field(default_factory=dict)
    exhausts: set = field(default_factory=set)
    outages: list = field(default_factory=list)
    refusals: list = field(default_factory=list)
    balances: dict = field(default_factory=dict)
    nonces: dict = field(default_factory=dict)
    codes: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    pool: list = field(default_factory=list)
    mined: dict = field(default_factory=dict)
    blocks: list = field(default_factory=lambda: [("0x" + "00" * 32, [])])
    seen: list = field(default_factory=list)
    fork: int = 0

    def call(self, method, *params):
        (result,) = self.call_all([(method, params)])
        if isinstance(result, RpcError):
            raise result
        return result

    def call_all(self, requests):
        results = [self.answer(method, params) for method, params in requests]
        for method, _ in requests:
            if method in self.outages:
                self.outages.remove(method)
                raise AdapterError("no answer from the fake node", is_retryable=True)
        return results

    def answer(self, method, params):
        self.seen.append(method)
        try:
            return getattr(self, method)(*params)
        except RpcError as error:
            return error

    def mine(self, logs=()):
        """Make a block of everything in the pool that is next in line."""
        number = len(self.blocks)
        block_hash = "0x" + keccak(text=f"{self.fork}/{number}").hex()
        for item in sorted(self.pool, key=lambda item: (item.sender, item.nonce)):
            if item.nonce == self.nonces.get(item.sender, 0) and item.max_fee >= self.base_fee:
                self.nonces[item.sender] = item.nonce + 1
                self.mined[item.hash] = (item, number)
        self.pool = [item for item in self.pool if item.nonce >= self.nonces.get(item.sender, 0)]
        self.blocks.append((block_hash, list(logs)))

    def reorganise(self, depth, logs=()):
        """Replace the newest blocks; `logs` go into the first new one."""
        self.fork += 1
        del self.blocks[-depth:]
        self.mine(logs)
        for _ in range(depth - 1):
            self.mine()

    def get_block(self, number):
        if not 0 <= number < len(self.blocks):
            return None
        return {
            "number": hex(number),
            "hash": self.blocks[number][0],
            "timestamp": hex(1_000 + number),
            "baseFeePerGas": hex(self.base_fee),
        }

    def eth_chainId(self):  # noqa: N802 - named as in JSON-RPC, like the rest
        return hex(self.chain_id)

    def eth_blockNumber(self):  # noqa: N802
        return hex(len(self.blocks) - 1)

    def eth_getBlockByNumber(self, tag, _full):  # noqa: N802
        head = len(self.blocks) - 1
        if tag == "pending":
            return {**self.get_block(head), "number": hex(head + 1), "hash": None}
        named = {"latest": head, "finalized": max(head - self.finality, 0)}
        return self.get_block(named[tag] if tag in named else int(tag, 16))

    def eth_getTransactionCount(self, address, _tag):  # noqa: N802
        pooled = [item.nonce + 1 for item in self.pool if item.sender == address]
        return hex(max([self.nonces.get(address, 0), *pooled]))

    def eth_getBalance(self, address, _tag):  # noqa: N802
        return hex(self.balances.get(address, RICH))

    def eth_getCode(self, address, _tag):  # noqa: N802
        return self.codes.get(address, "0x")

    def eth_estimateGas(self, call, _tag):  # noqa: N802
        self.eth_call(call, _tag)
        return hex(INTRINSIC_GAS + 100)

    def eth_call(self, call, tag):
        table = self.reverts if tag == "pending" else {**self.reverts, **self.fails}
        data = bytes.fromhex(call["data"][2:])
        if data in table:
            raise RpcError(3, "execution reverted", "0x" + table[data].hex())
        return self.answers.get(data, "0x")

    def eth_sendRawTransaction(self, raw):  # noqa: N802
        if self.refusals:
            raise RpcError(-32003, self.refusals.pop(0))
        item = decode_pooled(bytes.fromhex(raw[2:]))
        if item.nonce < self.nonces.get(item.sender, 0):
            raise RpcError(-32003, "nonce too low")
        if self.balances.get(item.sender, RICH) < item.gas * item.max_fee:
            raise RpcError(-32003, "Insufficient funds for gas * price + value")
        for other in self.pool:
            if (other.sender, other.nonce) == (item.sender, item.nonce):
                if other.raw == item.raw:
                    raise RpcError(-32003, "transaction already imported")
                if item.max_fee * 10 < other.max_fee * 11:
                    raise RpcError(-32003, "replacement transaction underpriced")
                self.pool.remove(other)
        self.pool.append(item)
        if self.is_automatic:
            self.mine()
        return item.hash

    def eth_getTransactionByHash(self, name):  # noqa: N802
        known = name in self.mined or any(item.hash == name for item in self.pool)
        return {"hash": name} if known else None

    def eth_getTransactionReceipt(self, name):  # noqa: N802
        if name not in self.mined:
            return None
        item, number = self.mined[name]
        is_failed = item.data in self.fails or item.data in self.exhausts
        return {
            "transactionHash": name,
            "blockNumber": hex(number),
            "blockHash": self.blocks[number][0],
            "status": "0x0" if is_failed else "0x1",
            "gasUsed": hex(item.gas if item.data in self.exhausts else INTRINSIC_GAS),
            "effectiveGasPrice": hex(self.base_fee),
            "contractAddress": None,
            "logs": [],
        }

    def debug_traceTransaction(self, name, _options):  # noqa: N802
        if not self.has_traces:
            raise RpcError(-32601, "the method debug_traceTransaction does not exist")
        return {"output": "0x" + self.fails[self.mined[name][0].data].hex()}

    def eth_getLogs(self, wanted):  # noqa: N802
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first >= self.largest_range:
            raise RpcError(-32005, "query returned more than 10000 results")
        return [
            log | {"blockNumber": hex(number), "blockHash": self.blocks[number][0]}
            for number in range(first, min(last + 1, len(self.blocks)))
            for log in self.blocks[number][1]
            if log["address"] in wanted["address"] and is_match(log["topics"], wanted["topics"])
        ]


def is_match(topics, wanted):
    """Return whether a log passes a filter, as the JSON-RPC specification has it."""
    pairs = zip(topics, wanted, strict=False)
    return len(topics) >= len(wanted) and all(
        topic in (want if isinstance(want, list) else [want]) for topic, want in pairs
    )


def decode_pooled(raw):
    """Return a signed type-2 transaction with its sender, from its bytes alone."""
    values = rlp.decode(raw[1:])
    numbers = [int.from_bytes(value, "big") for value in values[:5]]
    signature = b"".join(value.rjust(32, b"\0") for value in values[10:12])
    parity = bytes([int.from_bytes(values[9], "big") + 27])
    digest = keccak(b"\x02" + rlp.encode(values[:9]))
    return Pooled(
        sender=recover_address(digest, signature + parity),
        nonce=numbers[1],
        max_fee=numbers[3],
        gas=numbers[4],
        data=values[7],
        hash="0x" + keccak(raw).hex(),
        raw=raw,
    )

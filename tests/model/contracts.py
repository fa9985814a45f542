"""The deployed contracts, reached in the shortest way: raw JSON-RPC to Anvil.

Values are compared flat: tuples of numbers, bytes and lower-case addresses, decoded by the ABI
alone and not by the package's own adapter.
"""

import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Self

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from rlp import encode as encode_rlp

from flchain.chain.base import Addresses
from flchain.chain.bytecode import CONTRACTS, link_bytecode, load_artifact
from flchain.chain.contracts import encode_call, get_abi_type, get_address
from flchain.chain.spec.state import Config
from flchain.protocol.calls import Call
from flchain.protocol.types import ZERO_ADDRESS, Address, Digest
from tests.model.actors import (
    ADDRESSES,
    AGENT_STAKE,
    EPOCH,
    PROPOSER_STAKE,
    SUPPLY,
    UNBONDING,
    VALIDATOR_STAKE,
)

CHAIN_ID = 31337
GAS = hex(12_000_000)
PANIC = {"type": "error", "name": "Panic", "inputs": [{"type": "uint256", "name": "code"}]}
HEAD = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
Answer = tuple[str, Any]
"""("error", (name, arguments)) or ("events", [(contract, name, arguments)]) or ("value", …)."""
View = tuple[str, str, tuple[Any, ...]]
"""Contract, function, arguments."""


@cache
def _get_field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def flatten(value: Any) -> Any:
    """Return a specification's value as the ABI decoder would."""
    if names := _get_field_names(type(value)):
        return tuple(flatten(getattr(value, name)) for name in names)
    if isinstance(value, list | tuple):
        return tuple(flatten(item) for item in value)
    if isinstance(value, str):
        return value.lower()
    return int(value) if isinstance(value, int) else value


class Codec:
    """What the ABIs of all contracts say, by selector, topic and name."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str], tuple[bytes, list[str], list[str]]] = {}
        self.errors: dict[bytes, tuple[str, list[str]]] = {}
        self.events: dict[bytes, tuple[str, list[tuple[str, bool]]]] = {}
        # The same questions come again and again, and most answers are the same as before.
        self.encode_view = cache(self._encode_view)
        self._decode_outputs = cache(self._decode_values)
        self._add("", PANIC)
        for contract in CONTRACTS:
            for entry in load_artifact(contract).abi:
                self._add(contract, entry)

    def _add(self, contract: str, entry: dict[str, Any]) -> None:
        if entry["type"] not in {"function", "error", "event"}:
            return
        types = [get_abi_type(value) for value in entry["inputs"]]
        hashed = keccak(text=f"{entry['name']}({','.join(types)})")
        if entry["type"] == "function":
            outputs = [get_abi_type(value) for value in entry["outputs"]]
            self.functions[contract, entry["name"]] = (hashed[:4], types, outputs)
        elif entry["type"] == "error":
            self.errors[hashed[:4]] = (entry["name"], types)
        else:
            marked = [
                (kind, value["indexed"]) for kind, value in zip(types, entry["inputs"], strict=True)
            ]
            self.events[hashed] = (entry["name"], marked)

    def _encode_view(self, view: View) -> str:
        contract, function, arguments = view
        selector, inputs, _ = self.functions[contract, function]
        return "0x" + (selector + encode(inputs, arguments)).hex()

    def decode_view(self, view: View, data: str) -> Any:
        return self._decode_outputs(view[0], view[1], data)

    def _decode_values(self, contract: str, function: str, data: str) -> Any:
        outputs = self.functions[contract, function][2]
        values = flatten(decode(outputs, bytes.fromhex(data[2:])))
        return values[0] if len(values) == 1 else values

    def decode_error(self, data: str) -> tuple[str, Any]:
        raw = bytes.fromhex(data[2:])
        name, types = self.errors[raw[:4]]
        return name, flatten(decode(types, raw[4:]))

    def decode_log(self, log: dict[str, Any]) -> tuple[str, Any] | None:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        name, marked = self.events[topics[0]]
        if name in {"Transfer", "Approval"}:
            return None
        in_data = [kind for kind, indexed in marked if not indexed]
        plain = iter(decode(in_data, bytes.fromhex(log["data"][2:])))
        keyed = iter(topics[1:])
        return name, flatten(
            tuple(
                decode([kind], next(keyed))[0] if indexed else next(plain)
                for kind, indexed in marked
            )
        )


class Node:
    """One connection to Anvil; a context manager that closes it.

    HTTP without a client library, of which the test would spend a quarter of its time in.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def send(self, body: Any) -> Any:
        text = json.dumps(body).encode()
        self._socket.sendall(HEAD % len(text) + text)
        size = 0
        while (line := self._answers.readline()) not in {b"\r\n", b""}:
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        return json.loads(self._answers.read(size))

    def ask(self, method: str, *params: Any) -> dict[str, Any]:
        answer = self.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert isinstance(answer, dict)
        return answer

    def get(self, method: str, *params: Any) -> Any:
        answer = self.ask(method, *params)
        assert "result" in answer, (method, answer)
        return answer["result"]

    def ask_all(self, method: str, requests: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, params in enumerate(requests)
        ]
        return sorted(self.send(body), key=lambda answer: int(answer["id"])) if body else []

    def transact(self, sender: Address, to: Address | None, data: str, time: int) -> dict[str, Any]:
        """Mine one transaction in a block of its own at `time`; return its receipt."""
        self.get("evm_setNextBlockTimestamp", time)
        transaction = {"from": sender, "data": data, "gas": GAS} | ({"to": to} if to else {})
        receipt = self.get("eth_sendTransactionSync", transaction)
        assert isinstance(receipt, dict)
        return receipt


class Suite:
    """The contracts of one deployment."""

    def __init__(self, node: Node, codec: Codec, config: Config) -> None:
        self.node, self.codec, self.config = node, codec, config
        addresses = config.addresses
        self._names = {
            addresses.agent_registry.lower(): "AgentRegistry",
            addresses.round_manager.lower(): "RoundManager",
            addresses.model_registry.lower(): "ModelRegistry",
            addresses.reward_distributor.lower(): "RewardDistributor",
            addresses.seed_source.lower(): "ChainSeeds",
            addresses.masked_rounds.lower(): "MaskedRounds",
            addresses.token.lower(): "LocalToken",
        }

    def get_pending_number(self) -> int:
        """Return the number of the block that the next call goes into."""
        return int(self.node.get("eth_blockNumber"), 16) + 1

    def find_hash(self, number: int) -> Digest:
        """Return the hash of a block that was mined."""
        return Digest(
            bytes.fromhex(self.node.get("eth_getBlockByNumber", hex(number), False)["hash"][2:])
        )

    def mine(self, count: int, time: int) -> int:
        """Mine empty blocks at `time`; return the time of the last."""
        self.node.get("evm_setNextBlockTimestamp", time)
        self.node.get("anvil_mine", hex(count), "0x0")
        newest = self.node.get("eth_getBlockByNumber", "latest", False)
        return int(newest["timestamp"], 16)

    def apply(self, sender: Address, call: Call, time: int, block: int) -> Answer:
        """Try a call in the pending block at `time`; send it if the contracts accept it."""
        to, data = get_address(self.config.addresses, call.contract), "0x" + encode_call(call).hex()
        tried = self.node.ask(
            *("eth_call", {"from": sender, "to": to, "data": data}),
            *("latest", {}, {"time": hex(time), "number": hex(block)}),
        )
        if "error" in tried:
            return "error", self.codec.decode_error(tried["error"]["data"])
        receipt = self.node.transact(sender, to, data, time)
        assert (receipt["status"], receipt["blockNumber"]) == ("0x1", hex(block)), (call, receipt)
        decoded = [
            (self._names[log["address"]], self.codec.decode_log(log)) for log in receipt["logs"]
        ]
        return "events", [(name, *event) for name, event in decoded if event]

    def read_all(self, views: Sequence[View], time: int, block: int) -> list[Answer]:
        """Return the answers of view functions in the pending block at `time`."""
        requests: list[Sequence[Any]] = [
            (
                {
                    "to": get_address(self.config.addresses, view[0]),
                    "data": self.codec.encode_view(view),
                },
                "latest",
                {},
                {"time": hex(time), "number": hex(block)},
            )
            for view in views
        ]
        answers = self.node.ask_all("eth_call", requests)
        return [
            ("value", self.codec.decode_view(view, answer["result"]))
            if "result" in answer
            else ("error", self.codec.decode_error(answer["error"]["data"]))
            for view, answer in zip(views, answers, strict=True)
        ]


def deploy(node: Node, *, has_token: bool, time: int) -> Config:
    """Deploy the contracts from the treasury's account."""
    deployer = ADDRESSES["treasury"]

    def create(name: str, types: Sequence[str] = (), values: Sequence[Any] = ()) -> Address:
        code = link_bytecode(load_artifact(name), libraries) + encode(types, values)
        receipt = node.transact(deployer, None, "0x" + code.hex(), time)
        assert receipt["status"] == "0x1", name
        return Address(to_checksum_address(receipt["contractAddress"]))

    libraries: dict[str, Address] = {}
    for library in load_artifact("RoundManager").libraries:
        libraries[library] = create(library)
    token = create("LocalToken", ["uint256"], [SUPPLY]) if has_token else ZERO_ADDRESS
    nonce = int(node.get("eth_getTransactionCount", deployer, "latest"), 16)
    masked = compute_create_address(deployer, nonce + 4)
    manager = compute_create_address(deployer, nonce + 5)
    stakes = (AGENT_STAKE, VALIDATOR_STAKE, PROPOSER_STAKE)
    registry = create(
        "AgentRegistry",
        ["address"] * 4 + ["uint32", "uint40", "uint96[3]"],
        [token, manager, masked, ADDRESSES["governance"], EPOCH, UNBONDING, stakes],
    )
    models = create("ModelRegistry", ["address"], [manager])
    rewards = create("RewardDistributor", ["address", "address"], [token, manager])
    seeds = create("ChainSeeds", ["address", "uint32"], [manager, EPOCH])
    assert create("MaskedRounds", ["address"] * 2, [manager, registry]) == masked
    parts = [registry, models, rewards, seeds, masked]
    assert create("RoundManager", ["address"] * 5, parts) == manager
    return Config(
        chain_id=CHAIN_ID,
        addresses=Addresses(token, registry, manager, models, rewards, seeds, masked),
        governance=ADDRESSES["governance"],
        epoch_length=EPOCH,
        unbonding_period=UNBONDING,
        agent_stake=AGENT_STAKE,
        validator_stake=VALIDATOR_STAKE,
        proposer_stake=PROPOSER_STAKE,
    )


def compute_create_address(deployer: Address, nonce: int) -> Address:
    """Return where a deployer's contract of this nonce goes (yellow paper, section 7)."""
    encoded = encode_rlp([bytes.fromhex(deployer[2:]), nonce])
    return Address(to_checksum_address(keccak(encoded)[12:]))

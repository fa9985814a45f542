"""A chain that a node made up: real signatures, hashes and tries around any calls and logs.

`RecordingLedger` plays a federation by the rules and keeps its calls; `MadeChain` puts them, or
whatever a test makes of them, into blocks and serves these as a node does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import rlp
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from flchain.chain.abi import get_abi_type
from flchain.chain.base import Addresses
from flchain.chain.bytecode import link_bytecode, load_artifact
from flchain.chain.contracts import encode_call, flatten, get_address
from flchain.chain.deployment import compute_create_address
from flchain.chain.events import get_event_specs
from flchain.chain.memory import MemoryLedger, build_config
from flchain.chain.proofs.headers import _encode_field, _get_fields
from flchain.chain.proofs.receipts import compute_logs_bloom, decode_receipt, encode_receipt
from flchain.chain.proofs.transactions import decode_transaction
from flchain.chain.proofs.tries import compute_ordered_root
from flchain.chain.rpc import RpcError
from flchain.protocol.params import NetworkParams
from tests.e2e.federation import SUPPLY, make_secret

NO_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
ORDER = (
    *("LocalToken", "AgentRegistry", "ModelRegistry"),
    *("RewardDistributor", "ChainSeeds", "MaskedRounds", "RoundManager"),
)


@dataclass(frozen=True)
class Act:
    """One transaction: who sent what where, at what time, and the logs that came of it."""

    number: int
    """Of the signer's key, as `make_secret` counts."""
    to: str | None
    data: bytes
    time: int
    logs: tuple[dict[str, Any], ...] = ()
    is_success: bool = True
    chain_id: int = 1337


class RecordingLedger(MemoryLedger):
    """A ledger in memory whose contracts are where `MadeChain` will create them."""

    def __init__(self, network: NetworkParams, clock, members: Sequence) -> None:
        self.numbers = {member.address: number for number, member in enumerate(members)}
        self.deployer = members[0].address
        libraries = count_libraries()
        created = [
            compute_create_address(self.deployer, len(libraries) + place)
            for place in range(len(ORDER))
        ]
        token, agents, models, rewards, seeds, masked, rounds = created
        config = build_config(network, self.deployer)
        addresses = Addresses(token, agents, rounds, models, rewards, seeds, masked)
        super().__init__(replace(config, addresses=addresses), clock, {self.deployer: SUPPLY})
        self.acts: list[Act] = []

    def send(self, call, signer):
        receipt = super().send(call, signer)
        self.acts.append(
            Act(
                number=self.numbers[signer.address],
                to=get_address(self.addresses, call.contract),
                data=encode_call(call),
                time=receipt.block.timestamp,
                logs=(
                    *(make_log(self.addresses, event) for event in receipt.events),
                    *([self._make_token_log()] if call.contract == "LocalToken" else []),
                ),
            )
        )
        return receipt

    def _make_token_log(self) -> dict[str, Any]:
        """Return a log of the token's own, which no rule reads."""
        topic = keccak(text="Approval(address,address,uint256)")
        return {"address": self.addresses.token, "topics": [f"0x{topic.hex()}"], "data": "0x"}

    def list_creations(self) -> list[Act]:
        """Return the transactions that create the libraries and contracts."""
        time = self._blocks[0].timestamp
        libraries = {
            name: compute_create_address(self.deployer, nonce)
            for nonce, name in enumerate(count_libraries())
        }
        at, config = self.addresses, self.state.config
        stakes = [config.agent_stake, config.validator_stake, config.proposer_stake]
        terms = (config.governance, config.epoch_length, config.unbonding_period, stakes)
        arguments = {
            "LocalToken": (SUPPLY,),
            "AgentRegistry": (at.token, at.round_manager, at.masked_rounds, *terms),
            "ModelRegistry": (at.round_manager,),
            "RewardDistributor": (at.token, at.round_manager),
            "ChainSeeds": (at.round_manager, config.epoch_length),
            "MaskedRounds": (at.round_manager, at.agent_registry),
            "RoundManager": (
                at.agent_registry,
                at.model_registry,
                at.reward_distributor,
                at.seed_source,
                at.masked_rounds,
            ),
        }
        return [
            Act(0, None, make_creation(name, libraries, arguments.get(name, ())), time)
            for name in [*libraries, *ORDER]
        ]


def count_libraries() -> list[str]:
    """Return the libraries, those that others need first."""
    found: list[str] = []

    def visit(name: str) -> None:
        for library in load_artifact(name).libraries:
            visit(library)
            if library not in found:
                found.append(library)

    visit("RoundManager")
    return found


def make_creation(name, libraries, arguments) -> bytes:
    artifact = load_artifact(name)
    inputs = [entry["inputs"] for entry in artifact.abi if entry["type"] == "constructor"]
    types = [get_abi_type(value) for entry in inputs for value in entry]
    return link_bytecode(artifact, libraries) + encode(types, arguments)


def make_log(addresses, event) -> dict[str, Any]:
    """Return an event as its contract logs it."""
    spec = next(s for s in get_event_specs().values() if s.kind is type(event))
    parts = list(zip(spec.types, spec.is_indexed, flatten(event), strict=True))
    plain = [(kind, value) for kind, is_topic, value in parts if not is_topic]
    topics = [encode([kind], [value]) for kind, is_topic, value in parts if is_topic]
    return {
        "address": get_address(addresses, spec.kind.contract),
        "topics": [spec.topic, *(f"0x{topic.hex()}" for topic in topics)],
        "data": f"0x{encode([k for k, _ in plain], [v for _, v in plain]).hex()}",
    }


class MadeChain:
    """Blocks of acts, one act each, served as JSON-RPC; it gives no proofs of state."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._nonces: dict[int, int] = {}
        self.blocks: list[dict[str, Any]] = []
        self.receipts: list[list[dict[str, Any]]] = []
        for act in acts:
            self._append(act)

    def call(self, method, *params):
        (answer,) = self.call_all([(method, params)])
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def call_all(self, requests):
        return [self._answer(method, *params) for method, params in requests]

    def _answer(self, method, *params):
        if method == "eth_getBlockByNumber":
            number = -1 if params[0] == "latest" else int(params[0], 16)
            return self.blocks[number]
        if method == "eth_getBlockReceipts":
            return self.receipts[int(params[0], 16)]
        return RpcError(-32601, f"{method} is not there")

    def _append(self, act: Act) -> None:
        transaction = self._sign(act)
        receipt = {
            "type": "0x2",
            "status": hex(act.is_success),
            "cumulativeGasUsed": "0x5208",
            "logsBloom": f"0x{'00' * 256}",
            "logs": list(act.logs) if act.is_success else [],
        }
        receipt["logsBloom"] = f"0x{compute_logs_bloom(decode_receipt(receipt)).hex()}"
        encoded = decode_transaction(transaction).encoded
        block = {
            "number": hex(len(self.blocks)),
            "parentHash": self.blocks[-1]["hash"] if self.blocks else f"0x{'00' * 32}",
            "sha3Uncles": NO_UNCLES,
            "miner": f"0x{'00' * 20}",
            "stateRoot": f"0x{'00' * 32}",
            "transactionsRoot": f"0x{compute_ordered_root([encoded]).hex()}",
            "receiptsRoot": f"0x{make_receipts_root(receipt).hex()}",
            "logsBloom": receipt["logsBloom"],
            **dict.fromkeys(("difficulty", "gasLimit", "gasUsed"), "0x0"),
            "timestamp": hex(act.time),
            "extraData": "0x",
            "mixHash": f"0x{'00' * 32}",
            "nonce": f"0x{'00' * 8}",
            "transactions": [transaction],
        }
        fields = [_encode_field(block, *field) for field in _get_fields(block)]
        block["hash"] = f"0x{keccak(rlp.encode(fields)).hex()}"
        self.blocks.append(block)
        self.receipts.append([receipt])

    def _sign(self, act: Act) -> dict[str, Any]:
        nonce = self._nonces.get(act.number, 0)
        self._nonces[act.number] = nonce + 1
        return sign(act.number, nonce, act.to, act.data, act.chain_id)


@cache
def sign(number: int, nonce: int, to: str | None, data: bytes, chain_id: int) -> dict[str, Any]:
    """Return a signed transaction of key `number` as a node shows it."""
    account = Account.from_key(make_secret(number))
    fields = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "gas": 10**6,
        "value": 0,
        "maxFeePerGas": 1,
        "maxPriorityFeePerGas": 1,
        "data": data,
        **({"to": to} if to else {}),
    }
    signed = account.sign_transaction(fields)
    return {name: hex(value) for name, value in fields.items() if isinstance(value, int)} | {
        "to": to,
        "input": f"0x{data.hex()}",
        "accessList": [],
        "yParity": hex(signed.v),
        "r": hex(signed.r),
        "s": hex(signed.s),
        "hash": f"0x{signed.hash.hex()}",
        "from": account.address,
    }


def make_receipts_root(receipt) -> bytes:
    return compute_ordered_root([encode_receipt(decode_receipt(receipt))])

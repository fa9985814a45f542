"""Deploying the contracts: libraries, token, registries, distributor, seeds, rounds.

The contracts name each other as immutables. The masked rounds and the round manager come last;
their addresses follow from the deployer's nonce (the last 20 bytes of keccak(rlp([sender,
nonce]))), so that the others can be given them before they exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import rlp
from eth_utils.crypto import keccak

from flchain.chain.abi import encode_values, get_abi_type
from flchain.chain.address_book import AddressBook
from flchain.chain.base import Addresses
from flchain.chain.bytecode import Artifact, link_bytecode, load_artifact
from flchain.chain.contracts import get_contract_names, to_address
from flchain.chain.rpc import Rpc
from flchain.chain.transactions import Transaction, TransactionSender
from flchain.crypto.signing import Signer
from flchain.protocol.errors import AdapterError, ConfigError
from flchain.protocol.params import ETHER, NetworkParams
from flchain.protocol.types import ZERO_ADDRESS, Address, Wei

LOCAL_TOKEN: Literal["local"] = "local"  # noqa: S105 - a choice, no secret
"""Asks for a new token instead of an existing one."""
LOCAL_SUPPLY = Wei(10**9 * ETHER)
"""Tokens that a local token mints to its deployer."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A contract that was created."""

    address: Address
    block_number: int


class Deployer(Protocol):
    """An account on a chain that can create contracts."""

    @property
    def chain_id(self) -> int:
        """The chain's id."""

    @property
    def address(self) -> Address:
        """The account."""

    def get_nonce(self) -> int:
        """Return the nonce of the account's next transaction."""

    def get_code(self, address: Address) -> bytes:
        """Return the code at an address; empty if there is none."""

    def create(self, init_code: bytes) -> Creation:
        """Create a contract and wait for it."""


class RpcDeployer:
    """A deployer that signs here and sends over JSON-RPC."""

    def __init__(self, rpc: Rpc, signer: Signer, sender: TransactionSender | None = None) -> None:
        """Ask the node for its chain id."""
        self._rpc = rpc
        self._signer = signer
        self.chain_id = int(rpc.call("eth_chainId"), 16)
        self._sender = sender or TransactionSender(rpc, self.chain_id)

    @property
    def address(self) -> Address:
        """The signer's account."""
        return self._signer.address

    def get_nonce(self) -> int:
        """Return the nonce of the account's next transaction."""
        return int(self._rpc.call("eth_getTransactionCount", self.address, "pending"), 16)

    def get_code(self, address: Address) -> bytes:
        """Return the code at an address; empty if there is none."""
        return get_code(self._rpc, address)

    def create(self, init_code: bytes) -> Creation:
        """Create a contract and wait for it."""
        receipt = self._sender.send(Transaction(None, init_code), self._signer)
        return Creation(to_address(receipt["contractAddress"]), int(receipt["blockNumber"], 16))


def deploy_suite(
    deployer: Deployer,
    network: NetworkParams,
    governance: Address,
    token: Address | Literal["local"] | None = LOCAL_TOKEN,
    supply: Wei = LOCAL_SUPPLY,
) -> AddressBook:
    """Deploy all contracts and return where they are.

    `token` is the stake token's address; LOCAL_TOKEN deploys one with `supply` for the deployer,
    and None makes an allow-list deployment without stake. Raises AdapterError if another
    transaction of the deployer's came in between, and ConfigError if `token` has no code.
    """
    suite = _Suite(deployer)
    if token not in {LOCAL_TOKEN, None} and not deployer.get_code(Address(str(token))):
        raise ConfigError(f"there is no token at {token}: correct its address")
    suite.deploy_libraries("RoundManager")
    stake_token = suite.deploy_token(token, supply)
    nonce = deployer.get_nonce()
    masked = compute_create_address(deployer.address, nonce + 4)
    manager = compute_create_address(deployer.address, nonce + 5)
    stakes = [network.agent_stake, network.validator_stake, network.proposer_stake]
    terms = (governance, network.epoch_length, network.unbonding_period, stakes)
    registry = suite.deploy("AgentRegistry", stake_token, manager, masked, *terms)
    models = suite.deploy("ModelRegistry", manager)
    rewards = suite.deploy("RewardDistributor", stake_token, manager)
    seeds = suite.deploy("ChainSeeds", manager, network.epoch_length)
    created = (
        suite.deploy("MaskedRounds", manager, registry),
        suite.deploy("RoundManager", registry, models, rewards, seeds, masked),
    )
    if created != (masked, manager):
        raise AdapterError(
            f"another transaction of {deployer.address} came in between: deploy again, alone",
            is_retryable=True,
        )
    addresses = Addresses(stake_token, registry, manager, models, rewards, seeds, masked)
    return suite.get_book(addresses, governance, network)


def compute_create_address(sender: Address, nonce: int) -> Address:
    """Return the address of the contract that `sender` creates with `nonce`."""
    encoded = rlp.encode([bytes.fromhex(sender.removeprefix("0x")), nonce])
    return to_address(f"0x{keccak(encoded)[12:].hex()}")


def verify_deployment(rpc: Rpc, book: AddressBook) -> None:
    """Check that the contracts are on this chain.

    Raises ConfigError if the node serves another chain or there is no code at an address.
    """
    chain_id, *codes = rpc.call_all(
        [
            ("eth_chainId", ()),
            *(("eth_getCode", (where, "latest")) for where in get_contract_names(book.addresses)),
        ]
    )
    for result in (chain_id, *codes):
        if isinstance(result, Exception):
            raise result
    if int(chain_id, 16) != book.chain_id:
        raise ConfigError(
            f"the node serves chain {int(chain_id, 16)}, the contracts are on {book.chain_id}: "
            "use another node or another address book"
        )
    names = get_contract_names(book.addresses).items()
    for (address, name), code in zip(names, codes, strict=True):
        if code in {"0x", None}:
            raise ConfigError(
                f"contracts not deployed: no {name} at {address} on chain {book.chain_id}; "
                "deploy them, or use another address book"
            )


def get_code(rpc: Rpc, address: Address) -> bytes:
    """Return the code at an address; empty if there is none."""
    return bytes.fromhex(rpc.call("eth_getCode", address, "pending").removeprefix("0x"))


class _Suite:
    """A deployment in progress."""

    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer
        self._libraries: dict[str, Address] = {}
        self._builds: dict[str, str] = {}
        self._blocks: list[int] = []

    def deploy_libraries(self, contract: str) -> None:
        """Deploy what a contract is linked with, the libraries of libraries first."""
        for library in load_artifact(contract).libraries:
            if library not in self._libraries:
                self.deploy_libraries(library)
                self._libraries[library] = self.deploy(library)

    def deploy_token(self, token: str | None, supply: Wei) -> Address:
        if token == LOCAL_TOKEN:
            return self.deploy("LocalToken", supply)
        return ZERO_ADDRESS if token is None else to_address(token)

    def deploy(self, name: str, *arguments: Any) -> Address:
        """Create one contract and check that its code is there."""
        artifact = load_artifact(name)
        code = link_bytecode(artifact, self._libraries) + _encode_arguments(artifact, arguments)
        created = self._deployer.create(code)
        if len(self._deployer.get_code(created.address)) != artifact.runtime_size:
            raise AdapterError(f"{name} at {created.address} has no code: deploy again")
        self._builds[name] = artifact.digest
        self._blocks.append(created.block_number)
        return created.address

    def get_book(
        self, addresses: Addresses, governance: Address, network: NetworkParams
    ) -> AddressBook:
        return AddressBook(
            chain_id=self._deployer.chain_id,
            addresses=addresses,
            first_block=min(self._blocks),
            governance=governance,
            network=network,
            libraries=dict(self._libraries),
            builds=dict(self._builds),
        )


def _encode_arguments(artifact: Artifact, arguments: Sequence[Any]) -> bytes:
    constructors = [entry for entry in artifact.abi if entry["type"] == "constructor"]
    types = [get_abi_type(value) for entry in constructors for value in entry["inputs"]]
    return encode_values(types, arguments, artifact.name)

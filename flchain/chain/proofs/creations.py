"""What a deployment is, read off the transactions that created its contracts.

A creating transaction carries the code and the constructor's arguments. If the code is the one
that ships with flchain, the contracts keep its rules, and the arguments are their constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flchain.chain.abi import decode_values, get_abi_type
from flchain.chain.base import Addresses
from flchain.chain.bytecode import Artifact, link_bytecode, load_artifact
from flchain.chain.contracts import get_contract_names, to_address
from flchain.chain.deployment import compute_create_address
from flchain.chain.proofs.blocks import Block
from flchain.chain.proofs.transactions import Transaction
from flchain.chain.spec.state import Config
from flchain.protocol.errors import ProofError
from flchain.protocol.types import ZERO_ADDRESS, Address, Seconds, Wei

_ADDRESS_SIZE = 20
_TOKEN = "LocalToken"  # noqa: S105 - a contract's name, no secret


@dataclass(frozen=True, slots=True)
class Deployment:
    """The proven constants of a deployment.

    `mints` are the token's first balances; None if the token is another than the shipped one,
    whose own rules are then unknown. `libraries` are the addresses that the code was linked to.
    """

    config: Config
    mints: Mapping[Address, Wei] | None
    libraries: Mapping[str, Address]


def find_creations(block: Block) -> dict[Address, Transaction]:
    """Return the contracts that a block's transactions created, by address."""
    return {
        compute_create_address(step.transaction.sender, step.transaction.nonce): step.transaction
        for step in block.steps
        if step.transaction.to is None and step.receipt.is_success
    }


def get_missing(creations: Mapping[Address, Transaction], addresses: Addresses) -> list[str]:
    """Return the names of the suite's contracts that are not among the creations.

    The token is not counted: it may be older than the suite.
    """
    names = get_contract_names(addresses)
    return [name for at, name in names.items() if at not in creations and name != _TOKEN]


def prove_deployment(
    creations: Mapping[Address, Transaction], chain_id: int, addresses: Addresses
) -> Deployment:
    """Return the deployment at `addresses`.

    Raises ProofError if a contract has other code than the one that ships, or does not name
    the others of the suite.
    """
    if missing := get_missing(creations, addresses):
        raise ProofError(f"the transaction that created {missing[0]} is not among these blocks")
    libraries: dict[str, Address] = {}
    arguments = {
        name: _read_arguments(name, address, creations, libraries)
        for address, name in get_contract_names(addresses).items()
        if name != _TOKEN
    }
    _verify_wiring(arguments, addresses)
    return Deployment(
        config=_build_config(arguments["AgentRegistry"], chain_id, addresses),
        mints=_read_mints(creations, addresses.token),
        libraries=libraries,
    )


def _read_arguments(
    name: str,
    address: Address,
    creations: Mapping[Address, Transaction],
    libraries: dict[str, Address],
) -> dict[str, Any]:
    """Return the constructor's arguments by name; `libraries` gets what the code is linked to."""
    artifact, code = load_artifact(name), creations[address].data
    linked = _read_libraries(artifact, code)
    for library, at in linked.items():
        if library not in libraries:
            libraries[library] = at
            _read_library(library, at, creations, libraries)
    start = link_bytecode(artifact, linked)
    if not code.startswith(start) or any(libraries[name] != at for name, at in linked.items()):
        raise ProofError(
            f"{name} at {address} was created with other code than this version of flchain has: "
            "audit it with the version that deployed it"
        )
    return _decode_arguments(artifact, code[len(start) :])


def _read_library(
    name: str,
    address: Address,
    creations: Mapping[Address, Transaction],
    libraries: dict[str, Address],
) -> None:
    if address not in creations:
        raise ProofError(f"the transaction that created {name} is not among these blocks")
    _read_arguments(name, address, creations, libraries)


def _read_libraries(artifact: Artifact, code: bytes) -> dict[str, Address]:
    """Return the addresses where the code holds those of its libraries, by name."""
    return {
        library: to_address("0x" + code[offsets[0] :][:_ADDRESS_SIZE].ljust(20, b"\0").hex())
        for library, offsets in artifact.libraries.items()
    }


def _decode_arguments(artifact: Artifact, data: bytes) -> dict[str, Any]:
    entries = [entry for entry in artifact.abi if entry["type"] == "constructor"]
    inputs = entries[0]["inputs"] if entries else []
    values = decode_values([get_abi_type(value) for value in inputs], data)
    pairs = zip(inputs, values, strict=True)
    return {
        entry["name"]: to_address(value) if entry["type"] == "address" else value
        for entry, value in pairs
    }


def _verify_wiring(arguments: Mapping[str, Mapping[str, Any]], addresses: Addresses) -> None:
    """Raise ProofError unless every contract names the others of the suite."""
    expected = {
        ("AgentRegistry", "token"): addresses.token,
        ("AgentRegistry", "roundManager"): addresses.round_manager,
        ("AgentRegistry", "maskedRounds"): addresses.masked_rounds,
        ("MaskedRounds", "manager"): addresses.round_manager,
        ("MaskedRounds", "agents"): addresses.agent_registry,
        ("RoundManager", "masked"): addresses.masked_rounds,
        ("RoundManager", "agents"): addresses.agent_registry,
        ("RoundManager", "models"): addresses.model_registry,
        ("RoundManager", "rewards"): addresses.reward_distributor,
        ("RoundManager", "seeds"): addresses.seed_source,
        ("ChainSeeds", "manager"): addresses.round_manager,
        ("ModelRegistry", "roundManager"): addresses.round_manager,
        ("RewardDistributor", "token"): addresses.token,
        ("RewardDistributor", "roundManager"): addresses.round_manager,
    }
    for (contract, name), address in expected.items():
        if arguments[contract][name] != address:
            raise ProofError(
                f"{contract} was created with {name} = {arguments[contract][name]}, "
                f"the address book says {address}"
            )


def _build_config(values: Mapping[str, Any], chain_id: int, addresses: Addresses) -> Config:
    agent, validator, proposer = values["stakes"]
    return Config(
        chain_id=chain_id,
        addresses=addresses,
        governance=values["governance"],
        epoch_length=Seconds(values["epoch"]),
        unbonding_period=Seconds(values["unbonding"]),
        agent_stake=Wei(agent),
        validator_stake=Wei(validator),
        proposer_stake=Wei(proposer),
    )


def _read_mints(
    creations: Mapping[Address, Transaction], token: Address
) -> dict[Address, Wei] | None:
    if token == ZERO_ADDRESS:
        return {}
    creation, artifact = creations.get(token), load_artifact(_TOKEN)
    start = link_bytecode(artifact, {})
    if creation is None or not creation.data.startswith(start):
        return None
    return {
        creation.sender: Wei(_decode_arguments(artifact, creation.data[len(start) :])["supply"])
    }

"""Compiled contracts, shipped as package data: ABI, bytecode and the libraries it needs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Address

CONTRACTS = (
    "AgentRegistry",
    "RoundManager",
    "ModelRegistry",
    "RewardDistributor",
    "ChainSeeds",
    "MaskedRounds",
    "LocalToken",
)
"""What people and programs call; everything else is linked into these."""
_HEX_DIGITS_OF_ADDRESS = 40


@dataclass(frozen=True)
class Artifact:
    """One compiled contract or library.

    `bytecode` is hex whose placeholders stand where the addresses of `libraries` go: each
    library's name with the offsets, in bytes.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: str
    runtime_size: int
    libraries: dict[str, tuple[int, ...]]

    @property
    def digest(self) -> str:
        """The sha2-256, in hex, of the unlinked bytecode: which build this is."""
        return hashlib.sha256(self.bytecode.encode()).hexdigest()


@cache
def load_artifact(name: str) -> Artifact:
    """Return one contract's artifact. Raises ConfigError if the package lacks it."""
    resource = files("flchain.chain") / "artifacts" / f"{name}.json"
    try:
        record = json.loads(resource.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"the contract {name} is not compiled: run `make setup`") from error
    references = record.get("linkReferences", {}).values()
    return Artifact(
        name=record["name"],
        abi=tuple(record["abi"]),
        bytecode=record["bytecode"].removeprefix("0x"),
        runtime_size=len(record["deployedBytecode"].removeprefix("0x")) // 2,
        libraries={
            library: tuple(place["start"] for place in places)
            for source in references
            for library, places in source.items()
        },
    )


def link_bytecode(artifact: Artifact, addresses: Mapping[str, Address]) -> bytes:
    """Return creation code that calls the libraries at `addresses`, by name.

    Raises ConfigError if one is missing.
    """
    code = artifact.bytecode
    for library, offsets in artifact.libraries.items():
        if library not in addresses:
            raise ConfigError(f"{artifact.name} needs the library {library}: deploy it first")
        digits = addresses[library].removeprefix("0x").lower()
        for offset in offsets:
            start = 2 * offset
            code = code[:start] + digits + code[start + _HEX_DIGITS_OF_ADDRESS :]
    return bytes.fromhex(code)

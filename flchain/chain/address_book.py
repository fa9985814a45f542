"""Where a deployment is: the file that a deployer writes and everybody else reads."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from flchain.chain.base import Addresses
from flchain.chain.contracts import to_address
from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import ConfigError
from flchain.protocol.params import NetworkParams
from flchain.protocol.types import Address

FORMAT = "flchain-deployment-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressBook:
    """One deployment.

    No event is older than `first_block`. `builds` has the sha2-256 of each contract's unlinked
    bytecode, and `libraries` is where those are that the contracts call.
    """

    chain_id: int
    addresses: Addresses
    first_block: int
    governance: Address
    network: NetworkParams
    libraries: dict[str, Address]
    builds: dict[str, str]


def save_address_book(book: AddressBook, path: Path) -> None:
    """Write the file whole or not at all.

    Raises ConfigError if a file of another chain is there: it may be somebody's only record.
    """
    if path.exists() and (other := load_address_book(path).chain_id) != book.chain_id:
        raise ConfigError(
            f"{path} belongs to chain {other}, not {book.chain_id}: name another file"
        )
    document = {"format": FORMAT, **asdict(book)}
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(document, indent=2) + "\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def load_address_book(path: Path) -> AddressBook:
    """Read the file. Raises ConfigError if it is not an address book of this version."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"address book {path} cannot be read: {error.strerror}; deploy first"
        ) from error
    except ValueError as error:
        raise ConfigError(f"address book {path} is not JSON: deploy again") from error
    try:
        return _decode_book(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"address book {path} is no {FORMAT} document: deploy again") from error


def _decode_book(document: dict[str, Any]) -> AddressBook:
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    addresses = {field.name: document["addresses"][field.name] for field in fields(Addresses)}
    network = {field.name: document["network"][field.name] for field in fields(NetworkParams)}
    if not all(isinstance(value, int) for value in network.values()):
        raise TypeError("network")
    return AddressBook(
        chain_id=int(document["chain_id"]),
        addresses=Addresses(**{name: to_address(value) for name, value in addresses.items()}),
        first_block=int(document["first_block"]),
        governance=to_address(document["governance"]),
        network=NetworkParams(**network),
        libraries={name: to_address(value) for name, value in document["libraries"].items()},
        builds={name: str(value) for name, value in document["builds"].items()},
    )

"""Names in `ape console`: `load_suite()` gives the deployed contracts.

Those of `.flchain/deployment-<chain id>.json`, where `ape run deploy` writes, are there from the
start if they are on the connected chain.
"""

from pathlib import Path
from typing import Any

import ape

from flchain.chain.address_book import load_address_book
from flchain.chain.bytecode import load_artifact
from flchain.chain.contracts import get_contract_names
from flchain.protocol.errors import ConfigError

DEFAULT_BOOK = ".flchain/deployment-{chain_id}.json"


def load_suite(path: str | Path | None = None) -> dict[str, Any]:
    """Return the contracts of an address book by name. Raises ConfigError if it is not there."""
    name = path or DEFAULT_BOOK.format(chain_id=ape.chain.chain_id)
    book = load_address_book(Path(name))
    return {
        contract: ape.Contract(address, abi=list(load_artifact(contract).abi))
        for address, contract in get_contract_names(book.addresses).items()
        if ape.chain.provider.get_code(address)
    }


def ape_init_extras() -> dict[str, Any]:
    """Return what `ape console` adds to its namespace."""
    try:
        suite = load_suite()
    except ConfigError:
        suite = {}
    return {"load_suite": load_suite, **suite}

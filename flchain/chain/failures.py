"""Revert data back to the protocol's exceptions."""

from functools import cache

from eth_utils.crypto import keccak

from flchain.chain.abi import compute_selector, decode_values, get_abi_type
from flchain.chain.contracts import (
    build_record,
    get_abi_entries,
)
from flchain.chain.rpc import RpcError
from flchain.protocol.errors import EncodingError, FlchainError, ProtocolError
from flchain.protocol.reverts import REVERTS, Panic, Revert

_SELECTOR_SIZE = 4
_STRING = keccak(text="Error(string)")[:_SELECTOR_SIZE]
_PANIC = keccak(text="Panic(uint256)")[:_SELECTOR_SIZE]


def decode_revert(data: bytes) -> FlchainError:
    """Return the exception that revert data stands for; never raises.

    A contract's own error gives the class of the same name, anything else a plain
    ProtocolError that says what is known.
    """
    selector, arguments = data[:_SELECTOR_SIZE], data[_SELECTOR_SIZE:]
    if not data:
        return ProtocolError("the contract refuses the call without a reason: check its arguments")
    try:
        return _decode(selector, arguments)
    except EncodingError:
        text = f"the contract refuses the call for a reason that does not decode: 0x{data.hex()}"
        return ProtocolError(text)


def decode_refusal(refusal: RpcError) -> FlchainError:
    """Return what a node's error means: the contract's refusal, or the node's own."""
    data = refusal.data.get("data") if isinstance(refusal.data, dict) else refusal.data
    if isinstance(data, str) and data.startswith("0x"):
        return decode_revert(bytes.fromhex(data[2:]))
    if "revert" in refusal.message.lower():
        return decode_revert(b"")
    return refusal


def _decode(selector: bytes, arguments: bytes) -> FlchainError:
    if selector == _STRING:
        (text,) = decode_values(("string",), arguments)
        return ProtocolError(f"the contract refuses the call: {text}")
    if selector == _PANIC:
        (code,) = decode_values(("uint256",), arguments)
        return Panic(code)
    known = _get_reverts().get(selector)
    if known is None:
        return ProtocolError(
            f"the contract refuses the call with the unknown error 0x{selector.hex()}: "
            "it is not of this version of flchain"
        )
    kind, types = known
    return build_record(kind, decode_values(types, arguments))


@cache
def _get_reverts() -> dict[bytes, tuple[type[Revert], tuple[str, ...]]]:
    """Return classes and argument types by selector; names are unique across the contracts."""
    return {
        compute_selector(entry)[:_SELECTOR_SIZE]: (
            REVERTS[entry["name"]],
            tuple(get_abi_type(value) for value in entry["inputs"]),
        )
        for entries in get_abi_entries("error").values()
        for entry in entries
        if entry["name"] in REVERTS
    }

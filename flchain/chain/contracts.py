"""Between the protocol's dataclasses and the contracts' ABI.

Everything follows from the ABI and from field order: a call's fields are its arguments, a record's
are its struct's members, and an enumeration is its number. A new contract version needs no code
here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from eth_utils.address import to_checksum_address

from flchain.chain.abi import compute_selector, encode_values, get_abi_type
from flchain.chain.base import Addresses
from flchain.chain.bytecode import CONTRACTS, load_artifact
from flchain.protocol import errors
from flchain.protocol.calls import Call
from flchain.protocol.types import ZERO_ADDRESS, Address

_FIELDS = {
    "AgentRegistry": "agent_registry",
    "RoundManager": "round_manager",
    "ModelRegistry": "model_registry",
    "RewardDistributor": "reward_distributor",
    "ChainSeeds": "seed_source",
    "MaskedRounds": "masked_rounds",
    "LocalToken": "token",
}
_SELECTOR_SIZE = 4

Record = TypeVar("Record")
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Function:
    """One function of one contract, with the ABI types of what goes in and comes out."""

    contract: str
    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def get_address(addresses: Addresses, contract: str) -> Address:
    """Return a contract's address. Raises ConfigError for the token where there is none."""
    address: Address = getattr(addresses, _FIELDS[contract])
    if address == ZERO_ADDRESS:
        raise errors.ConfigError("this deployment has no token: stake and rewards are switched off")
    return address


def get_contract_names(addresses: Addresses) -> dict[Address, str]:
    """Return the contracts by address; no entry for a token that is not there."""
    named = {getattr(addresses, field): name for name, field in _FIELDS.items()}
    named.pop(ZERO_ADDRESS, None)
    return named


@cache
def get_function(contract: str, name: str) -> Function:
    """Return a function of a contract. KeyError if the ABI has none of that name."""
    return _get_functions(contract)[name]


def get_call_function(kind: type[Call]) -> Function:
    """Return the function that a kind of call goes to."""
    return get_function(kind.contract, kind.function)


def encode_call(call: Call) -> bytes:
    """Return the transaction data. Raises EncodingError if a value does not fit its type."""
    function = get_call_function(type(call))
    return encode_arguments(function, flatten(call))


def encode_arguments(function: Function, values: Sequence[Any]) -> bytes:
    """Return selector and arguments. Raises EncodingError if a value does not fit its type."""
    what = f"{function.contract}.{function.name}"
    return function.selector + encode_values(function.inputs, values, what)


def build_record(kind: type[Record], values: Sequence[Any]) -> Record:
    """Return a dataclass of ABI values in field order.

    Raises EncodingError if an enumeration has no such member, or on a wrong number of values.
    """
    hinted: Any = kind
    try:
        named = {
            name: convert(value)
            for (name, convert), value in zip(_get_converters(hinted), values, strict=True)
        }
    except ValueError as error:
        text = f"{kind.__name__}: the contracts are not of this version of flchain: {error}"
        raise errors.EncodingError(text) from error
    return kind(**named)


def flatten(value: Any) -> Any:
    """Return what the ABI encoder takes: tuples of fields, plain numbers, sequences."""
    if is_dataclass(value):
        kind: Any = type(value)
        return tuple(flatten(getattr(value, name)) for name in _get_names(kind))
    if isinstance(value, tuple | list):
        return [flatten(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def to_address(value: str) -> Address:
    """Return the EIP-55 form of an address."""
    return Address(to_checksum_address(value))


@cache
def _get_functions(contract: str) -> dict[str, Function]:
    return {
        entry["name"]: Function(
            contract,
            entry["name"],
            compute_selector(entry)[:_SELECTOR_SIZE],
            tuple(get_abi_type(value) for value in entry["inputs"]),
            tuple(get_abi_type(value) for value in entry["outputs"]),
        )
        for entry in load_artifact(contract).abi
        if entry["type"] == "function"
    }


@cache
def _get_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _get_converters(kind: Any) -> tuple[tuple[str, Convert], ...]:
    hints = get_type_hints(kind)
    return tuple((name, _get_converter(hints[name])) for name in _get_names(kind))


@cache
def _get_converter(hint: Any) -> Convert:
    """Return how an ABI value becomes a field of type `hint`."""
    base: Any = _get_base(hint)
    if get_origin(base) is tuple:
        convert = _get_converter(get_args(base)[0])
        return lambda values: tuple(convert(value) for value in values)
    is_record = is_dataclass(base)
    if is_record:
        return lambda values: build_record(base, values)
    if base is str:
        # The contracts' only strings are addresses, and OpenZeppelin's StringTooLong.
        return lambda value: to_address(value) if _is_address(value) else value
    return base if isinstance(base, type) and issubclass(base, IntEnum) else _keep


def _get_base(hint: Any) -> Any:
    """Return what a NewType, or a NewType of one, stands for."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def _is_address(value: str) -> bool:
    return len(value) == len(ZERO_ADDRESS) and value.startswith("0x")


def _keep(value: Any) -> Any:
    return value


def get_abi_entries(kind: str) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return the entries of one kind ("event", "error") in each contract's ABI."""
    return {
        name: tuple(entry for entry in load_artifact(name).abi if entry["type"] == kind)
        for name in CONTRACTS
    }

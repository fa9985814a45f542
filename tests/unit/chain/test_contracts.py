"""Calls, records, events and errors against the committed ABI, with web3 as the oracle."""

import dataclasses
import inspect
import re
from enum import IntEnum
from functools import cache
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from flchain.chain.abi import compute_selector, decode_values, encode_values, get_abi_type
from flchain.chain.bytecode import CONTRACTS, Artifact, link_bytecode, load_artifact
from flchain.chain.contracts import (
    build_record,
    encode_call,
    flatten,
    get_abi_entries,
    get_address,
    get_call_function,
    get_contract_names,
    get_function,
    to_address,
)
from flchain.chain.events import get_event_specs
from flchain.chain.failures import decode_revert
from flchain.protocol import calls, events, records, reserved
from flchain.protocol.calls import Call, Claim, Register
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.reverts import REVERTS, Panic
from flchain.protocol.types import (
    ZERO_ADDRESS,
    Address,
    Digest,
    Outcome,
    RoundId,
    TaskId,
    Wei,
)
from tests.unit.chain.suite import ADDRESSES


def get_calls():
    found = [
        kind
        for module in (calls, reserved)
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Call)
        and isinstance(kind.__dict__.get("function"), str)
    ]
    return sorted(set(found), key=lambda kind: (kind.contract, kind.function))


def to_snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.lstrip("_")).lower()


def get_base(hint):
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def build_strategy(entry, hint):
    """Return a strategy for the Python values of one ABI entry."""
    kind, base = entry["type"], get_base(hint)
    if kind.endswith("[]"):
        inner = build_strategy({**entry, "type": kind[:-2]}, get_args(base)[0])
        return st.lists(inner, max_size=3).map(tuple)
    if kind == "tuple":
        return build_record_strategy(base, entry["components"])
    if inspect.isclass(base) and issubclass(base, IntEnum):
        return st.sampled_from(base)
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    return {
        "address": st.binary(min_size=20, max_size=20).map(
            lambda raw: to_address(f"0x{raw.hex()}")
        ),
        "bool": st.booleans(),
        "bytes": st.binary(max_size=70),
        "bytes20": st.binary(min_size=20, max_size=20),
        "bytes32": st.binary(min_size=32, max_size=32),
    }[kind]


def build_record_strategy(kind, entries):
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    assert len(names) == len(entries), kind
    values = {
        name: build_strategy(entry, hints[name]) for name, entry in zip(names, entries, strict=True)
    }
    return st.builds(kind, **values)


def get_entry(contract, name):
    return next(
        entry
        for entry in load_artifact(contract).abi
        if entry["type"] == "function" and entry["name"] == name
    )


def get_structs():
    """Return every struct of the ABIs by name."""
    found = {}
    for name in CONTRACTS:
        for entry in load_artifact(name).abi:
            pending = [*entry.get("inputs", ()), *entry.get("outputs", ())]
            while pending:
                value = pending.pop()
                if value["type"].startswith("tuple"):
                    label = value["internalType"].removesuffix("[]").split(".")[-1].split(" ")[-1]
                    found[label] = value["components"]
                    pending.extend(value["components"])
    return found


@cache
def get_oracle(contract):
    return Web3().eth.contract(abi=load_artifact(contract).abi)


@pytest.mark.parametrize("kind", get_calls(), ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_encode_call__any_values__equal_web3(kind, data):
    entry = get_entry(kind.contract, kind.function)
    call = data.draw(build_record_strategy(kind, entry["inputs"]))
    expected = get_oracle(kind.contract).encode_abi(
        kind.function, args=[plain(value) for value in flatten(call)]
    )
    assert "0x" + encode_call(call).hex() == expected


def plain(value):
    """Return tuples for web3, which takes no lists as structs."""
    return tuple(plain(item) for item in value) if isinstance(value, tuple | list) else value


def test_calls__every_function_that_changes_state__has_a_class():
    classes = {(kind.contract, kind.function) for kind in get_calls()}
    inherited = {("LocalToken", name) for name in ("approve", "transfer", "transferFrom", "permit")}
    for name in CONTRACTS:
        for entry in load_artifact(name).abi:
            if entry["type"] == "function" and entry["stateMutability"] == "nonpayable":
                assert (name, entry["name"]) in classes | inherited


@pytest.mark.parametrize("name", sorted(get_structs()))
def test_records__struct__same_fields_in_order(name):
    kind = getattr(records, name)
    expected = [to_snake(member["name"]) for member in get_structs()[name]]
    assert [field.name for field in dataclasses.fields(kind)] == expected


@pytest.mark.parametrize("name", sorted(get_structs()))
@settings(max_examples=10)
@given(data=st.data())
def test_build_record__flattened__same_record(name, data):
    kind, components = getattr(records, name), get_structs()[name]
    record = data.draw(build_record_strategy(kind, components))
    types = [get_abi_type(member) for member in components]
    assert (
        build_record(kind, decode_values(types, encode_values(types, flatten(record), name)))
        == record
    )


def test_events__abi_and_classes__same_set():
    ours = {
        kind.__name__
        for kind in vars(events).values()
        if inspect.isclass(kind) and issubclass(kind, events.Event) and dataclasses.fields(kind)
    }
    assert {spec.kind.__name__ for spec in get_event_specs().values()} == ours
    ignored = {"EIP712DomainChanged", "Transfer", "Approval"}
    for entries in get_abi_entries("event").values():
        assert {entry["name"] for entry in entries} <= ours | ignored


def test_events__task_events__task_is_the_first_topic():
    for spec in get_event_specs().values():
        has_task = "task_id" in spec.kind.__dataclass_fields__
        assert spec.has_task == has_task
        assert not has_task or (spec.is_indexed[0] and spec.types[0] == "uint64")


@given(data=st.data())
def test_decode_revert__every_error_of_the_contracts__same_values(data):
    entries = [entry for found in get_abi_entries("error").values() for entry in found]
    entry = data.draw(st.sampled_from(entries))
    kind = REVERTS[entry["name"]]
    hints = get_type_hints(kind)
    hinted = [
        (value, hints[name])
        for value, name in zip(entry["inputs"], kind.__match_args__, strict=True)
    ]
    values = [data.draw(build_error_strategy(value, hint)) for value, hint in hinted]
    types = [get_abi_type(value) for value in entry["inputs"]]
    encoded = compute_selector(entry)[:4] + encode_values(types, flatten(values), "error")
    assert decode_revert(encoded) == kind(*values)


def build_error_strategy(entry, hint):
    if entry["type"] == "string":
        return st.text(max_size=40).filter(lambda text: not text.startswith("0x"))
    return build_strategy(entry, hint)


@given(st.binary(max_size=100))
def test_decode_revert__junk__some_protocol_error(data):
    assert decode_revert(data).exit_code == 12


def test_decode_revert__panic__keeps_code():
    data = bytes.fromhex("4e487b71") + (0x32).to_bytes(32, "big")
    assert decode_revert(data) == Panic(0x32)


REGISTER = Register(1, Wei(5), Digest(b"\1" * 32))


@pytest.mark.parametrize(
    "change",
    [
        {"roles": 256},
        {"roles": -1},
        {"roles": 1.5},
        {"roles": "5"},
        {"keys_digest": b"\1" * 31},
        {"keys_digest": b"\1" * 33},
        {"keys_digest": "0x" + "01" * 32},
        {"stake": 2**96},
        {"stake": None},
    ],
)
def test_encode_call__value_of_the_wrong_size_or_type__encoding_error(change):
    assert encode_call(REGISTER)
    with pytest.raises(EncodingError, match=r"AgentRegistry\.register"):
        encode_call(dataclasses.replace(REGISTER, **change))


def test_encode_call__short_digest_in_a_list__encoding_error():
    claim = Claim(
        TaskId(1), RoundId(1), 0, ZERO_ADDRESS, 1, (Digest(b"\1" * 32), Digest(b"\2" * 5))
    )
    with pytest.raises(EncodingError):
        encode_call(claim)


def test_decode_values__short_or_long_or_dirty__encoding_error_or_value():
    types = ("uint8", "address")
    good = encode_values(types, (7, ADDRESSES.token), "test")
    assert decode_values(types, good) == (7, ADDRESSES.token.lower())
    for bad in (b"", good[:-1], good[:32], b"\1" + good[1:], good[:32] + b"\1" + good[33:]):
        with pytest.raises(EncodingError):
            decode_values(types, bad)


def test_build_record__unknown_member__encoding_error():
    values = [0] * len(dataclasses.fields(records.Round))
    values[7] = len(Outcome)
    with pytest.raises(EncodingError, match="not of this version"):
        build_record(records.Round, values)


def test_build_record__too_few_values__encoding_error():
    with pytest.raises(EncodingError):
        build_record(records.Budget, [1])


def test_get_address__no_token__config_error():
    bare = dataclasses.replace(ADDRESSES, token=ZERO_ADDRESS)
    with pytest.raises(ConfigError, match="no token"):
        get_address(bare, "LocalToken")
    assert "LocalToken" not in get_contract_names(bare).values()


def test_get_call_function__every_call__selector_of_its_abi_entry():
    for kind in get_calls():
        entry = get_entry(kind.contract, kind.function)
        assert get_call_function(kind).selector == compute_selector(entry)[:4]
        assert get_call_function(kind) is get_function(kind.contract, kind.function)


def test_link_bytecode__addresses__stand_where_placeholders_stood():
    code = "60" * 10 + "__$" + "a" * 34 + "$__" + "61" * 5 + "__$" + "a" * 34 + "$__"
    artifact = Artifact("Caller", (), code, 0, {"Lib": (10, 35)})
    where = Address("0x" + "Ab" * 20)
    linked = link_bytecode(artifact, {"Lib": where})
    assert linked == b"\x60" * 10 + b"\xab" * 20 + b"\x61" * 5 + b"\xab" * 20


def test_link_bytecode__library_missing__config_error():
    with pytest.raises(ConfigError, match="needs the library"):
        link_bytecode(load_artifact("RoundManager"), {})


def test_load_artifact__unknown__config_error():
    with pytest.raises(ConfigError, match="not compiled"):
        load_artifact("Nothing")


def test_artifacts__every_library__has_an_artifact():
    for name in CONTRACTS:
        for library in load_artifact(name).libraries:
            assert load_artifact(library).bytecode

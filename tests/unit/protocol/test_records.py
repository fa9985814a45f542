# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""Records, calls and events have the fields of the contracts' ABI, in its order."""

import re
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import get_type_hints

import pytest

from flchain.chain.bytecode import CONTRACTS, load_artifact
from flchain.protocol import calls, events, records, reserved, types

ROOT = Path(__file__).parents[3]
RENAMED = {"from": "sender"}
STRUCTS = {
    records.Task: ("RoundManager", "createTask", "inputs"),
    records.TaskStatus: ("RoundManager", "getTaskStatus", "outputs"),
    records.Member: ("RoundManager", "getMember", "outputs"),
    records.Round: ("RoundManager", "getRound", "outputs"),
    records.Submissions: ("RoundManager", "getSubmissions", "outputs"),
    records.Ballot: ("RoundManager", "getBallot", "outputs"),
    records.Proposal: ("RoundManager", "getProposal", "outputs"),
    records.Content: ("RoundManager", "propose", "inputs"),
    records.Vote: ("RoundManager", "vote", "inputs"),
    records.SignedVote: ("RoundManager", "voteBundle", "inputs"),
    records.SignedAttestation: ("RoundManager", "attestBundle", "inputs"),
    records.Draw: ("RoundManager", "getDraw", "outputs"),
    records.DrawKey: ("RoundManager", "getDrawKey", "outputs"),
    records.SeatProof: ("RoundManager", "proveSeats", "inputs"),
    records.VrfKey: ("AgentRegistry", "rotateKey", "inputs"),
    records.Agent: ("AgentRegistry", "getAgent", "outputs"),
    records.Budget: ("RewardDistributor", "getBudget", "outputs"),
    records.Distribution: ("RewardDistributor", "getDistribution", "outputs"),
}
IGNORED_EVENTS = {"Approval", "EIP712DomainChanged", "Transfer"}


def get_entries(contract, kind):
    return [entry for entry in load_artifact(contract).abi if entry["type"] == kind]


def find_function(contract, name):
    return next(entry for entry in get_entries(contract, "function") if entry["name"] == name)


def to_snake(name):
    return RENAMED.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def get_kinds(module, base):
    """Return the module's subclasses of `base` that are not bases themselves."""
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and not kind.__subclasses__()
    ]


def get_plain_type(hint):
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def is_same_type(hint, entry):
    plain = get_plain_type(hint)
    if isinstance(plain, type) and issubclass(plain, IntEnum):
        # Where the ABI has a bare number, the contract checks its range itself.
        return entry["internalType"] in {f"enum {plain.__name__}", "uint8"}
    if entry["type"].endswith("[]"):
        return True
    if entry["type"] == "tuple":
        return entry["internalType"] == f"struct {plain.__name__}"
    expected = {"address": str, "bool": bool, "bytes": bytes}
    prefix = entry["type"].rstrip("0123456789")
    return plain is expected.get(prefix, int)


@pytest.mark.parametrize("record", STRUCTS, ids=lambda record: record.__name__)
def test_record__contract_struct__has_its_fields_and_types(record):
    contract, function, side = STRUCTS[record]
    members = next(
        value["components"]
        for value in find_function(contract, function)[side]
        if value["type"].startswith("tuple")
    )
    assert [field.name for field in fields(record)] == [to_snake(m["name"]) for m in members]
    hints = get_type_hints(record)
    wrong = [m["name"] for m in members if not is_same_type(hints[to_snake(m["name"])], m)]
    assert wrong == []


def test_calls__state_changing_functions__are_all_there():
    declared = {
        (kind.contract, kind.function): [field.name for field in fields(kind)]
        for module in (calls, reserved)
        for kind in get_kinds(module, calls.Call)
        if hasattr(kind, "function")
    }
    actual = {
        (contract, entry["name"]): [to_snake(value["name"]) for value in entry["inputs"]]
        for contract in CONTRACTS
        for entry in get_entries(contract, "function")
        if entry["stateMutability"] not in {"view", "pure"}
    }
    assert declared == actual


def test_events__contract_events__are_all_there():
    declared = {
        (kind.contract, kind.__name__): [field.name for field in fields(kind)]
        for kind in get_kinds(events, events.Event)
    }
    actual = {
        (contract, entry["name"]): [to_snake(value["name"]) for value in entry["inputs"]]
        for contract in CONTRACTS
        for entry in get_entries(contract, "event")
        if entry["name"] not in IGNORED_EVENTS
    }
    assert declared == actual


def test_enumerations__solidity_source__have_the_same_members_in_order():
    source = (ROOT / "contracts" / "types" / "Types.sol").read_text(encoding="utf-8")
    found = dict(re.findall(r"enum (\w+) {([^}]*)}", source))
    assert set(found) == {"Mode", "Phase", "Outcome", "Verdict", "Reason"}
    for name, members in found.items():
        expected = [to_snake(member).upper() for member in re.findall(r"\w+", members)]
        enumeration = getattr(types, name)
        assert [member.name for member in enumeration] == expected
        assert [int(member) for member in enumeration] == list(range(len(expected)))


def test_record__default__is_the_all_zero_struct():
    assert records.Member() == records.Member(0, 0, 0, 0, 0, 0, False, 0)
    assert records.Distribution().root == bytes(32)


def test_record__change__is_refused():
    with pytest.raises(AttributeError):
        setattr(records.Budget(), "available", 1)  # noqa: B010 - mypy refuses the plain form

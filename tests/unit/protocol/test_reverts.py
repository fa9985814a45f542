# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""Reverts have the names and arguments of the contracts' errors, and say who must act."""

import pickle
import re
from dataclasses import fields
from typing import get_type_hints

import pytest

from flchain.chain.bytecode import CONTRACTS, load_artifact
from flchain.protocol import reverts
from flchain.protocol.errors import ProtocolError
from flchain.protocol.reverts import REVERTS, Revert
from flchain.protocol.types import Phase, VrfFault

RENAMED = {"str": "text"}
ADDRESS = "0x000000000000000000000000000000000000dEaD"
SAMPLES = {
    str: ADDRESS,
    bytes: b"wMax".ljust(32, b"\0"),
    int: 7,
    Phase: Phase.VOTE,
    VrfFault: VrfFault.WRONG_U,
}


def to_snake(name):
    return RENAMED.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def get_sample(hint):
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return SAMPLES[hint]


def make_revert(kind):
    hints = get_type_hints(kind)
    return kind(*(get_sample(hints[field.name]) for field in fields(kind)))


def test_reverts__errors_of_the_abis__are_all_there():
    actual = {
        entry["name"]: [to_snake(value["name"]) for value in entry["inputs"]]
        for contract in CONTRACTS
        for entry in load_artifact(contract).abi
        if entry["type"] == "error"
    }
    declared = {name: [field.name for field in fields(kind)] for name, kind in REVERTS.items()}
    # Solidity's own error is in no ABI.
    assert declared.pop("Panic") == ["code"]
    assert declared == actual


def test_reverts__messages__are_one_line_with_their_arguments():
    for kind in REVERTS.values():
        revert = make_revert(kind)
        assert isinstance(revert, ProtocolError)
        text = str(revert)
        assert text, kind
        assert "\n" not in text
        assert "{" not in text
        assert len(text) < 200


def test_reverts__pickled__come_back_equal():
    for kind in REVERTS.values():
        revert = make_revert(kind)
        again = pickle.loads(pickle.dumps(revert))
        assert again == revert
        assert hash(again) == hash(revert)
        assert str(again) == str(revert)


def test_reverts__module__exports_each_class_by_name():
    assert {name for name in reverts.__all__ if name not in {"REVERTS", "Revert"}} == set(REVERTS)
    assert all(getattr(reverts, name) is kind for name, kind in REVERTS.items())


def test_revert__equality__needs_the_same_class_and_arguments():
    first = reverts.WrongRound(1, 2)
    assert first == reverts.WrongRound(expected=1, actual=2)
    assert first != reverts.WrongRound(1, 3)
    assert first != reverts.TooFewAgents(1, 2)
    assert first.arguments == (1, 2)
    assert repr(first) == "WrongRound(1, 2)"


def test_wrong_phase__message__names_both_phases():
    text = str(reverts.WrongPhase(Phase.SUBMIT, Phase.VOTE))
    assert "SUBMIT" in text
    assert "VOTE" in text


def test_invalid_task__message__names_the_field():
    assert "proposeRanks" in str(reverts.InvalidTask(b"proposeRanks".ljust(32, b"\0")))
    # A field that is no text must not raise on the way to the operator.
    assert str(reverts.InvalidTask(b"\xff" * 32))


def test_revert__wrong_number_of_arguments__is_refused():
    with pytest.raises(TypeError):
        REVERTS["WrongRound"](1)


def test_revert__as_exception__keeps_its_cause():
    cause = ValueError("node")
    with pytest.raises(Revert) as caught:
        raise reverts.NotSponsor(ADDRESS) from cause
    assert caught.value.__cause__ is cause

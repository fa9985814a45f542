"""Published proofs verify, their invalid twins do not; the encodings never change unseen."""

import json
from pathlib import Path

import pytest

from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import CommitmentKey
from flchain.crypto.groups import Point
from flchain.crypto.sigma import bits, claims, linear, ranges
from flchain.crypto.sigma.statements import Context
from flchain.protocol.errors import EncodingError, ProofError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sigma.json").read_text(encoding="utf-8")
)
FAST, PY_ECC = get_backend("fast"), get_backend("py_ecc")


def parse(value):
    """Return a claim's field: a point, a key, or a number."""
    if not isinstance(value, dict):
        return value
    if set(value) == {"x", "y"}:
        return Point(int(value["x"], 16), int(value["y"], 16))
    return CommitmentKey(**{name: parse(part) for name, part in value.items()})


def verify(group, vector):
    context = Context(
        **{**vector["context"], "round_key": bytes.fromhex(vector["context"]["round_key"][2:])}
    )
    fields = {name: parse(value) for name, value in vector["claim"].items()}
    data, kind = bytes.fromhex(vector["proof"][2:]), vector["kind"]
    if kind == "CommittedBit":
        bit = bits.CommittedBit(**fields)
        bits.verify_bit(group, bit, bits.decode_bit_proof(group, data), context)
    elif kind == "CommittedRange":
        claim = ranges.CommittedRange(**fields)
        proof = ranges.decode_range_proof(group, claim, data)
        ranges.verify_range(group, claim, proof, context)
    else:
        claim = getattr(claims, kind)(**fields)
        linear.verify(group, claim, linear.decode_proof(group, claim, data), context)


def name(vector):
    return vector["description"]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=name)
def test_proof__published__verifies(vector):
    verify(FAST, vector)


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=name)
def test_proof__invalid_twin__is_refused(vector):
    with pytest.raises((EncodingError, ProofError)):
        verify(FAST, VECTORS["valid"][vector["twin_of"]] | vector)


@pytest.mark.parametrize("vector", VECTORS["valid"][:3], ids=name)
def test_proof__published__verifies_with_py_ecc(vector):
    verify(PY_ECC, vector)

# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type, list-item"
import json
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from flchain.crypto.merkle import (
    compute_listed_proof,
    compute_listed_root,
    compute_proof,
    compute_root,
    verify_proof,
)
from flchain.protocol.errors import EncodingError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "merkle.json").read_text(encoding="utf-8")
)
README_ROOT = "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"
LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)


def parse(values):
    return [bytes.fromhex(value[2:]) for value in values]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["description"])
def test_tree__vector__has_its_root_and_proofs(vector):
    leaves, (root,) = parse(vector["leaves"]), parse([vector["root"]])
    assert compute_root(leaves) == root
    for leaf, proof in zip(leaves, vector["proofs"], strict=True):
        assert list(compute_proof(leaves, leaf)) == parse(proof)
        assert verify_proof(root, leaf, parse(proof))


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["description"])
def test_proof__invalid_twin__is_refused(vector):
    root, leaf = parse([vector["root"], vector["leaf"]])
    assert not verify_proof(root, leaf, parse(vector["proof"]))


def test_root__openzeppelins_example__is_the_published_one():
    # README of @openzeppelin/merkle-tree: two (address, uint256) rows.
    assert VECTORS["valid"][0]["root"] == "0x" + README_ROOT


@given(leaves=LEAVES, data=st.data())
def test_tree__any_leaves__each_proves_itself(leaves, data):
    root = compute_root(leaves)
    leaf = data.draw(st.sampled_from(leaves))
    proof = compute_proof(leaves, leaf)
    assert verify_proof(root, leaf, proof)
    assert len(proof) <= max(len(leaves) - 1, 0).bit_length()
    assert not verify_proof(root, keccak(leaf), proof)


@given(leaves=LEAVES, data=st.data())
def test_root__other_order__is_the_same(leaves, data):
    assert compute_root(data.draw(st.permutations(leaves))) == compute_root(leaves)


@given(leaves=LEAVES, data=st.data())
def test_root__another_leaf__differs(leaves, data):
    extra = data.draw(st.binary(min_size=32, max_size=32).filter(lambda x: x not in leaves))
    assert compute_root([*leaves, extra]) != compute_root(leaves)


def test_proof__leaf_of_another_tree__is_refused():
    with pytest.raises(EncodingError, match="none of the 1 leaves"):
        compute_proof([b"\1" * 32], b"\2" * 32)


def test_root__equal_leaves__still_proves_them():
    leaves = [b"\1" * 32] * 3
    assert verify_proof(compute_root(leaves), leaves[0], compute_proof(leaves, leaves[0]))


@given(LEAVES)
def test_listed_tree__any_leaves__every_place_has_its_proof(leaves):
    root = compute_listed_root(leaves)
    for index, leaf in enumerate(leaves):
        proof = compute_listed_proof(leaves, index)
        assert verify_proof(root, leaf, proof)
        assert not verify_proof(root, keccak(leaf), proof)
    assert compute_listed_root(sorted(leaves, reverse=True)) == compute_root(leaves)


def test_listed_root__other_order__differs():
    one, two, three = (bytes([number]) * 32 for number in (1, 2, 3))
    assert compute_listed_root([one, two, three]) != compute_listed_root([three, one, two])
    assert compute_listed_root([]) == bytes(32)

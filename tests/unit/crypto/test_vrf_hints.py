"""The contract's verdict on hinted proofs, in Python: same fault for whatever is sent."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_abi.abi import decode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.crypto.vrf_hints import compute_hinted_output, find_fault, hash_key, verify_hinted
from flchain.protocol.records import VrfKey, VrfProof
from flchain.protocol.reverts import VrfProofInvalid
from flchain.protocol.types import VrfFault

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/vrf.json").read_text(encoding="utf-8"))
CALL = ("(uint256,uint256)", "bytes32", f"({'uint256,' * 10}uint256[])")
WORDS = st.integers(0, 2**256 - 1)


def parse(vector):
    key, alpha, proof = decode(CALL, bytes.fromhex(vector["call"][2:]))
    *words, roots = proof
    return VrfKey(*key), alpha, VrfProof(*words, roots=tuple(roots))


VALID = parse(VECTORS["valid"][-1])


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["description"])
def test_verify__valid_vector__gives_its_output(vector):
    key, alpha, proof = parse(vector)
    assert find_fault(key, alpha, proof) == VrfFault.NONE
    output = bytes.fromhex(vector["output"][2:])
    assert verify_hinted(key, alpha, proof) == output == compute_hinted_output(proof)
    assert hash_key(key) == keccak(bytes.fromhex(vector["public_key"][2:]))


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["description"])
def test_find_fault__invalid_vector__same_fault_as_the_contract(vector):
    key, alpha, proof = parse(vector)
    assert find_fault(key, alpha, proof) == vector["fault"]
    if vector["fault"]:
        with pytest.raises(VrfProofInvalid) as caught:
            verify_hinted(key, alpha, proof)
        assert caught.value == VrfProofInvalid(VrfFault(vector["fault"]))


def test_vectors__faults__are_all_of_them():
    assert {vector["fault"] for vector in VECTORS["invalid"]} == set(VrfFault)


@pytest.mark.parametrize("name", [name for name in VrfProof.__slots__ if name != "roots"])
@settings(max_examples=10)
@given(word=WORDS)
def test_find_fault__any_word_replaced__some_fault(name, word):
    key, alpha, proof = VALID
    changed = replace(proof, **{name: word})
    assert (find_fault(key, alpha, changed) == VrfFault.NONE) == (changed == proof)


@given(alpha=st.binary(min_size=32, max_size=32), x=WORDS, parity=WORDS)
def test_find_fault__another_message_or_key__some_fault(alpha, x, parity):
    key, ours, proof = VALID
    assert (find_fault(key, alpha, proof) == VrfFault.NONE) == (alpha == ours)
    other = VrfKey(x, parity)
    assert (find_fault(other, ours, proof) == VrfFault.NONE) == (other == key)


@pytest.mark.parametrize("parity", [2, 253, 254, 2**24, 2**256 - 1])
def test_compute_hinted_output__parity_that_is_no_bit__runs_over_as_in_the_contract(parity):
    key, _, proof = VALID
    head = (0xFE03 << 240 | (2 + parity) << 232) % 2**256
    content = head.to_bytes(32, "big")[:3] + proof.gamma_x.to_bytes(32, "big") + b"\0"
    output = compute_hinted_output(replace(proof, gamma_parity=parity))
    assert output == hashlib.sha256(content).digest()
    low = ((2 + parity) % 256).to_bytes(1, "big")
    assert hash_key(replace(key, parity=parity)) == keccak(low + key.x.to_bytes(32, "big"))

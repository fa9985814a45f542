# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from flchain.protocol import digests
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import Content

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "digests.json").read_text(encoding="utf-8")
)
MANAGER = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
AGENT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
KEY = digests.round_key(31337, MANAGER, 1, 2)
CONTENT = Content(b"\x0a" * 32, b"\x0b" * 32, b"\x0c" * 32, 10**18)


def to_bytes(value):
    return bytes.fromhex(value[2:]) if isinstance(value, str) and len(value) != 42 else value


def compute(vector):
    function = getattr(digests, vector["function"])
    arguments = [to_bytes(value) for value in vector["arguments"]]
    named = {name: to_bytes(value) for name, value in vector.get("named", {}).items()}
    if vector["function"] == "content_id":
        arguments[2] = Content(*(to_bytes(value) for value in arguments[2]))
    result = function(*arguments, **named)
    return result if isinstance(result, int) else "0x" + result.hex()


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["description"])
def test_digest__vector__has_its_value(vector):
    assert compute(vector) == vector["result"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["description"])
def test_digest__altered_twin__differs(vector):
    assert compute(vector) != vector["result"]


def test_round_key__abi_encoding__is_the_contracts():
    types = ["uint256", "address", "uint64", "uint32"]
    assert keccak(encode(types, [31337, MANAGER, 1, 2])) == KEY


def test_empty_chain__round_key__keeps_its_low_240_bits():
    assert digests.empty_chain(KEY) == int.from_bytes(KEY[2:], "big")


def test_chain__order_of_submissions__matters():
    def chain(*updates):
        commitment = digests.empty_chain(KEY)
        for digest, weight in updates:
            commitment = digests.chain_submission(commitment, AGENT, digest, weight)
        return commitment

    first, second = (b"\1" * 32, 1), (b"\2" * 32, 1)
    assert chain(first, second) != chain(second, first)
    assert chain(first) != chain((b"\1" * 32, 2))
    assert chain(first, second) < 2**240


def test_survivor_root__without_submissions__binds_an_empty_list():
    expected = keccak(encode(["bytes32", "uint240", "uint256[]"], [KEY, 5, []]))
    assert digests.survivor_root(KEY, 5, (), 0) == expected


def test_survivor_root__survivor_33__is_in_the_second_word():
    expected = keccak(encode(["bytes32", "uint240", "uint256[]"], [KEY, 5, [1, 2]]))
    assert digests.survivor_root(KEY, 5, {0, 33}, 40) == expected


@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTENT, aggregate_root=bytes(32)),
        replace(CONTENT, state_digest=bytes(32)),
        replace(CONTENT, reward_root=bytes(32)),
        replace(CONTENT, reward_total=CONTENT.reward_total + 1),
    ],
)
def test_content_id__any_other_content__differs(changed):
    root, policy = b"\x0d" * 32, b"\x0e" * 32
    here = digests.content_id(KEY, root, CONTENT, policy, 3)
    assert digests.content_id(KEY, root, changed, policy, 3) != here
    assert digests.content_id(KEY, root, CONTENT, policy, 4) != here


def test_reward_leaf__one_hash_more__is_not_an_inner_node():
    types = ["uint256", "address", "bytes32", "uint256", "address", "uint96"]
    once = keccak(encode(types, [1, MANAGER, KEY, 0, AGENT, 5]))
    leaf = digests.reward_leaf(1, MANAGER, KEY, index=0, account=AGENT, amount=5)
    assert leaf == keccak(once)


@pytest.mark.parametrize(
    ("seats", "quorum", "majority"), [(1, 1, 1), (3, 3, 2), (4, 3, 3), (5, 4, 3), (21, 15, 11)]
)
def test_quorum_and_majority__seats__are_the_rule_books(seats, quorum, majority):
    assert digests.compute_quorum(seats) == quorum
    assert digests.compute_majority(seats) == majority


@given(seats=st.integers(1, 64))
def test_quorum__two_of_them__share_more_than_a_third(seats):
    overlap = 2 * digests.compute_quorum(seats) - seats
    assert 3 * overlap > seats
    assert 2 * digests.compute_majority(seats) > seats


@given(count=st.integers(0, 600), data=st.data())
def test_bitmap__any_set__decodes_to_itself(count, data):
    chosen = data.draw(st.sets(st.integers(0, max(count - 1, 0)), max_size=count))
    bitmap = digests.encode_bitmap(chosen, count)
    assert digests.decode_bitmap(bitmap) == chosen
    assert len(bitmap) == max(-(-count // 224), 1)
    assert all(word < 2**224 for word in bitmap)


@pytest.mark.parametrize(
    "changes",
    [{"amount": 2**96}, {"amount": -1}, {"account": "0xnobody"}, {"account": 7}, {"index": "1"}],
)
def test_reward_leaf__value_that_does_not_fit__is_an_encoding_error(changes):
    fields = {"index": 0, "account": AGENT, "amount": 5} | changes
    with pytest.raises(EncodingError, match="do not fit"):
        digests.reward_leaf(1, MANAGER, KEY, **fields)


def test_bitmap__index_beyond_the_round__is_refused():
    with pytest.raises(IndexError):
        digests.encode_bitmap({224}, 224)

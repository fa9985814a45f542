"""Headers, transactions, receipts and tries against public vectors and a recorded chain."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from flchain.chain.proofs.blocks import verify_block
from flchain.chain.proofs.fields import decode_data, decode_quantity
from flchain.chain.proofs.headers import (
    compute_bloom,
    decode_header,
    may_hold_logs,
    verify_link,
)
from flchain.chain.proofs.layout import encode_text, locate, locate_items, pack
from flchain.chain.proofs.receipts import compute_logs_bloom, decode_receipt, encode_receipt
from flchain.chain.proofs.transactions import decode_transaction
from flchain.chain.proofs.tries import (
    EMPTY_ROOT,
    compute_ordered_root,
    compute_storage_root,
    verify_account,
    verify_slot,
)
from flchain.protocol.errors import EncodingError, ProofError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "proofs.json").read_text())
BLOCKS, RECEIPTS = VECTORS["blocks"], VECTORS["receipts"]
FULL = [number for number, block in enumerate(BLOCKS) if block["transactions"]]
TRANSACTIONS = [transaction for block in BLOCKS for transaction in block["transactions"]]

GENESIS = {
    "number": "0x0",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": f"0x{'00' * 32}",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": f"0x{'00' * 20}",
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": f"0x{'00' * 256}",
    "difficulty": "0x400000000",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": f"0x{'00' * 32}",
    "nonce": "0x0000000000000042",
}
"""Block 0 of Ethereum's main network."""

EIP_155 = {
    "type": "0x0",
    "nonce": "0x9",
    "gasPrice": "0x4a817c800",
    "gas": "0x5208",
    "to": f"0x{'35' * 20}",
    "value": "0xde0b6b3a7640000",
    "input": "0x",
    "v": "0x25",
    "r": "0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276",
    "s": "0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
    "from": "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f",
    "hash": "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788",
}
"""The example of EIP-155."""


def to_bytes(text):
    return bytes.fromhex(text.removeprefix("0x"))


def verify(number, **changes):
    header = decode_header(BLOCKS[number])
    transactions = changes.get("transactions", BLOCKS[number]["transactions"])
    return verify_block(header, transactions, changes.get("receipts", RECEIPTS[number]))


def change_digit(text, place):
    digits = list(text)
    digits[place] = "e" if digits[place] != "e" else "d"
    return "".join(digits)


# Headers


def test_decode_header__main_network_genesis__has_its_hash():
    assert decode_header(GENESIS).hash.hex() == GENESIS["hash"][2:]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_decode_header__recorded_block__has_its_hash(number):
    header = decode_header(BLOCKS[number])
    assert (header.number, header.hash) == (number, to_bytes(BLOCKS[number]["hash"]))


@pytest.mark.parametrize(
    "name", [name for name in GENESIS if name not in {"hash", "number"}] + ["baseFeePerGas"]
)
def test_decode_header__altered_field__is_found(name):
    block = dict(BLOCKS[-1])
    block[name] = change_digit(block.get(name, "0x00"), -1) if block[name] != "0x" else "0x01"
    with pytest.raises(ProofError, match="a field of the header was altered"):
        decode_header(block)


def test_decode_header__dropped_optional_field__is_found():
    block = {name: value for name, value in BLOCKS[-1].items() if name != "requestsHash"}
    with pytest.raises(ProofError):
        decode_header(block)


@pytest.mark.parametrize("value", [None, "", "zz", "0xzz", 7, "0x1", "0x", [], f"0x{'00' * 31}"])
def test_decode_header__malformed_field__is_no_traceback(value):
    with pytest.raises(EncodingError):
        decode_header({**GENESIS, "stateRoot": value})


def test_verify_link__recorded_chain__holds():
    headers = [decode_header(block) for block in BLOCKS]
    for parent, child in pairwise(headers):
        verify_link(parent, child)


def test_verify_link__other_parent__is_found():
    first, second, third, *_ = [decode_header(block) for block in BLOCKS]
    with pytest.raises(ProofError, match="different chains"):
        verify_link(first, third)
    with pytest.raises(ProofError, match="different chains"):
        verify_link(replace(first, hash=bytes(32)), second)


def test_may_hold_logs__block_with_logs_of_the_token__is_true():
    bloom = compute_bloom(to_bytes(VECTORS["token"]))
    assert [may_hold_logs(decode_header(block), [bloom]) for block in BLOCKS] == [
        any(receipt["logs"] for receipt in receipts) for receipts in RECEIPTS
    ]


# Transactions


def test_decode_transaction__example_of_eip_155__has_hash_and_sender():
    transaction = decode_transaction(EIP_155)
    assert transaction.hash.hex() == EIP_155["hash"][2:]
    assert transaction.sender.lower() == EIP_155["from"]
    assert transaction.chain_id == 1


@pytest.mark.parametrize("raw", TRANSACTIONS, ids=lambda raw: f"type {raw['type']}")
def test_decode_transaction__every_type__has_hash_sender_and_chain(raw):
    transaction = decode_transaction(raw)
    assert transaction.hash == to_bytes(raw["hash"]) == keccak(transaction.encoded)
    assert transaction.sender.lower() == raw["from"]
    assert transaction.chain_id == 31337


def test_decode_transaction__recorded_types__are_all_but_blobs():
    assert {raw["type"] for raw in TRANSACTIONS} == {"0x0", "0x1", "0x2", "0x4"}


def test_decode_transaction__blob_transaction__has_the_hash_of_another_implementation():
    fields = {
        "type": 3,
        "chainId": 1,
        "nonce": 3,
        "gas": 21_000,
        "to": f"0x{'35' * 20}",
        "value": 1,
        "data": "0x",
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "maxFeePerBlobGas": 10**10,
        "blobVersionedHashes": [f"0x01{'ab' * 31}"],
        "accessList": [],
    }
    account = Account.from_key(bytes([7]) * 32)
    signed = account.sign_transaction(fields)
    raw = {
        name: hex(value) if isinstance(value, int) else value for name, value in fields.items()
    } | {
        "input": "0x",
        "yParity": hex(signed.v),
        "r": hex(signed.r),
        "s": hex(signed.s),
        "hash": f"0x{signed.hash.hex()}",
        "from": account.address.lower(),
    }
    assert decode_transaction(raw).sender == account.address


@pytest.mark.parametrize("name", ["nonce", "gas", "value", "to", "input", "r", "s"])
@pytest.mark.parametrize("raw", TRANSACTIONS[1:], ids=lambda raw: f"type {raw['type']}")
def test_decode_transaction__altered_field__is_found(raw, name):
    text = raw[name] if len(raw[name]) > 3 else "0x11"
    with pytest.raises((ProofError, EncodingError)):
        decode_transaction({**raw, name: change_digit(text, -1)})


def test_decode_transaction__other_sender__is_found():
    with pytest.raises(ProofError, match="is signed by"):
        decode_transaction({**EIP_155, "from": f"0x{'12' * 20}"})


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "0x7e"},
        {"to": "0x12"},
        {"input": None},
        {"value": "-1"},
        {"r": f"0x{'ff' * 33}"},
        {"v": "0x2", "type": "0x2", "chainId": "0x1"},
    ],
)
def test_decode_transaction__malformed__is_no_traceback(changes):
    with pytest.raises(EncodingError):
        decode_transaction({**EIP_155, **changes})


# Receipts and blocks


@pytest.mark.parametrize("number", FULL)
def test_verify_block__recorded__gives_every_step(number):
    block = verify(number)
    assert [step.transaction.hash for step in block.steps] == [
        to_bytes(raw["hash"]) for raw in BLOCKS[number]["transactions"]
    ]


def test_decode_receipt__refused_transaction__is_no_success():
    receipts = [decode_receipt(raw) for raws in RECEIPTS for raw in raws]
    assert [receipt.is_success for receipt in receipts] == [True] * 5 + [False]
    assert all(compute_logs_bloom(receipt) == receipt.bloom for receipt in receipts)


def test_verify_block__swapped_transactions__are_found():
    first, second, *rest = BLOCKS[2]["transactions"]
    with pytest.raises(ProofError, match="added, dropped, altered or moved"):
        verify(2, transactions=[second, first, *rest])


def test_verify_block__dropped_transaction_and_receipt__are_found():
    with pytest.raises(ProofError, match="added, dropped, altered or moved"):
        verify(2, transactions=BLOCKS[2]["transactions"][:-1], receipts=RECEIPTS[2][:-1])


def test_verify_block__missing_receipt__is_found():
    with pytest.raises(ProofError, match="receipts give the root"):
        verify(2, receipts=RECEIPTS[2][:-1])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "0x0"}, "the status of receipt 1 was altered"),
        ({"logs": []}, "a log of receipt 1 was dropped, added or altered"),
        ({"cumulativeGasUsed": "0x1"}, "a receipt, or the data of a log, was altered"),
        ({"type": "0x2"}, "a receipt, or the data of a log, was altered"),
    ],
)
def test_verify_block__altered_receipt__says_what(change, expected):
    first, second, *rest = RECEIPTS[2]
    with pytest.raises(ProofError, match=expected):
        verify(2, receipts=[first, {**second, **change}, *rest])


@given(st.data())
def test_verify_block__any_altered_digit_of_a_receipt__is_found(data):
    number = data.draw(st.sampled_from(FULL))
    place = data.draw(st.integers(0, len(RECEIPTS[number]) - 1))
    receipts = json.loads(json.dumps(RECEIPTS[number]))
    receipt = receipts[place]
    names = ["cumulativeGasUsed", "logsBloom", *(["log"] if receipt["logs"] else [])]
    name = data.draw(st.sampled_from(names))
    if name == "log":
        log = receipt["logs"][0]
        field = data.draw(st.sampled_from(["data", "address"]))
        log[field] = change_digit(log[field], data.draw(st.integers(2, len(log[field]) - 1)))
    else:
        digit = data.draw(st.integers(2, len(receipt[name]) - 1))
        receipt[name] = change_digit(receipt[name], digit)
    with pytest.raises(ProofError):
        verify(number, receipts=receipts)


def test_encode_receipt__typed__starts_with_its_type():
    raws = [raw for raws in RECEIPTS for raw in raws]
    for raw in raws:
        encoded = encode_receipt(decode_receipt(raw))
        kind = decode_quantity(raw, "type")
        assert (encoded[0] == kind) if kind else encoded[0] >= 0xC0


# Tries


def test_compute_ordered_root__nothing__is_the_empty_root():
    assert compute_ordered_root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == GENESIS["transactionsRoot"][2:]


def get_proof(name="accountProof"):
    return [to_bytes(node) for node in VECTORS["proof"][name]]


def get_state_root():
    return decode_header(BLOCKS[-1]).state_root


def test_verify_account__recorded_proof__gives_code_and_storage():
    account = verify_account(get_state_root(), to_bytes(VECTORS["token"]), get_proof())
    assert account.storage_root == to_bytes(VECTORS["proof"]["storageHash"])
    assert account.code_hash == to_bytes(VECTORS["proof"]["codeHash"])


@given(st.data())
def test_verify_account__any_altered_byte__is_found(data):
    proof = [bytearray(node) for node in get_proof()]
    node = data.draw(st.sampled_from(proof))
    node[data.draw(st.integers(0, len(node) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProofError):
        verify_account(get_state_root(), to_bytes(VECTORS["token"]), [bytes(n) for n in proof])


@pytest.mark.parametrize("proof", [[], [b""], [b"\xc0"], [b"\xff" * 9], get_proof()[:-1]])
def test_verify_account__incomplete_or_malformed_proof__is_found(proof):
    with pytest.raises(ProofError):
        verify_account(get_state_root(), to_bytes(VECTORS["token"]), proof)


def test_verify_account__stranger__is_no_account():
    with pytest.raises(ProofError):
        verify_account(get_state_root(), bytes(20), get_proof())


def test_verify_slot__recorded_proofs__give_the_balances():
    root = to_bytes(VECTORS["proof"]["storageHash"])
    values = {}
    for slot, raw in zip(VECTORS["slots"], VECTORS["proof"]["storageProof"], strict=True):
        nodes = [to_bytes(node) for node in raw["proof"]]
        values[int(slot)] = verify_slot(root, int(slot), nodes)
    supply = 10**24
    assert values == {
        locate(0, VECTORS["account"]): supply - 15,
        locate(0, VECTORS["stranger"]): 15,
        2: supply,
        99: 0,
    }


def test_verify_slot__proof_of_another_slot__is_found():
    root = to_bytes(VECTORS["proof"]["storageHash"])
    nodes = [to_bytes(node) for node in VECTORS["proof"]["storageProof"][0]["proof"]]
    with pytest.raises(ProofError):
        verify_slot(root, locate(0, f"0x{'77' * 20}"), nodes[1:])


def test_compute_storage_root__all_slots_of_the_token__is_the_proven_root():
    account, stranger = VECTORS["account"], VECTORS["stranger"]
    slots = {
        locate(0, account): 10**24 - 15,
        locate(0, stranger): 15,
        2: 10**24,
        3: encode_text("flchain local token"),
        4: encode_text("FLC"),
    }
    root = to_bytes(VECTORS["proof"]["storageHash"])
    assert compute_storage_root(slots) == root
    assert compute_storage_root({**slots, 50: 0}) == root
    assert compute_storage_root({**slots, 50: 1}) != root
    assert compute_storage_root({**slots, 50: 0}, keeps_zeros=True) != root


# Layout and fields


def test_locate__nested_mapping__hashes_key_by_key():
    inner = int.from_bytes(keccak((5).to_bytes(32, "big") + (1).to_bytes(32, "big")), "big")
    outer = int.from_bytes(keccak(bytes(12) + bytes([9]) * 20 + inner.to_bytes(32, "big")), "big")
    assert locate(1, 5, f"0x{'09' * 20}") == outer


def test_locate_items__array__starts_at_the_hash_of_its_slot():
    assert locate_items(3) == int.from_bytes(keccak((3).to_bytes(32, "big")), "big")


def test_pack__fields__fill_from_the_lowest_byte_and_never_straddle():
    address, digest = f"0x{'ab' * 20}", bytes(range(32))
    words = pack(
        ("uint96", "address", "bool", "bytes32", "uint16"), (7, address, True, digest, 513)
    )
    assert words == [
        7 | int(address, 16) << 96,
        1,
        int.from_bytes(digest, "big"),
        513,
    ]


def test_encode_text__longer_than_a_slot__is_refused():
    assert encode_text("FLC") == int.from_bytes(b"FLC".ljust(31, b"\0") + b"\x06", "big")
    with pytest.raises(ValueError, match="xxx"):
        encode_text("x" * 32)


@pytest.mark.parametrize("value", ["12", "0x", "0xg", 12, None, "0x1 2"])
def test_decode_quantity__malformed__is_refused(value):
    with pytest.raises(EncodingError):
        decode_quantity({"number": value}, "number")


@pytest.mark.parametrize("value", ["12", "0x1", "0xgg", 12, None, "0x" + "00" * 33])
def test_decode_data__malformed__is_refused(value):
    with pytest.raises(EncodingError):
        decode_data({"root": value}, "root", 32)

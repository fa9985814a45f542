import hashlib
from dataclasses import replace

import pytest

from flchain.protocol.canonical import decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.manifest import (
    LEAF_SIZE,
    build_manifest,
    compute_content_root,
    compute_manifest_digest,
    decode_manifest,
    encode_manifest,
    verify_binding,
    verify_payload,
)

PAYLOAD = bytes(range(256)) * 700
CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
AGENT = "0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B"


def make_manifest(**changes):
    fields = {
        "kind": "update",
        "cid": CID,
        "dtype": "int32",
        "shape_digest": bytes(32),
        "round_key": b"\x01" * 32,
        "agent": AGENT,
        "policy_digest": b"\x02" * 32,
    }
    return build_manifest(PAYLOAD, **(fields | changes))


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_manifest__round_trip__gives_the_same_record_and_digest():
    manifest = make_manifest()
    block = encode_manifest(manifest)
    assert decode_manifest(block) == manifest
    assert compute_manifest_digest(manifest) == hashlib.sha256(block).digest()


def test_manifest__absent_fields__are_empty_strings():
    manifest = build_manifest(b"", kind="state", cid=CID, dtype="int64")
    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert (manifest.agent, manifest.round_key, manifest.length) == ("", "", 0)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        ({"format": "flchain-manifest-v2"}, "not a flchain-manifest-v1"),
        ({"extra": "x"}, "unknown key 'extra'"),
        ({"cid": None}, "key 'cid' is missing"),
        ({"kind": "malware"}, "kind is one of"),
        ({"length": "5"}, "length must be an integer"),
        ({"length": True}, "length must be an integer"),
        ({"length": -1}, "length is not negative"),
        ({"dtype": 3}, "all else a string"),
        ({"dtype": "float32"}, "dtype is one of"),
        ({"cid": "../../etc/passwd"}, "cid is a CIDv1"),
        ({"root": "00"}, "root is 32 bytes"),
        ({"root": "AB" * 32}, "root is 32 bytes"),
        ({"round_key": "0x" + "00" * 31}, "digests and round_key"),
        ({"agent": AGENT}, "agent is a lower-case address"),
    ],
)
def test_decode__wrong_document__is_refused(edit, error):
    document = decode_canonical(encode_manifest(make_manifest())) | edit
    block = encode_canonical({k: v for k, v in document.items() if v is not None})
    with pytest.raises(EncodingError, match=error):
        decode_manifest(block)


@pytest.mark.parametrize("block", [b"", b"{}", b"[]", b"7", b'{"format":1}', b"\xff" * 9])
def test_decode__no_manifest_at_all__is_refused(block):
    with pytest.raises(EncodingError):
        decode_manifest(block)


def test_decode__duplicate_key__is_refused():
    block = encode_manifest(make_manifest())
    with pytest.raises(EncodingError, match="twice"):
        decode_manifest(block[:-1] + b',"kind":"state"}')


def test_encode__malformed_record__is_refused():
    with pytest.raises(EncodingError, match="agent"):
        encode_manifest(replace(make_manifest(), agent="somebody"))


def test_verify_payload__right_bytes__passes():
    verify_payload(make_manifest(), PAYLOAD)


def test_verify_payload__one_flipped_byte__names_the_root():
    flipped = bytearray(PAYLOAD)
    flipped[LEAF_SIZE + 3] ^= 1
    with pytest.raises(ProofError, match="content root"):
        verify_payload(make_manifest(), bytes(flipped))


def test_verify_payload__cut_short__names_the_length():
    with pytest.raises(ProofError, match="length is 179199 bytes"):
        verify_payload(make_manifest(), PAYLOAD[:-1])


def test_verify_binding__matching_fields__passes_in_any_case_of_the_address():
    verify_binding(make_manifest(), kind="update", agent=AGENT, round_key=b"\x01" * 32)


@pytest.mark.parametrize(
    "expected",
    [
        {"kind": "state"},
        {"round_key": b"\x03" * 32},
        {"agent": "0x" + "00" * 20},
        {"dtype": "int64"},
    ],
)
def test_verify_binding__other_field__is_named(expected):
    with pytest.raises(ProofError, match=next(iter(expected))):
        verify_binding(make_manifest(), **expected)


def test_content_root__known_sizes__follow_rfc_9162():
    a, b, c = (bytes([i]) * LEAF_SIZE for i in range(3))
    assert compute_content_root(b"") == hashlib.sha256(b"").digest()
    assert compute_content_root(b"x") == leaf(b"x")
    assert compute_content_root(a) == leaf(a)
    assert compute_content_root(a + b"x") == node(leaf(a), leaf(b"x"))
    three = node(node(leaf(a), leaf(b)), leaf(c))
    assert compute_content_root(a + b + c) == three
    five = node(node(node(leaf(a), leaf(b)), node(leaf(c), leaf(a))), leaf(b))
    assert compute_content_root(a + b + c + a + b) == five


def test_content_root__leaf_that_spells_a_node__has_another_root():
    left, right = leaf(b"l" * LEAF_SIZE), leaf(b"r" * LEAF_SIZE)
    assert compute_content_root(left + right) != node(left, right)

import hashlib

import pytest

from flchain.protocol.types import Digest
from flchain.storage.cid import (
    Cid,
    Codec,
    InvalidCid,
    cid_from_digest,
    compute_raw_cid,
    decode_cid,
    decode_cid_prefix,
)
from tests.unit.storage.keystream import VECTORS, describe


@pytest.mark.parametrize("case", VECTORS["cids"], ids=describe)
def test_cid__vector__decodes_and_encodes(case):
    cid = Cid(Digest(bytes.fromhex(case["digest"])), Codec[case["codec"]], case["version"])
    assert decode_cid(case["text"]) == cid
    assert str(cid) == case["text"]
    assert bytes(cid).hex() == case["hex"]
    assert decode_cid_prefix(bytes(cid) + b"more") == (cid, len(bytes(cid)))


@pytest.mark.parametrize("case", VECTORS["invalid_cid_texts"], ids=describe)
def test_decode_cid__invalid_text__is_refused(case):
    with pytest.raises(InvalidCid):
        decode_cid(case["text"])


@pytest.mark.parametrize("case", VECTORS["invalid_cid_bytes"], ids=describe)
def test_decode_cid_prefix__invalid_bytes__are_refused(case):
    with pytest.raises(InvalidCid):
        decode_cid_prefix(bytes.fromhex(case["hex"]))


def test_cid_from_digest__digest_of_a_block__is_its_cid():
    digest = Digest(hashlib.sha256(b"manifest").digest())
    assert cid_from_digest(digest) == compute_raw_cid(b"manifest")
    assert cid_from_digest(digest).digest == digest


def test_cid__version_0_and_1__differ_for_one_digest():
    digest = Digest(bytes(32))
    assert Cid(digest, Codec.DAG_PB, 0) != Cid(digest, Codec.DAG_PB, 1)


@pytest.mark.parametrize(
    ("digest", "codec", "version"),
    [
        (bytes(31), Codec.RAW, 1),
        (bytes(33), Codec.RAW, 1),
        (bytes(32), Codec.RAW, 0),
        (bytes(32), Codec.RAW, 2),
    ],
)
def test_cid__without_an_encoding__is_refused(digest, codec, version):
    with pytest.raises(InvalidCid):
        Cid(Digest(digest), codec, version)

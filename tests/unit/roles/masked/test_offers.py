"""The documents in which agents offer their signed records."""

import pytest

from flchain.protocol.canonical import decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import Phase
from flchain.roles.masked.offers import MAX_OFFER, Offer, decode_offer, encode_offer

OFFER = Offer(Phase.SUBMIT, b"\1" * 32, SignedRecord(b"\2" * 32, b"\3" * 32, b"\4" * 32))
VALID = decode_canonical(encode_offer(OFFER))


def test_decode__valid_document__is_read():
    assert decode_offer(encode_canonical(VALID)) == OFFER


@pytest.mark.parametrize(
    "document",
    [
        [],
        "record",
        {**VALID, "format": "flchain-record-v2"},
        {**VALID, "more": 1},
        {name: value for name, value in VALID.items() if name != "vs"},
        {**VALID, "phase": 3},
        {**VALID, "phase": 5},
        {**VALID, "phase": 0},
        {**VALID, "phase": 99},
        {**VALID, "phase": True},
        {**VALID, "phase": "1"},
        {**VALID, "digest": "02" * 31},
        {**VALID, "digest": "02" * 33},
        {**VALID, "digest": "0A" * 32},
        {**VALID, "r": "zz" * 32},
        {**VALID, "vs": 4},
        {**VALID, "anchor": ["01" * 32]},
    ],
)
def test_decode__anything_else__is_refused(document):
    with pytest.raises(EncodingError, match="record"):
        decode_offer(encode_canonical(document))


def test_decode__too_long_or_no_document__is_refused():
    for data in (b"", b"{", b" " * (MAX_OFFER + 1), encode_offer(OFFER) + b"\n"):
        with pytest.raises(EncodingError):
            decode_offer(data)

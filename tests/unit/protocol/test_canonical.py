import json
from pathlib import Path

import pytest

from flchain.protocol.canonical import CanonicalValue, decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "canonical.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["description"])
def test_canonical__valid_vector__encodes_and_decodes(vector):
    assert encode_canonical(vector["value"]).hex() == vector["hex"]
    assert decode_canonical(bytes.fromhex(vector["hex"])) == vector["value"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["description"])
def test_canonical__invalid_vector__is_refused(vector):
    with pytest.raises(EncodingError, match=vector["error"]):
        decode_canonical(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize(
    "value", [1.5, None, 2**53, -(2**53), {1: 2}, b"x", "\ud800", {"\udfff": 1}]
)
def test_encode__value_outside_the_subset__is_refused(value):
    with pytest.raises(EncodingError):
        encode_canonical(value)


def test_encode__depth_at_the_limit__is_allowed_and_beyond_is_not():
    value: CanonicalValue = 1
    for _ in range(16):
        value = [value]
    assert decode_canonical(encode_canonical(value)) == value
    with pytest.raises(EncodingError, match="deeper"):
        encode_canonical([value])


def test_decode__nesting_that_exhausts_the_parser__is_refused():
    with pytest.raises(EncodingError, match="deeper"):
        decode_canonical(b"[" * 60_000)


@pytest.mark.parametrize("text", ["[" * 99, '{"\\"' * 20, 'a"[[\\"[' * 9, "]" * 17 + "\\"])
def test_decode__brackets_in_strings__are_no_nesting(text):
    value = [text, {text: [text]}]
    assert decode_canonical(encode_canonical(value)) == value


def test_decode__too_many_bytes__is_refused_before_parsing():
    with pytest.raises(EncodingError, match="at most 8"):
        decode_canonical(b'"' + b"a" * 10 + b'"', max_size=8)


def test_decode__million_digit_integer__is_refused():
    with pytest.raises(EncodingError, match="2\\^53"):
        decode_canonical(b"9" * 60_000)

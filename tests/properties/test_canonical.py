import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.protocol.canonical import MAX_INTEGER, decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.manifest import compute_content_root, decode_manifest
from flchain.protocol.policy import decode_policy

text = st.text(st.characters(codec="utf-8"))
scalars = st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20
)


@given(values)
def test_canonical__any_value__round_trips(value):
    encoded = encode_canonical(value)
    assert decode_canonical(encoded) == value
    assert json.loads(encoded) == value


@given(st.dictionaries(text, scalars), st.randoms(use_true_random=False))
def test_canonical__any_key_order__gives_the_same_bytes(value, shuffler):
    items = shuffler.sample(list(value.items()), len(value))
    assert encode_canonical(dict(items)) == encode_canonical(value)


@given(values, st.sampled_from([1, 2, None]))
def test_canonical__ordinary_json_spelling__is_refused_unless_the_same(value, indent):
    spelled = json.dumps(value, indent=indent).encode()
    if spelled != encode_canonical(value):
        with pytest.raises(EncodingError):
            decode_canonical(spelled)


@given(st.binary(max_size=200))
def test_decoders__any_bytes__raise_nothing_but_encoding_errors(data):
    with contextlib.suppress(EncodingError):
        assert encode_canonical(decode_canonical(data)) == data
    for decode in (decode_manifest, decode_policy):
        with pytest.raises(EncodingError):
            decode(data)


@given(st.binary(max_size=300), st.integers(0, 5), st.integers(0, 2**30))
def test_content_root__one_flipped_bit__changes_the_root(tail, leaves, where):
    payload = bytearray(leaves * 65_536) + tail
    root = compute_content_root(bytes(payload))
    if payload:
        payload[where % len(payload)] ^= 1 << where % 8
        assert compute_content_root(bytes(payload)) != root

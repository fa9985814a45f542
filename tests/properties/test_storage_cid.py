import contextlib

from hypothesis import given
from hypothesis import strategies as st

from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Digest
from flchain.storage.cid import Cid, Codec, InvalidCid, decode_cid, decode_cid_prefix
from flchain.storage.varint import decode_varint, encode_varint

digests = st.binary(min_size=32, max_size=32).map(Digest)
cids = st.one_of(
    st.builds(Cid, digests, st.sampled_from(Codec)),
    st.builds(Cid, digests, st.just(Codec.DAG_PB), st.just(0)),
)


@given(cids)
def test_cid__any__round_trips_in_both_forms(cid):
    assert decode_cid(str(cid)) == cid
    assert decode_cid_prefix(bytes(cid)) == (cid, len(bytes(cid)))


@given(cids, st.data())
def test_cid_text__one_letter_changed__is_another_cid_or_refused(cid, data):
    text = str(cid)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters().filter(lambda letter: letter != text[at]))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        assert decode_cid(changed) != cid
    except InvalidCid:
        pass
    else:
        assert str(decode_cid(changed)) == changed


@given(st.text(max_size=80))
def test_decode_cid__any_text__is_refused_cleanly_or_canonical(text):
    with contextlib.suppress(InvalidCid):
        assert str(decode_cid(text)) == text


@given(st.binary(max_size=80))
def test_decode_cid_prefix__any_bytes__are_refused_cleanly_or_exact(data):
    try:
        cid, length = decode_cid_prefix(data)
    except InvalidCid:
        return
    assert bytes(cid) == data[:length]


@given(st.integers(0, 2**63 - 1), st.binary(max_size=3))
def test_varint__any__round_trips(value, rest):
    data = encode_varint(value)
    assert decode_varint(data + rest, 0, EncodingError) == (value, len(data))


@given(st.binary(max_size=12))
def test_decode_varint__any_bytes__have_one_encoding(data):
    try:
        value, end = decode_varint(data, 0, EncodingError)
    except EncodingError:
        return
    assert encode_varint(value) == data[:end]

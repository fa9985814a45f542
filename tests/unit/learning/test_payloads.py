import hashlib
import json

import numpy as np
import pytest

from flchain.learning.parameters import QuantizedUpdate, State, flatten, unflatten
from flchain.learning.payloads import (
    MAGIC,
    Payload,
    PayloadSchema,
    compute_shape_digest,
    decode_payload,
    encode_payload,
)
from flchain.learning.presets import load_preset
from flchain.learning.schemas import (
    decode_state,
    decode_update,
    encode_state,
    encode_update,
    get_update_schema,
)
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Layer

KEY = b"\x07" * 32
AGENT = "0x" + "0a" * 20
LAYERS = (Layer("w", (2, 2)), Layer("b", (2,)))
OWN = {"architecture": "own", "layers": [{"name": "w", "shape": [4]}]}
POLICY = load_preset("digits", {"model": OWN})
UPDATE = QuantizedUpdate({"delta": np.arange(4, dtype=np.int32)}, {"samples": 9})
DATA = encode_update(UPDATE, POLICY, round_key=KEY, agent=AGENT)


def decode(data, **changes):
    return decode_update(data, POLICY, **({"round_key": KEY, "agent": AGENT} | changes))


def rewrite_header(edit):
    """Return the update with `edit` applied to its header and everything else kept."""
    size = int.from_bytes(DATA[8:12], "little")
    header = json.loads(DATA[12 : 12 + size])
    edit(header)
    block = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    prefix = MAGIC + len(block).to_bytes(4, "little") + block
    return prefix + bytes(-len(prefix) % 64) + DATA[-16:]


def test_update__layout__is_prefix_header_padding_and_integers():
    size = int.from_bytes(DATA[8:12], "little")
    assert DATA[:8] == b"flchain\x01"
    assert json.loads(DATA[12 : 12 + size]) == {
        "agent": AGENT,
        "dtype": "int32",
        "kind": "update",
        "round_key": KEY.hex(),
        "scalars": {"samples": 9},
        "scale_bits": POLICY.update.shift,
        "sections": [["delta", 4]],
    }
    assert (len(DATA) - 16) % 64 == 0
    assert DATA[-16:] == bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])


def test_update__decoded_arrays__cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        decode(DATA).sections["delta"][0] = 1


def test_update__agent_in_another_case__is_the_same_agent():
    assert decode(DATA, agent=AGENT.upper().replace("X", "x")).scalars == {"samples": 9}


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda h: h.update(kind="state"), "kind is state, expected update"),
        (lambda h: h.update(dtype="int64"), "dtype is int64"),
        (lambda h: h.update(scale_bits=3), "scale_bits is 3"),
        (lambda h: h.update(round_key="08" * 32), "round_key is 0808"),
        (lambda h: h.update(agent="0x" + "0b" * 20), "agent is 0x0b"),
        (lambda h: h.update(sections=[["control", 4]]), "sections is"),
        (lambda h: h.update(sections=[["delta", 5]]), "sections is"),
        (lambda h: h.update(sections=[["delta", 4], ["delta", 4]]), "sections is"),
        (lambda h: h.update(url="http://x"), "url is http://x, expected None"),
        (lambda h: h.pop("agent"), "agent is None"),
        (lambda h: h.pop("scalars"), "scalars is None"),
        (lambda h: h["scalars"].update(loss=1), "scalars is"),
        (lambda h: h["scalars"].clear(), "scalars is"),
        (lambda h: h["scalars"].update(samples=-1), "'samples' is not a non-negative"),
        (lambda h: h["scalars"].update(samples=True), "'samples' is not a non-negative"),
        (lambda h: h["scalars"].update(samples="9"), "'samples' is not a non-negative"),
        (lambda h: h["scalars"].update(samples=0), "samples is 0"),
        (lambda h: h.update(scale_bits=True), "scale_bits is True"),
    ],
)
def test_update__other_header__is_refused_by_key(edit, error):
    with pytest.raises(EncodingError, match=error):
        decode(rewrite_header(edit))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "do not begin"),
        (MAGIC, "do not begin"),
        (b"PK" + DATA[2:], "do not begin"),
        (DATA[:8] + b"\xff\xff\xff\xff" + DATA[12:], "do not fit"),
        (DATA[:8] + b"\x02\x00\x00\x00" + DATA[12:], "canonical JSON"),
        (DATA[:60], "do not fit"),
        (DATA[:-1], "bytes, expected"),
        (DATA + b"\0", "bytes, expected"),
        (DATA[:-17] + b"\1" + DATA[-16:], "padding"),
        (MAGIC + b"\x02\0\0\0[]" + bytes(50), "not an object"),
    ],
)
def test_update__other_bytes__are_refused(data, error):
    with pytest.raises(EncodingError, match=error):
        decode(data)


@pytest.mark.parametrize(
    ("value", "error"),
    [(2**18 + 1, "the bound is 262144"), (-(2**31), "the bound is 262144")],
)
def test_update__coordinate_beyond_the_bound__is_refused(value, error):
    data = DATA[:-4] + int(value).to_bytes(4, "little", signed=True)
    with pytest.raises(EncodingError, match=error):
        decode(data)


def test_update__longer_than_the_clip__is_refused():
    strict = load_preset("digits", {"model": OWN, "update.clip": "0.001"})
    data = encode_update(
        QuantizedUpdate({"delta": np.full(4, 70, np.int32)}, {"samples": 9}),
        strict,
        round_key=KEY,
        agent=AGENT,
    )
    with pytest.raises(EncodingError, match="L2 norm of 'delta' is beyond the clip of 131"):
        decode_update(data, strict, round_key=KEY, agent=AGENT)


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (QuantizedUpdate({"delta": np.zeros(5, np.int32)}, {"samples": 1}), "shape"),
        (QuantizedUpdate({"delta": np.zeros((2, 2), np.int32)}, {"samples": 1}), "shape"),
        (QuantizedUpdate({"delta": np.zeros(4, np.int64)}, {"samples": 1}), "int64"),
        (QuantizedUpdate({"delta": np.zeros(4, np.float32)}, {"samples": 1}), "float32"),
        (QuantizedUpdate({"control": np.zeros(4, np.int32)}, {"samples": 1}), "control"),
        (QuantizedUpdate({"delta": np.zeros(4, np.int32)}, {}), "samples"),
    ],
)
def test_encode__update_that_does_not_fit__is_refused(update, error):
    with pytest.raises(EncodingError, match=error):
        encode_update(update, POLICY, round_key=KEY, agent=AGENT)


def test_state__value_beyond_the_limit__is_refused():
    data = encode_state(State({"params": np.array([0, 0, 0, 2**62 + 1])}), POLICY)
    with pytest.raises(EncodingError, match="beyond 2\\^62"):
        decode_state(data, POLICY)


def test_state__bytes_of_an_update__are_refused():
    with pytest.raises(EncodingError, match="state: "):
        decode_state(DATA, POLICY)


def test_shape_digest__schema__is_of_its_canonical_form():
    schema = get_update_schema(POLICY)
    text = '{"dtype":"int32","kind":"update","scale_bits":17,"sections":[["delta",4]]}'
    assert compute_shape_digest(schema) == hashlib.sha256(text.encode()).digest()


def test_payload__no_scalars_and_strided_input__is_stored_contiguously():
    schema = PayloadSchema("state", "int64", 32, (("params", 3),))
    payload = Payload({"params": np.arange(6, dtype=np.int64)[::2]}, {})
    decoded = decode_payload(encode_payload(payload, schema), schema)
    assert decoded.sections["params"].tolist() == [0, 2, 4]


def test_flatten__named_arrays__follow_the_layers_and_come_back():
    arrays = {
        "b": np.array([5, 6], np.float32),
        "w": np.array([[1, 2], [3, 4]], np.float32),
    }
    vector = flatten(arrays, LAYERS)
    assert vector.tolist() == [1, 2, 3, 4, 5, 6]
    back = unflatten(vector, LAYERS)
    assert all(np.array_equal(back[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"w": np.zeros((2, 2), np.float32)}, "expected w, b"),
        ({"w": np.zeros((4, 1), np.float32), "b": np.zeros(2, np.float32)}, "w has shape"),
    ],
)
def test_flatten__other_arrays__are_refused(arrays, error):
    with pytest.raises(EncodingError, match=error):
        flatten(arrays, LAYERS)


def test_unflatten__wrong_length__is_refused():
    with pytest.raises(EncodingError, match="hold 6 values"):
        unflatten(np.zeros(7, np.float32), LAYERS)

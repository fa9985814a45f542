import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flchain.learning.aggregation import is_valid_update
from flchain.learning.parameters import QuantizedUpdate, State, to_float
from flchain.learning.presets import load_preset
from flchain.learning.quantisation import quantise
from flchain.learning.schemas import decode_state, decode_update, encode_state, encode_update
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import UpdateSpec

POLICY = load_preset(
    "digits", {"model": {"architecture": "own", "layers": [{"name": "w", "shape": [7]}]}}
)
SIZE = 7
KEY = b"\x05" * 32
AGENT = "0x" + "aB" * 20
BOUND = POLICY.update.coordinate_bound

deltas = hnp.arrays(np.int32, SIZE, elements=st.integers(-BOUND, BOUND))
floats = hnp.arrays(
    np.float32, st.integers(1, 40), elements=st.floats(-(2.0**99), 2.0**99, width=32)
)
VALID = encode_update(
    QuantizedUpdate({"delta": np.arange(SIZE, dtype=np.int32)}, {"samples": 20}),
    POLICY,
    round_key=KEY,
    agent=AGENT,
)


@given(deltas, st.integers(1, 2**53 - 1))
def test_update__round_trip__is_the_identity(delta, samples):
    update = QuantizedUpdate({"delta": delta}, {"samples": samples})
    data = encode_update(update, POLICY, round_key=KEY, agent=AGENT)
    decoded = decode_update(data, POLICY, round_key=KEY, agent=AGENT)
    assert np.array_equal(decoded.sections["delta"], delta)
    assert decoded.scalars == {"samples": samples}
    assert encode_update(decoded, POLICY, round_key=KEY, agent=AGENT.lower()) == data


@given(hnp.arrays(np.int64, SIZE, elements=st.integers(-(2**62), 2**62)))
def test_state__round_trip__is_the_identity(params):
    data = encode_state(State({"params": params}), POLICY)
    assert np.array_equal(decode_state(data, POLICY).sections["params"], params)
    assert encode_state(decode_state(data, POLICY), POLICY) == data


@given(st.binary(max_size=400))
def test_decode__any_bytes__is_an_encoding_error(data):
    with pytest.raises(EncodingError):
        decode_update(data, POLICY, round_key=KEY, agent=AGENT)
    with pytest.raises(EncodingError):
        decode_state(data, POLICY)


@given(st.integers(0, len(VALID) - 1), st.integers(1, 255))
def test_decode__one_changed_byte__is_refused_or_another_vector(position, difference):
    """No two encodings of one vector: what still decodes encodes to the changed bytes."""
    changed = bytearray(VALID)
    changed[position] ^= difference
    data = bytes(changed)
    try:
        decoded = decode_update(data, POLICY, round_key=KEY, agent=AGENT)
    except EncodingError:
        assert not is_valid_update(data, POLICY, round_key=KEY, agent=AGENT, weight=3)
    else:
        assert encode_update(decoded, POLICY, round_key=KEY, agent=AGENT) == data


@given(st.integers(0, len(VALID) - 1), st.binary(max_size=9))
def test_decode__other_length__is_refused(end, tail):
    for data in (VALID[:end], VALID + b"\0" + tail):
        assert not is_valid_update(data, POLICY, round_key=KEY, agent=AGENT, weight=3)


@given(floats, st.integers(12, 30), st.data())
def test_quantise__any_finite_vector__respects_bound_and_clip(vector, shift, data):
    bound = data.draw(st.integers(1, 2**30))
    clip = data.draw(st.integers(13, 2**38))
    rules = UpdateSpec(shift, bound, clip, 1, 1)
    quantised = quantise(vector, rules, np.random.default_rng(0))
    assert quantised.dtype == np.int32
    assert int(np.abs(quantised.astype(np.int64)).max()) <= bound
    assert sum(int(value) ** 2 for value in quantised) <= clip**2


@given(hnp.arrays(np.float32, 20, elements=st.floats(-1, 1, width=32)))
def test_quantise__vector_within_bounds__is_off_by_less_than_one_unit(vector):
    rules = UpdateSpec(16, 2**17, 2**24, 1, 1)
    quantised = quantise(vector, rules, np.random.default_rng(1))
    assert np.abs(quantised - vector.astype(np.float64) * 2**16).max() < 1


@given(hnp.arrays(np.int64, 10, elements=st.integers(-(2**62), 2**62)))
def test_to_float__any_state__is_rounded_once(section):
    for value, shown in zip(section.tolist(), to_float(section), strict=True):
        assert shown == np.float32(value / 2**32)

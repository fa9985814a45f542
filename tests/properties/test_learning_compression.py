"""Laws of compression: nothing is lost by feedback, what commutes adds up, no bytes surprise."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flchain.learning.compression import Frame, Memory, get_scheme
from flchain.learning.compression.base import NO_BASIS
from flchain.learning.compression.linear import build_random_k, build_shared_basis, compute_basis
from flchain.learning.integers import centre
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.schemas import decode_update
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Layer
from tests.unit.learning.schemes import (
    AGENT,
    BASE,
    KEY,
    LOSSLESS,
    LOSSY,
    RULES,
    SIZE,
    compress,
    decompress,
    make_policy,
    make_rule,
    make_update,
)

BOUND = BASE.update.coordinate_bound
LAYERS = (Layer("w", (6, 20)), Layer("b", (6,)))
FRAME = Frame("delta", LAYERS, KEY)


def make_delta(seed, largest, kept):
    """Return values of at most `largest` in magnitude, of which a share of `kept` is not zero."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-largest, largest + 1, SIZE) * (rng.random(SIZE) < kept)
    return values.astype(np.int32)


deltas = st.builds(
    make_delta, st.integers(0, 2**32), st.integers(0, BOUND), st.sampled_from([0, 0.02, 0.5, 1])
)
small = hnp.arrays(np.int64, FRAME.size, elements=st.integers(-(2**18), 2**18))


@cache
def encode_valid(rule):
    return compress(make_update(), make_policy(rule)).payload


@given(deltas, st.sampled_from(LOSSLESS), st.integers(1, 2**53 - 1))
def test_lossless__any_update__round_trip_is_the_identity(delta, rule, samples):
    policy = make_policy(rule)
    update = QuantizedUpdate({"delta": delta}, {"samples": samples})
    found = decompress(compress(update, policy).payload, policy)
    assert np.array_equal(found.sections["delta"], delta)
    assert found.scalars == {"samples": samples}


@given(st.lists(deltas, min_size=1, max_size=4), st.sampled_from(LOSSY))
def test_feedback__any_updates__sent_and_residual_are_what_was_put_in(inputs, rule):
    """Exactly, in integers: nothing that was left out is ever lost."""
    policy, memories = make_policy(rule), dict[str, Memory]()
    sent = np.zeros(SIZE, np.int64)
    for delta in inputs:
        made = compress(QuantizedUpdate({"delta": delta}, {"samples": 1}), policy, memories)
        memories = dict(made.memories)
        sent += decompress(made.payload, policy).sections["delta"]
    total = sum(delta.astype(np.int64) for delta in inputs)
    assert np.array_equal(sent + memories["delta"].residual, total)


@given(deltas, st.sampled_from(LOSSY))
def test_decode__whatever_was_encoded__is_within_bound_and_clip(delta, rule):
    policy = make_policy(rule)
    payload = compress(QuantizedUpdate({"delta": delta}, {"samples": 1}), policy).payload
    found = decode_update(payload, policy, round_key=KEY, agent=AGENT).sections["delta"]
    assert found.dtype == np.int32
    assert max(abs(int(value)) for value in found) <= BOUND
    assert sum(int(value) ** 2 for value in found) <= policy.update.clip**2


@given(st.sampled_from(RULES), st.data())
def test_decode__one_changed_byte__is_refused_or_a_valid_update(rule, data):
    policy, payload = make_policy(rule), bytearray(encode_valid(rule))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    try:
        update = decode_update(bytes(payload), policy, round_key=KEY, agent=AGENT)
    except EncodingError:
        return
    assert int(np.abs(update.sections["delta"].astype(np.int64)).max()) <= BOUND


@given(st.sampled_from(RULES), st.data())
def test_decode__truncated_or_longer__is_refused(rule, data):
    policy, payload = make_policy(rule), encode_valid(rule)
    end = data.draw(st.integers(0, len(payload) - 1))
    for other in (payload[:end], payload + data.draw(st.binary(min_size=1, max_size=9))):
        with pytest.raises(EncodingError):
            decompress(other, policy)


@given(st.sampled_from(RULES), st.binary(max_size=300))
def test_decode__any_section_bytes__are_an_update_or_an_encoding_error(rule, body):
    policy = make_policy(rule)
    head = encode_valid(rule)[:48]
    try:
        update = decompress(head + len(body).to_bytes(4, "little") + body, policy)
    except EncodingError:
        return
    assert update.sections["delta"].shape == (SIZE,)


@pytest.mark.parametrize("name", ["int8", "int4", "int3", "top-k"])
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_levels__without_feedback__are_right_on_average(name, seed):
    rule = make_rule(name, error_feedback=0, **({"keep_bps": 10_000} if name == "top-k" else {}))
    scheme, frame = get_scheme(rule), Frame("delta", BASE.model.layers, KEY)
    vector = np.random.default_rng(seed).integers(-1_000, 1_000, SIZE)
    rng, trials = np.random.default_rng(seed + 1), 300
    total = np.zeros(SIZE)
    for _ in range(trials):
        data, _ = scheme.compressor.encode(vector, frame, rule, NO_BASIS, rng)
        total += scheme.compressor.decode(data, frame, rule)
    # A step of at most 334 and a deviation of half of it: six deviations of the mean.
    assert np.abs(total / trials - vector).max() < 6 * 334 / 2 / trials**0.5


def test_random_k__without_feedback__is_right_on_average_over_rounds():
    rule = make_rule("random-k", error_feedback=0, bits=32)
    scheme = get_scheme(rule)
    vector = np.random.default_rng(1).integers(-1_000, 1_000, SIZE)
    total, trials = np.zeros(SIZE), 2_000
    for number in range(trials):
        frame = Frame("delta", BASE.model.layers, number.to_bytes(32, "big"))
        data, _ = scheme.compressor.encode(
            vector, frame, rule, NO_BASIS, np.random.default_rng(number)
        )
        total += scheme.compressor.decode(data, frame, rule)
    deviation = np.abs(vector) * 3**0.5
    assert (np.abs(total / trials - vector) <= 6 * deviation / trials**0.5).all()


def make_maps():
    reference = np.random.default_rng(2).integers(-(2**40), 2**40, FRAME.size)
    return [
        build_random_k(FRAME, 5, 2**26),
        build_shared_basis(FRAME, reference, 3, 2**26),
        build_shared_basis(FRAME, np.zeros(FRAME.size, np.int64), 4, 2**26),
    ]


@given(st.lists(small, min_size=1, max_size=8), st.integers(0, 2**32))
def test_linear_maps__masked_sum__expands_to_the_sum_of_what_each_sent(vectors, seed):
    """Masks cancel modulo 2^32; the sum is decoded without seeing any single vector."""
    for shared in make_maps():
        sent = [shared.project(vector).astype(np.int64) for vector in vectors]
        masks = np.random.default_rng(seed).integers(0, 2**32, (len(sent), shared.width))
        masks[-1] -= masks.sum(axis=0)
        total = sum((values + mask) % 2**32 for values, mask in zip(sent, masks, strict=True))
        found = shared.expand(centre(total))
        apart = sum(shared.expand(values) for values in sent)
        assert shared.width < FRAME.size
        # Each expansion is rounded once.
        assert np.abs(found - apart).max() <= (len(sent) + 1) / 2


@given(small, small, st.integers(-5, 5))
def test_linear_maps__combination__is_projected_to_within_rounding(first, second, factor):
    for shared in make_maps():
        whole = shared.project(first + factor * second).astype(np.int64)
        parts = shared.project(first).astype(np.int64) + factor * shared.project(second)
        assert np.abs(whole - parts).max() <= 1 + abs(factor)


@given(
    hnp.arrays(np.int64, (6, 20), elements=st.integers(-(2**62), 2**62)),
    st.integers(1, 5),
    st.binary(min_size=1, max_size=8),
)
def test_basis__any_reference__has_orthogonal_columns_of_one_length_or_none(matrix, rank, seed):
    basis = compute_basis(matrix, rank, seed)
    assert np.array_equal(basis, compute_basis(matrix, rank, seed))
    product = basis.T.astype(float) @ basis / 2**28
    lengths = np.diag(product)
    assert np.logical_or(np.abs(lengths - 1) < 1e-2, lengths == 0).all()
    assert np.abs(product - np.diag(lengths)).max() < 1e-2


def test_basis__low_rank_reference__holds_what_the_reference_points_to():
    rng = np.random.default_rng(3)
    matrix = (rng.normal(size=(6, 1)) @ rng.normal(size=(1, 20)) * 2**20).astype(np.int64)
    vector = np.concatenate([matrix.ravel() >> 4, np.zeros(6, np.int64)])
    reference = np.concatenate([matrix.ravel(), np.zeros(6, np.int64)])
    shared = build_shared_basis(FRAME, reference, 3, 2**31 - 1)
    found = shared.expand(shared.project(vector).astype(np.int64))
    assert np.abs(found - vector).max() < 0.01 * np.abs(vector).max()

"""Few of the values: the largest ones, or the same random ones for everybody.

Top-k: Aji and Heafield 2017, https://arxiv.org/abs/1704.05021. The places are sent as gaps.
Random-k: Stich et al. 2018, https://arxiv.org/abs/1809.07599. The places follow from the round
key, so they cost nothing, are the same for all agents of a round, and the map from a vector to
its values there is linear: masked vectors still add up. `ratio` is how many values stand for
each one sent. Without error feedback the values are multiplied by it, which makes the mean
right; with it they are not, since what was left out is sent later.
"""

import hashlib

import numpy as np

from flchain.learning.compression.base import (
    NO_BASIS,
    Compressor,
    Float64,
    Frame,
    Parameter,
    check_length,
    limit_values,
)
from flchain.learning.compression.integers import pack_planes, unpack_planes
from flchain.learning.compression.levels import (
    FEEDBACK,
    choose_rounding,
    pack_levels,
    pack_step,
    read_step,
    round_to_step,
    unpack_levels,
)
from flchain.learning.parameters import Int64
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import RuleSpec

_STEP = 4
_MOST = 127
_WHOLE_BPS = 10_000
_DOMAIN = b"flchain-random-k-v1\x00"
KEEP = Parameter("keep_bps", 1, _WHOLE_BPS)
RATIO = Parameter("ratio", 2, 10_000)
BITS = Parameter("bits", 8, 32)


def choose_places(frame: Frame, ratio: int) -> Int64:
    """Return ceil(size / ratio) different places, sorted: those of the smallest hash words."""
    seed = _DOMAIN + frame.round_key + frame.name.encode()
    words = np.frombuffer(hashlib.shake_256(seed).digest(8 * frame.size), "<u8")
    return np.sort(np.argsort(words, kind="stable")[: -(-frame.size // ratio)])


def _count_kept(frame: Frame, rule: RuleSpec) -> int:
    return max(1, frame.size * rule.get(KEEP.name) // _WHOLE_BPS)


def _compute_top_size(frame: Frame, rule: RuleSpec) -> int:
    return _STEP + 5 * _count_kept(frame, rule)


def _encode_top(
    vector: Int64, frame: Frame, rule: RuleSpec, basis: Float64, rng: np.random.Generator
) -> tuple[bytes, Float64]:
    del basis
    count = _count_kept(frame, rule)
    places = np.sort(np.argpartition(np.abs(vector), frame.size - count)[-count:])
    step, levels = round_to_step(vector[places], _MOST, choose_rounding(rule, rng))
    gaps = np.diff(places, prepend=-1) - 1
    return pack_step(step) + pack_levels(levels, _MOST) + pack_planes(
        gaps.astype(np.uint32)
    ), NO_BASIS


def _decode_top(data: bytes, frame: Frame, rule: RuleSpec) -> Int64:
    check_length(data, _compute_top_size(frame, rule), "top-k")
    count = _count_kept(frame, rule)
    levels = unpack_levels(data[_STEP : _STEP + count], count, _MOST)
    places = np.cumsum(unpack_planes(data[_STEP + count :]) + 1) - 1
    if int(places[-1]) >= frame.size:
        raise EncodingError(f"update: top-k names place {int(places[-1])} of {frame.size}")
    vector = np.zeros(frame.size, np.int64)
    vector[places] = levels * read_step(data, 0)
    return vector


def _compute_random_size(frame: Frame, rule: RuleSpec) -> int:
    count = -(-frame.size // rule.get(RATIO.name))
    return _STEP + count if rule.get(BITS.name) == 8 else 4 * count  # noqa: PLR2004  # bits


def _encode_random(
    vector: Int64, frame: Frame, rule: RuleSpec, basis: Float64, rng: np.random.Generator
) -> tuple[bytes, Float64]:
    del basis
    values = vector[choose_places(frame, rule.get(RATIO.name))]
    if rule.get(BITS.name) != 8:  # noqa: PLR2004  # bits
        return values.astype("<i4").tobytes(), NO_BASIS
    step, levels = round_to_step(values, _MOST, choose_rounding(rule, rng))
    return pack_step(step) + pack_levels(levels, _MOST), NO_BASIS


def _decode_random(data: bytes, frame: Frame, rule: RuleSpec) -> Int64:
    check_length(data, _compute_random_size(frame, rule), "random-k")
    places = choose_places(frame, rule.get(RATIO.name))
    if rule.get(BITS.name) == 8:  # noqa: PLR2004  # bits
        values = unpack_levels(data[_STEP:], len(places), _MOST) * read_step(data, 0)
    else:
        values = np.frombuffer(data, "<i4").astype(np.int64)
    gain = 1 if rule.get(FEEDBACK.name) else rule.get(RATIO.name)
    vector = np.zeros(frame.size, np.int64)
    vector[places] = limit_values(values * gain)
    return vector


TOP_K = Compressor("top-k", (KEEP, FEEDBACK), _compute_top_size, _encode_top, _decode_top)
RANDOM_K = Compressor(
    "random-k", (BITS, FEEDBACK, RATIO), _compute_random_size, _encode_random, _decode_random
)

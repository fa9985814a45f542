"""Few levels for each value: a step by layer, and small integers of it.

QSGD (Alistarh et al. 2017, https://arxiv.org/abs/1610.02132) with a whole number of units as
the step, so that decoding is one integer product. With error feedback values are rounded to
the nearest level, without it at random so that their mean is right.

    for each layer: u32 step;  for each value: its level
"""

import numpy as np
from numpy.typing import NDArray

from flchain.learning.compression.base import (
    NO_BASIS,
    Compressor,
    Float64,
    Frame,
    Parameter,
    check_length,
)
from flchain.learning.parameters import Int64
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import RuleSpec

FEEDBACK = Parameter("error_feedback", 0, 1)
_STEP = 4
_NIBBLE = 4
_BYTE_LEVELS = 127


def round_to_step(values: Int64, most: int, rng: np.random.Generator | None) -> tuple[int, Int64]:
    """Return a step and levels of at most `most` in magnitude, at random if `rng` is given."""
    largest = int(np.abs(values).max()) if len(values) else 0
    step = max(1, -(-largest // most))
    noise: float | Float64 = 0.5 if rng is None else rng.random(len(values))
    return step, np.floor(values / step + noise).astype(np.int64).clip(-most, most)


def choose_rounding(rule: RuleSpec, rng: np.random.Generator) -> np.random.Generator | None:
    """Return `rng` unless the rule feeds errors back, which makes nearest levels better."""
    return None if dict(rule.parameters).get(FEEDBACK.name) else rng


def pack_step(step: int) -> bytes:
    """Return a step as four bytes."""
    return step.to_bytes(_STEP, "little")


def read_step(data: bytes, start: int) -> int:
    """Return the step at `start`. Raises EncodingError on zero and on 2^31 and more."""
    step = int.from_bytes(data[start : start + _STEP], "little")
    if not 0 < step < 1 << 31:
        raise EncodingError(f"update: a step is {step}, it must be positive and below 2^31")
    return step


def pack_levels(levels: Int64, most: int) -> bytes:
    """Return one byte for each level, or half of one if at most 7 in magnitude."""
    if most > 7:  # noqa: PLR2004  # what fits a nibble
        return levels.astype(np.int8).tobytes()
    nibbles = np.zeros(len(levels) + len(levels) % 2, np.uint8)
    nibbles[: len(levels)] = levels & 15
    return (nibbles[0::2] | nibbles[1::2] << _NIBBLE).tobytes()


def compute_packed_size(count: int, most: int) -> int:
    """Return how many bytes `pack_levels` gives for `count` levels."""
    return count if most > 7 else (count + 1) // 2  # noqa: PLR2004  # as above


def unpack_levels(data: bytes, count: int, most: int) -> Int64:
    """Undo `pack_levels`. Raises EncodingError on a level beyond `most`."""
    if most > 7:  # noqa: PLR2004  # as above
        levels = np.frombuffer(data, np.int8, count).astype(np.int64)
    else:
        levels = _unpack_nibbles(np.frombuffer(data, np.uint8), count)
    if len(levels) and max(int(levels.max()), -int(levels.min())) > most:
        raise EncodingError(f"update: a level is beyond {most}")
    return levels


def _unpack_nibbles(packed: NDArray[np.uint8], count: int) -> Int64:
    nibbles = np.empty(2 * len(packed), np.int64)
    nibbles[0::2], nibbles[1::2] = packed & 15, packed >> _NIBBLE
    if nibbles[count:].any():
        raise EncodingError("update: the last half byte is not zero")
    return ((nibbles[:count] ^ 8) - 8).astype(np.int64)


def build_levels(name: str, most: int) -> Compressor:
    """Return the compressor with levels from `-most` to `most` times each layer's step."""

    def compute_size(frame: Frame, rule: RuleSpec) -> int:
        del rule
        return _STEP * len(frame.layers) + compute_packed_size(frame.size, most)

    def encode(
        vector: Int64, frame: Frame, rule: RuleSpec, basis: Float64, rng: np.random.Generator
    ) -> tuple[bytes, Float64]:
        del basis
        steps, parts, start = [], [], 0
        for layer in frame.layers:
            values = vector[start : start + layer.size]
            step, levels = round_to_step(values, most, choose_rounding(rule, rng))
            steps.append(pack_step(step))
            parts.append(levels)
            start += layer.size
        return b"".join(steps) + pack_levels(np.concatenate(parts), most), NO_BASIS

    def decode(data: bytes, frame: Frame, rule: RuleSpec) -> Int64:
        check_length(data, compute_size(frame, rule), name)
        steps = [read_step(data, _STEP * index) for index in range(len(frame.layers))]
        sizes = [layer.size for layer in frame.layers]
        levels = unpack_levels(data[_STEP * len(steps) :], frame.size, most)
        return levels * np.repeat(np.array(steps, np.int64), sizes)

    return Compressor(name, (FEEDBACK,), compute_size, encode, decode)


INT8 = build_levels("int8", _BYTE_LEVELS)
INT4 = build_levels("int4", 7)
INT3 = build_levels("int3", 3)

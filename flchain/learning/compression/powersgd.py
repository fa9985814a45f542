"""PowerSGD: Vogels et al. 2019, https://arxiv.org/abs/1905.13727, with integer factors.

A layer of two and more dimensions is a matrix M of its first one by all others; M is sent as
P Q^T of rank r. One power iteration is P = orthonormalise(M Q), Q = M^T P, and starts from the
Q of the round before. P and Q are then turned and scaled so that both hold the square roots of
the singular values, and rounded to `levels` levels each. A layer for which r (rows + columns)
is not at least `minimum_ratio_bps` / 10,000 times smaller than rows x columns is sent as int8.

    for each layer: u64 scale;  then the factors' levels, one byte each

The decoder computes (P Q^T scale + 2^23) >> 24 in int64. The paper's rounding to a power of two
would double the loss for nothing: an integer scale is as exact on every machine.
"""

from dataclasses import dataclass

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
from flchain.learning.compression.levels import FEEDBACK, choose_rounding, round_to_step
from flchain.learning.parameters import Int64
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import Layer, RuleSpec

SCALE_BITS = 24
_SCALE = 8
_SCALE_LIMIT = 1 << 40
_INT8 = 127
_WHOLE_BPS = 10_000
RANK = Parameter("rank", 1, 32)
ITERATIONS = Parameter("power_iterations", 1, 8)
MINIMUM = Parameter("minimum_ratio_bps", _WHOLE_BPS, 100 * _WHOLE_BPS)
LEVELS = Parameter("levels", 1, _INT8)
WARM = Parameter("warm_start", 0, 1)


@dataclass(frozen=True)
class Block:
    """A layer as it is sent; rank 0 means int8."""

    rows: int
    columns: int
    rank: int

    @property
    def length(self) -> int:
        """Number of levels."""
        return self.rank * (self.rows + self.columns) or self.rows * self.columns


def plan_block(layer: Layer, rule: RuleSpec) -> Block:
    """Return how a layer is sent, which follows from its shape and the rule alone."""
    rows = layer.shape[0]
    columns = layer.size // rows
    rank = min(rule.get(RANK.name), rows, columns)
    sent = rank * (rows + columns) * rule.get(MINIMUM.name)
    is_small_enough = len(layer.shape) > 1 and sent <= layer.size * _WHOLE_BPS
    return Block(rows, columns, rank if is_small_enough else 0)


def compute_factors(
    matrix: Float64, start: Float64, iterations: int
) -> tuple[Float64, Float64, Float64]:
    """Return P and Q with square roots of the singular values in both, and Q for a warm start.

    `start` has `rank` columns. M is about P Q^T.
    """
    left = np.linalg.qr(matrix @ start)[0]
    for _ in range(iterations - 1):
        left = np.linalg.qr(matrix @ (matrix.T @ left))[0]
    right = matrix.T @ left
    turned, values, turn = np.linalg.svd(right, full_matrices=False)
    roots = np.sqrt(values)
    return (left @ turn.T) * roots, turned * roots, right


def _compute_size(frame: Frame, rule: RuleSpec) -> int:
    blocks = [plan_block(layer, rule) for layer in frame.layers]
    return _SCALE * len(blocks) + sum(block.length for block in blocks)


def _encode(
    vector: Int64, frame: Frame, rule: RuleSpec, basis: Float64, rng: np.random.Generator
) -> tuple[bytes, Float64]:
    blocks = [plan_block(layer, rule) for layer in frame.layers]
    bases = _split_basis(blocks, basis, rule, rng)
    scales, parts, kept, start = [], [], [NO_BASIS], 0
    for block, base in zip(blocks, bases, strict=True):
        values = vector[start : start + block.rows * block.columns]
        start += len(values)
        if block.rank:
            scale, levels, right = _encode_matrix(values, block, base, rule)
            kept.append(right.ravel())
        else:
            scale, levels = round_to_step(values, _INT8, choose_rounding(rule, rng))
        scales.append(scale.to_bytes(_SCALE, "little"))
        parts.append(levels)
    body = np.concatenate(parts).astype(np.int8).tobytes()
    return b"".join(scales) + body, np.concatenate(kept)


def _encode_matrix(
    values: Int64, block: Block, start: Float64, rule: RuleSpec
) -> tuple[int, Int64, Float64]:
    matrix = values.astype(np.float64).reshape(block.rows, block.columns)
    left, right, basis = compute_factors(matrix, start, rule.get(ITERATIONS.name))
    most = rule.get(LEVELS.name)
    left_step, right_step = (float(np.abs(factor).max()) / most for factor in (left, right))
    scale = round(left_step * right_step * (1 << SCALE_BITS))
    if not scale:
        return 0, np.zeros(block.length, np.int64), start
    levels = [np.rint(left / left_step).ravel(), np.rint(right / right_step).ravel()]
    rounded = np.concatenate(levels).astype(np.int64)
    return min(scale, _SCALE_LIMIT), rounded, basis


def _split_basis(
    blocks: list[Block], basis: Float64, rule: RuleSpec, rng: np.random.Generator
) -> list[Float64]:
    """Return each matrix's Q of the last round, or a random one if there is none of that size."""
    sizes = [block.rank * block.columns for block in blocks]
    is_warm = bool(rule.get(WARM.name)) and len(basis) == sum(sizes)
    flat = basis if is_warm else rng.standard_normal(sum(sizes))
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return [
        piece.reshape(block.columns, block.rank)
        for piece, block in zip(pieces, blocks, strict=True)
    ]


def _decode(data: bytes, frame: Frame, rule: RuleSpec) -> Int64:
    check_length(data, _compute_size(frame, rule), "powersgd")
    blocks = [plan_block(layer, rule) for layer in frame.layers]
    levels = np.frombuffer(data, np.int8, offset=_SCALE * len(blocks)).astype(np.int64)
    parts, start = [], 0
    for index, block in enumerate(blocks):
        scale = int.from_bytes(data[_SCALE * index : _SCALE * (index + 1)], "little")
        if scale > (_SCALE_LIMIT if block.rank else (1 << 31)):
            raise EncodingError(f"update: a scale is {scale}, beyond what any encoder gives")
        part = levels[start : start + block.length]
        most = rule.get(LEVELS.name) if block.rank else _INT8
        if max(int(part.max()), -int(part.min())) > most:
            raise EncodingError(f"update: a level is beyond {most}")
        parts.append(_decode_matrix(part, block, scale) if block.rank else part * scale)
        start += block.length
    return limit_values(np.concatenate(parts))


def _decode_matrix(levels: Int64, block: Block, scale: int) -> Int64:
    cut = block.rows * block.rank
    left = levels[:cut].reshape(block.rows, block.rank).astype(np.float64)
    right = levels[cut:].reshape(block.columns, block.rank).astype(np.float64)
    # Sums of at most 32 products of at most 127^2: exact in float64, in any order, and by BLAS.
    product = (left @ right.T).astype(np.int64).ravel()
    # Below 2^19 x 2^40.
    return (product * scale + (1 << (SCALE_BITS - 1))) >> SCALE_BITS


POWERSGD = Compressor(
    "powersgd",
    (FEEDBACK, LEVELS, MINIMUM, ITERATIONS, RANK, WARM),
    _compute_size,
    _encode,
    _decode,
)

"""One section through a scheme: what was left out, what is sent, what comes out.

Error feedback (Seide et al. 2014; Karimireddy et al. 2019, https://arxiv.org/abs/1901.09847)
in integers, so that nothing is lost: sent + residual = update + earlier residual, to the unit.
"""

from dataclasses import dataclass, field

import numpy as np

from flchain.learning.compression.base import NO_BASIS, Float64, Frame, limit_values
from flchain.learning.compression.registry import Scheme
from flchain.learning.integers import clip_norm, saturate
from flchain.learning.parameters import Int32, Int64
from flchain.protocol.policy import UpdateSpec

_RESIDUAL_LIMIT = 1 << 40


@dataclass(frozen=True)
class Memory:
    """What an agent keeps of a section from one round to the next; empty arrays at first.

    `residual` is what has not been sent yet, in quantised units; `basis` is the compressor's.
    """

    residual: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    basis: Float64 = field(default_factory=lambda: NO_BASIS)


EMPTY = Memory()


def encode_section(
    section: Int32,
    scheme: Scheme,
    frame: Frame,
    limits: UpdateSpec,
    *,
    memory: Memory,
    rng: np.random.Generator,
) -> tuple[bytes, Memory]:
    """Return a section's bytes and what to remember until the next round."""
    wanted = section.astype(np.int64)
    if scheme.feeds_back and len(memory.residual) == len(wanted):
        wanted += memory.residual
    body, basis = scheme.compressor.encode(
        limit_values(wanted), frame, scheme.rule, memory.basis, rng
    )
    data = scheme.coder.encode(body)
    if not scheme.feeds_back:
        return data, Memory(basis=basis)
    residual = wanted - decode_section(data, scheme, frame, limits)
    return data, Memory(saturate(residual, _RESIDUAL_LIMIT), basis)


def decode_section(data: bytes, scheme: Scheme, frame: Frame, limits: UpdateSpec) -> Int32:
    """Return the section that `data` stands for, on integers alone.

    What a lossy compressor makes of a valid section may overshoot, so coordinates beyond the
    bound are cut and a vector beyond the clip is shortened. Raises EncodingError on any bytes
    that no encoder gives.
    """
    size = scheme.compressor.compute_size(frame, scheme.rule)
    vector = scheme.compressor.decode(scheme.coder.decode(data, size), frame, scheme.rule)
    if not scheme.compressor.is_lossless:
        vector = clip_norm(saturate(vector, limits.coordinate_bound), limits.clip)
    return limit_values(vector).astype(np.int32)

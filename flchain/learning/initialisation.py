"""Version 0 of a model, from the policy's seed, bit for bit on any machine.

He et al. 2015 (https://arxiv.org/abs/1502.01852) in integers: each weight is uniform between
plus and minus sqrt(6 / fan_in), each bias is zero. The bits come from SHAKE-256, so no
floating point and no library's generator takes part.
"""

import hashlib
import math

import numpy as np

from flchain.learning.parameters import STATE_BITS, Int64
from flchain.protocol.policy import Layer, ModelSpec

_DOMAIN = b"flchain-initialise-v1\x00"
_UNIFORM_BITS = 24


def compute_initial_parameters(model: ModelSpec, seed: str) -> Int64:
    """Return all layers, flattened, in units of 2^-32; `seed` is 32 bytes in hex."""
    return np.concatenate([_initialise(layer, bytes.fromhex(seed)) for layer in model.layers])


def _initialise(layer: Layer, seed: bytes) -> Int64:
    if len(layer.shape) == 1:
        return np.zeros(layer.size, np.int64)
    fan_in = math.prod(layer.shape[1:])
    bound = math.isqrt((6 << (2 * STATE_BITS)) // fan_in)
    # Odd numbers between -2^24 and 2^24: symmetric, and never zero.
    uniform = 2 * _draw(layer, seed) + 1 - (1 << _UNIFORM_BITS)
    return (uniform * bound) >> _UNIFORM_BITS


def _draw(layer: Layer, seed: bytes) -> Int64:
    """Return `layer.size` uniform integers below 2^24."""
    stream = hashlib.shake_256(_DOMAIN + seed + layer.name.encode()).digest(4 * layer.size)
    return np.frombuffer(stream, "<u4").astype(np.int64) >> (32 - _UNIFORM_BITS)

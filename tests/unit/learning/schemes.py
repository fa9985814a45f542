"""A small model, one rule of every kind, and what the tests of compression make of them."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from flchain.learning.compression import (
    SCHEMES,
    CompressedUpdate,
    Memory,
    compress_update,
    decompress_update,
)
from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.presets import load_preset
from flchain.learning.schemas import get_update_schema
from flchain.protocol.policy import Policy, RuleSpec

LAYERS = [
    {"name": "w", "shape": [12, 5, 2]},
    {"name": "b", "shape": [12]},
    {"name": "v", "shape": [3, 12]},
]
SIZE = 12 * 10 + 12 + 36
BASE = load_preset("digits", {"model": {"architecture": "own", "layers": LAYERS}})
KEY = b"\x07" * 32
AGENT = "0x" + "0a" * 20
HAS_ZSTD = find_spec("zstandard") is not None
POWERSGD = {
    "error_feedback": 1,
    "levels": 127,
    "minimum_ratio_bps": 15_000,
    "power_iterations": 1,
    "rank": 2,
    "warm_start": 1,
}
PARAMETERS = {
    "int8": {"error_feedback": 1},
    "int4": {"error_feedback": 1},
    "int3": {"error_feedback": 1},
    "top-k": {"error_feedback": 1, "keep_bps": 1_000},
    "random-k": {"bits": 8, "error_feedback": 1, "ratio": 4},
    "powersgd": POWERSGD,
}


def make_rule(name: str, **changes: int) -> RuleSpec:
    parameters = PARAMETERS.get(name.partition("/")[0], {}) | changes
    return RuleSpec(name, tuple(sorted(parameters.items())))


def make_policy(rule: RuleSpec, base: Policy = BASE) -> Policy:
    return replace(base, compression=rule)


INSTALLED = [name for name in SCHEMES if HAS_ZSTD or "zstd" not in name]
RULES = [make_rule(name) for name in INSTALLED]
LOSSLESS = [rule for rule in RULES if rule.name in ("zlib", "gzip", "zstd")]
LOSSY = [rule for rule in RULES if rule not in LOSSLESS]


def make_update(
    seed: int = 1, size: int = SIZE, spread: float = 300.0, samples: int = 9
) -> QuantizedUpdate:
    values = np.random.default_rng(seed).normal(0, spread, size)
    return QuantizedUpdate({"delta": np.rint(values).astype(np.int32)}, {"samples": samples})


def compress(
    update: QuantizedUpdate,
    policy: Policy,
    memories: Mapping[str, Memory] | None = None,
    **changes: Any,
) -> CompressedUpdate:
    given: dict[str, Any] = {
        "round_key": KEY,
        "agent": AGENT,
        "memories": memories or {},
        "rng": np.random.default_rng(3),
    }
    return compress_update(update, policy, get_update_schema(policy), **(given | changes))


def decompress(data: bytes, policy: Policy, **changes: Any) -> QuantizedUpdate:
    expected: dict[str, Any] = {"round_key": KEY, "agent": AGENT} | changes
    return decompress_update(data, policy, get_update_schema(policy), **expected)

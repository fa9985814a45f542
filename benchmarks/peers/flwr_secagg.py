"""Flower's SecAgg+ by its own functions, timed stage by stage; run by benchmarks/secagg.py.

Reads one case a line (JSON) and answers with seconds for each stage and the largest error. Stages
of clients are called as `secaggplus_mod` calls them, without its messages; the server's loops are
those of `SecAggPlusWorkflow`, which cannot run without a grid. Opening the shares, which Flower
does while it masks, is timed apart and taken off.
"""

import importlib
import json
import random
import sys
import time
from typing import Any

import numpy as np
from flwr.common import bytes_to_ndarray, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (
    decrypt,
    generate_shared_key,
)
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_extract,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, bytes_to_public_key

Case = dict[str, Any]
# The package has a function of the module's name in its place.
mod = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
setup, share_keys = (getattr(mod, name) for name in ("_setup", "_share_keys"))
mask_vector, tell_shares = (getattr(mod, name) for name in ("_collect_masked_vectors", "_unmask"))
CLIP, LEVELS, MODULUS, MAX_WEIGHT = 8.0, 1 << 20, 1 << 32, 1000.0
WEIGHT = 1000


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, stage: str, function: Any, *arguments: Any) -> Any:
        """Return the function's result and remember how long it took."""
        begun = time.perf_counter()
        result = function(*arguments)
        self.add(stage, time.perf_counter() - begun)
        return result

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def run(case: Case) -> Case:
    """Run one whole aggregation."""
    clock = Clock()
    nodes = list(range(1, case["agents"] + 1))
    around = arrange(nodes, case["degree"])
    states = {node: mod.SecAggPlusState(nid=node) for node in nodes}
    keys = {node: clock.run("setup", setup, states[node], configure(case)) for node in nodes}
    public = {node: (keys[node][Key.PUBLIC_KEY_1], keys[node][Key.PUBLIC_KEY_2]) for node in nodes}
    forwarded = {node: ([], []) for node in nodes}
    for node in nodes:
        asked = {str(other): list(public[other]) for other in around[node]}
        shared = clock.run("share", share_keys, states[node], asked)
        for target, blob in zip(
            shared[Key.DESTINATION_LIST], shared[Key.CIPHERTEXT_LIST], strict=True
        ):
            forwarded[target][0].append(node)
            forwarded[target][1].append(blob)
    rng = np.random.default_rng(case["seed"])
    inputs = {node: rng.standard_normal(case["size"], np.float32) for node in nodes}
    alive = nodes[case["dropped"] :]
    vectors = {node: mask(clock, states[node], forwarded[node], inputs[node]) for node in alive}
    total = clock.run("sum", add_vectors, vectors.values())
    collected = collect(clock, states, around, alive)
    result = clock.run("unmask", unmask, total, collected, around, public, set(alive))
    mean = np.mean([inputs[node] for node in alive], axis=0)
    return {
        **clock.seconds,
        "error": float(np.abs(result - mean).max()),
        "bytes": sum(map(len, vectors[alive[0]])) / case["size"],
    }


def arrange(nodes: list[int], degree: int) -> dict[int, set[int]]:
    """Return each node's neighbours, itself among them, as the workflow has them."""
    order = list(nodes)
    random.shuffle(order)
    if degree == len(nodes) - 1:
        return {node: set(nodes) for node in nodes}
    steps = range(-(degree // 2), degree // 2 + 1)
    return {
        node: {order[(place + step) % len(order)] for step in steps}
        for place, node in enumerate(order)
    }


def configure(case: Case) -> Case:
    """Return what the server tells each client first."""
    return {
        Key.SAMPLE_NUMBER: case["agents"],
        Key.SHARE_NUMBER: case["degree"] + 1,
        Key.THRESHOLD: case["threshold"],
        Key.CLIPPING_RANGE: CLIP,
        Key.TARGET_RANGE: LEVELS,
        Key.MOD_RANGE: MODULUS,
        Key.MAX_WEIGHT: MAX_WEIGHT,
    }


def mask(clock: Clock, state: Any, forwarded: Any, vector: Any) -> list[bytes]:
    """Return a client's masked vector; the time that opening its shares takes is set apart."""
    sources, blobs = forwarded
    begun = time.perf_counter()
    for source, blob in zip(sources, blobs, strict=True):
        share_keys_plaintext_separate(decrypt(state.ss2_dict[source], blob))
    opening = time.perf_counter() - begun
    configs = {Key.CIPHERTEXT_LIST: blobs, Key.SOURCE_LIST: sources}
    parameters = ndarrays_to_parameters([vector])
    sent = clock.run("mask", mask_vector, state, configs, WEIGHT, parameters)
    clock.add("check", opening)
    clock.add("mask", -opening)
    return sent[Key.MASKED_PARAMETERS]


def add_vectors(vectors: Any) -> Any:
    """Return the server's sum."""
    total = None
    for blobs in vectors:
        vector = [bytes_to_ndarray(blob) for blob in blobs]
        total = vector if total is None else parameters_addition(total, vector)
    return parameters_mod(total, MODULUS)


def collect(clock: Clock, states: Any, around: Any, alive: list[int]) -> dict[int, list[bytes]]:
    """Return the shares that the living tell of each node."""
    collected = {node: [] for node in states}
    for node in alive:
        here, gone = around[node] & set(alive), around[node] - set(alive)
        asked = {Key.ACTIVE_NODE_ID_LIST: list(here), Key.DEAD_NODE_ID_LIST: list(gone)}
        told = clock.run("unmask", tell_shares, states[node], asked)
        for owner, share in zip(told[Key.NODE_ID_LIST], told[Key.SHARE_LIST], strict=True):
            collected[owner].append(share)
    return collected


def unmask(total: Any, collected: Any, around: Any, public: Any, alive: set[int]) -> Any:
    """Return the mean: what the workflow does once it has the shares."""
    shapes = get_parameters_shape(total)
    for node, shares in collected.items():
        secret = combine_shares(shares)
        if node in alive:
            total = parameters_subtraction(total, pseudo_rand_gen(secret, MODULUS, shapes))
            continue
        for other in around[node] - {node}:
            key = generate_shared_key(
                bytes_to_private_key(secret), bytes_to_public_key(public[other][0])
            )
            pair = pseudo_rand_gen(key, MODULUS, shapes)
            join = parameters_addition if node > other else parameters_subtraction
            total = join(total, pair)
    total = parameters_mod(total, MODULUS)
    ratio, vectors = factor_extract(total)
    (vector,) = dequantize(vectors, CLIP, LEVELS)
    vector += -(len(alive) - 1) * CLIP
    vector *= LEVELS / ratio
    return vector


def main() -> None:
    """Answer each line."""
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

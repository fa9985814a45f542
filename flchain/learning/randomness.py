"""Seeds that follow from the policy's seed, so that one seed gives one result."""

import hashlib

import numpy as np

from flchain.protocol.canonical import encode_canonical

_DOMAIN = "flchain-seed-v1"


def derive_seed(policy_seed: str, purpose: str, *labels: str | int) -> int:
    """Return a 128-bit seed for one purpose, such as ("batches", round, agent index).

    Different purposes or labels give independent seeds.
    """
    document = encode_canonical([_DOMAIN, policy_seed, purpose, *labels])
    return int.from_bytes(hashlib.sha256(document).digest()[:16], "big")


def derive_generator(policy_seed: str, purpose: str, *labels: str | int) -> np.random.Generator:
    """Return a generator seeded by `derive_seed`."""
    return np.random.Generator(np.random.PCG64(derive_seed(policy_seed, purpose, *labels)))

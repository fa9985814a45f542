"""Splitting rows among agents: every row goes to exactly one of them."""

import numpy as np
from numpy.typing import NDArray

from flchain.protocol.errors import ConfigError

MAX_ALPHA = 1_000_000
"""From here on all parts are alike; far above, the sum of the draws overflows."""


def partition_iid(rows: int, parts: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return `parts` random sets of row numbers whose sizes differ by at most one."""
    _check_sizes(rows, parts, 1)
    return [np.sort(part) for part in np.array_split(rng.permutation(rows), parts)]


def partition_dirichlet(
    labels: NDArray[np.int64],
    parts: int,
    alpha: float,
    rng: np.random.Generator,
    min_size: int = 10,
) -> list[NDArray[np.int64]]:
    """Return sets of row numbers whose shares of each class follow Dirichlet(alpha).

    Hsu et al. 2019 (https://arxiv.org/abs/1909.06335): the smaller `alpha`, the less alike
    the parts. Parts with fewer than `min_size` rows get random ones from the largest part.
    """
    if not 0 < alpha <= MAX_ALPHA:  # NaN fails too
        raise ConfigError(f"Dirichlet alpha is {alpha}; it must be positive, up to {MAX_ALPHA}")
    _check_sizes(len(labels), parts, min_size)
    shares: list[list[int]] = [[] for _ in range(parts)]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.cumsum(rng.dirichlet(np.full(parts, alpha)))[:-1] * len(rows)
        for share, piece in zip(shares, np.split(rows, cuts.astype(np.int64)), strict=True):
            share.extend(piece.tolist())
    _fill_small(shares, min_size, rng)
    return [np.array(sorted(share), np.int64) for share in shares]


def partition_shards(
    labels: NDArray[np.int64], parts: int, shards: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return sets of `shards` runs of equal labels each, dealt out at random.

    McMahan et al. 2017 (https://arxiv.org/abs/1602.05629), section 3: with two shards most parts
    have two classes.
    """
    if shards < 1:
        raise ConfigError(f"{shards} shards for each agent; write at least 1")
    _check_sizes(len(labels), parts, shards)
    order = np.argsort(labels, kind="stable")
    pieces = np.array_split(order, parts * shards)
    dealt = rng.permutation(parts * shards).reshape(parts, shards)
    return [np.sort(np.concatenate([pieces[shard] for shard in hand])) for hand in dealt]


def partition_quantity(
    rows: int, parts: int, alpha: float, rng: np.random.Generator, min_size: int = 10
) -> list[NDArray[np.int64]]:
    """Return random sets whose sizes follow Dirichlet(alpha), each of at least `min_size` rows."""
    if not 0 < alpha <= MAX_ALPHA:
        raise ConfigError(f"Dirichlet alpha is {alpha}; it must be positive, up to {MAX_ALPHA}")
    _check_sizes(rows, parts, min_size)
    free = rows - parts * min_size
    ends = np.rint(np.cumsum(rng.dirichlet(np.full(parts, alpha))) * free).astype(np.int64)
    cuts = ends[:-1] + min_size * np.arange(1, parts)
    return [np.sort(part) for part in np.split(rng.permutation(rows), cuts)]


def partition_sites(sites: NDArray[np.str_]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each site, sites in the order of their names."""
    return {str(site): np.flatnonzero(sites == site) for site in np.unique(sites)}


def _fill_small(shares: list[list[int]], min_size: int, rng: np.random.Generator) -> None:
    for share in shares:
        while len(share) < min_size:
            largest = max(shares, key=len)
            share.append(largest.pop(int(rng.integers(len(largest)))))


def _check_sizes(rows: int, parts: int, min_size: int) -> None:
    if parts < 1 or rows < parts * min_size:
        raise ConfigError(
            f"{rows} rows do not suffice for {parts} agents with at least {min_size} each"
        )

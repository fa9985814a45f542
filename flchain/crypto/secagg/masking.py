"""What an agent sends: its integers under masks that leave only their sum.

    y_i = x_i + PRG(b_i) + sum of PRG(s_ij) for j > i - sum of PRG(s_ij) for j < i   modulo 2^32

over the neighbours j whose sharing counts, in the order of addresses; s_ij is agreed on by both, so
that each pair's mask is in the sum once with either sign (K. Bonawitz et al., CCS 2017).
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from flchain.crypto.secagg.agents import encode_agent
from flchain.crypto.secagg.errors import MalformedMessage, TooFewSurvivors
from flchain.crypto.secagg.keys import Secrets, agree
from flchain.crypto.secagg.masks import (
    WORD,
    Masks,
    Words,
    apply_masks,
    check_words,
    derive_pair_key,
    derive_self_key,
)
from flchain.crypto.secagg.roster import Roster
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address


def to_words(values: NDArray[np.int32]) -> Words:
    """Return 32-bit integers as words, negative ones in two's complement; a copy.

    Raises EncodingError unless they are one row of 32-bit integers.
    """
    check_integers(values)
    return values.astype("<i4", order="C").view(WORD)


def check_integers(values: NDArray[np.int32]) -> None:
    """Raise EncodingError unless they are one row of 32-bit integers."""
    if values.dtype != np.int32 or values.ndim != 1:
        raise EncodingError("masking: one row of 32-bit integers is needed")


def from_words(words: Words) -> NDArray[np.int32]:
    """Return what words stand for, centred: from -2^31 up to and without 2^31."""
    check_words(words)
    return words.view("<i4")


def mask_input(
    roster: Roster,
    agent: Address,
    secrets: Secrets,
    members: AbstractSet[Address],
    words: Words,
    *,
    threads: int = 1,
) -> Words:
    """Return the agent's masked vector, the same for any number of threads.

    `members` are the agents whose sharing counts. A second vector under the same secrets would show
    the difference to the first: never mask another. Raises TooFewSurvivors if the agent is not
    among the members, or with fewer neighbours there than the threshold.
    """
    masked = words.copy()
    apply_masks(masked, build_masks(roster, agent, secrets, members), threads=threads)
    return masked


def build_masks(
    roster: Roster, agent: Address, secrets: Secrets, members: AbstractSet[Address]
) -> Masks:
    """Return the keys of all of an agent's masks. Raises TooFewSurvivors as `mask_input` does."""
    partners = [each for each in roster.graph.neighbours[agent] if each in members]
    if agent not in members or len(partners) < roster.threshold:
        raise TooFewSurvivors(
            f"{agent} has {len(partners)} neighbours left of {roster.threshold} needed; "
            "it must send nothing in this round"
        )
    pairs = build_pair_masks(roster, agent, secrets.masking, partners)
    own = derive_self_key(secrets.self_mask, roster.round_key, agent)
    return Masks((own, *pairs.added), pairs.subtracted)


def build_pair_masks(
    roster: Roster, agent: Address, secret: int, partners: Iterable[Address]
) -> Masks:
    """Return the keys of the masks that `agent` has in common with each partner."""
    others = tuple(partners)
    own = encode_agent(agent)
    added, subtracted = [], []
    agreements = agree(secret, (roster.keys[other].masking for other in others))
    for other, agreed in zip(others, agreements, strict=True):
        if own < encode_agent(other):
            added.append(derive_pair_key(agreed, roster.round_key, agent, other))
        else:
            subtracted.append(derive_pair_key(agreed, roster.round_key, other, agent))
    return Masks(tuple(added), tuple(subtracted))


def encode_words(words: Words) -> bytes:
    """Return four bytes for each word, little-endian."""
    check_words(words)
    return words.tobytes()


def decode_words(data: bytes, size: int) -> Words:
    """Return a view of untrusted bytes. Raises MalformedMessage unless they hold `size` words."""
    if len(data) != size * WORD.itemsize:
        raise MalformedMessage(
            f"masked vector: {size * WORD.itemsize} bytes needed, {len(data)} given"
        )
    return np.frombuffer(data, WORD)

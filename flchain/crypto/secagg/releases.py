"""What a holder tells once the survivors are known: one share of each neighbour's, never both.

For a neighbour that survived its self-mask share, for one that dropped out after sharing its key
share. With the first kind alone, or the second alone, a neighbour's vector stays masked; with both
it does not. So a release has one place for each neighbour, and its holder must write it down before
it is sent and send nothing else for this round, whatever is asked.

    body   u16 count || count * (owner (20) || kind u8 || share (32)), owners ascending
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

from flchain.crypto.scalars import SCALAR_SIZE, decode_scalar, encode_scalar
from flchain.crypto.secagg.agents import AGENT_SIZE, encode_agent, find_agent, index_agents
from flchain.crypto.secagg.errors import (
    BadShare,
    DoubleRelease,
    MalformedMessage,
    TooFewSurvivors,
    WrongRelease,
)
from flchain.crypto.secagg.messages import Kind, check_size, decode_message, encode_message
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import SharePair
from flchain.crypto.secp256k1 import ORDER
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address, Digest

_COUNT = 2
_ENTRY_SIZE = AGENT_SIZE + 1 + SCALAR_SIZE


class Secret(IntEnum):
    """Which of an owner's two secrets a share is of."""

    SELF_MASK = 1
    MASKING = 2


@dataclass(frozen=True, slots=True)
class ReleasedShare:
    """One share of one secret of the owner's."""

    owner: Address
    secret: Secret
    value: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Release:
    """All that a holder tells in a round; each owner occurs once, in ascending order.

    Raises DoubleRelease when made with an owner twice, EncodingError in another order.
    """

    shares: tuple[ReleasedShare, ...]

    def __post_init__(self) -> None:
        owners = [encode_agent(share.owner) for share in self.shares]
        if len(set(owners)) < len(owners):
            raise DoubleRelease("a release holds both shares of one owner")
        if any(left > right for left, right in pairwise(owners)):
            raise EncodingError("a release has its owners in ascending order")


def release_shares(
    roster: Roster,
    holder: Address,
    held: Mapping[Address, SharePair],
    members: AbstractSet[Address],
    survivors: AbstractSet[Address],
) -> Release:
    """Return what the holder tells: the one release for this set, to be written down first.

    `held` has the checked shares of its neighbours among the members. What one of them never gave
    it is left out, so that nobody can stop a holder by giving it nothing. Raises TooFewSurvivors as
    `check_survivors` does, and BadShare if it has fewer shares than restore a secret.
    """
    check_survivors(roster, members, survivors)
    wanted = list_wanted(roster, holder, members, survivors)
    told = {owner: secret for owner, secret in wanted.items() if owner in held}
    if len(told) < count_least(roster, wanted):
        raise BadShare(f"{holder} has {len(told)} valid shares of {len(wanted)} to release")
    return Release(
        tuple(
            ReleasedShare(owner, secret, _choose(held[owner], secret))
            for owner, secret in told.items()
        )
    )


def count_least(roster: Roster, wanted: Mapping[Address, Secret]) -> int:
    """Return the fewest shares that a release must have to count."""
    return min(roster.threshold, len(wanted))


def list_wanted(
    roster: Roster, holder: Address, members: AbstractSet[Address], survivors: AbstractSet[Address]
) -> dict[Address, Secret]:
    """Return the owners whose shares the holder must tell, and of which secret, in order."""
    return {
        owner: Secret.SELF_MASK if owner in survivors else Secret.MASKING
        for owner in roster.graph.neighbours[holder]
        if owner in members
    }


def check_survivors(
    roster: Roster, members: AbstractSet[Address], survivors: AbstractSet[Address]
) -> None:
    """Raise TooFewSurvivors unless everybody beside a survivor has t surviving neighbours.

    Whoever has fewer has secrets that those who are left could not restore, so that the sum would
    be lost and what was told for nothing. Raises it too for survivors who are no members, and for
    none at all.
    """
    if not survivors or not survivors <= members:
        raise TooFewSurvivors("the survivors must be some of the members")
    for agent in members:
        left = sum(each in survivors for each in roster.graph.neighbours[agent])
        is_needed = left > 0 or agent in survivors
        if is_needed and left < roster.threshold:
            raise TooFewSurvivors(
                f"{agent} has {left} surviving neighbours of {roster.threshold} needed; release "
                "nothing in this round"
            )


def check_release(
    roster: Roster,
    holder: Address,
    release: Release,
    members: AbstractSet[Address],
    survivors: AbstractSet[Address],
) -> None:
    """Raise WrongRelease unless it has shares that the sets ask its holder for, and enough."""
    found = {share.owner: share.secret for share in release.shares}
    if holder not in members:
        raise WrongRelease(f"{holder} has shared nothing and has nothing to release")
    wanted = list_wanted(roster, holder, members, survivors)
    if not found.items() <= wanted.items():
        raise WrongRelease(f"{holder} has released other shares than the survivors ask for")
    if len(found) < count_least(roster, wanted):
        raise WrongRelease(f"{holder} has released {len(found)} shares of {len(wanted)}: too few")


def collect_releases(releases: Iterable[tuple[Address, Release]]) -> dict[Address, Release]:
    """Return each holder's release. Raises DoubleRelease if one holder has two that differ."""
    found: dict[Address, Release] = {}
    for holder, release in releases:
        if found.setdefault(holder, release) != release:
            raise DoubleRelease(f"{holder} has released twice; both are evidence against it")
    return found


def encode_release(round_key: Digest, holder: Address, release: Release) -> bytes:
    """Return the holder's message. One without shares says that it releases nothing."""
    entries = (
        encode_agent(share.owner) + bytes([share.secret]) + encode_scalar(share.value, ORDER)
        for share in release.shares
    )
    body = len(release.shares).to_bytes(_COUNT, "big") + b"".join(entries)
    return encode_message(Kind.RELEASE, round_key, holder, body)


def decode_release(roster: Roster, holder: Address, data: bytes) -> Release:
    """Return the holder's release in untrusted bytes; its shares are not checked yet.

    Raises MalformedMessage, DoubleRelease, ForeignRound or ForeignSender.
    """
    body = decode_message(Kind.RELEASE, roster.round_key, holder, data)
    count = int.from_bytes(body[:_COUNT], "big")
    check_size(Kind.RELEASE, body, _COUNT + count * _ENTRY_SIZE)
    neighbours = index_agents(roster.graph.neighbours[holder])
    entries = [
        _decode_entry(body[start : start + _ENTRY_SIZE], neighbours)
        for start in range(_COUNT, len(body), _ENTRY_SIZE)
    ]
    try:
        return Release(tuple(entries))
    except EncodingError as error:
        raise MalformedMessage(f"{holder}: {error}") from None


def _decode_entry(data: bytes, neighbours: Mapping[bytes, Address]) -> ReleasedShare:
    owner = find_agent(data[:AGENT_SIZE], neighbours)
    try:
        value = decode_scalar(data[AGENT_SIZE + 1 :], ORDER)
        return ReleasedShare(owner, Secret(data[AGENT_SIZE]), value)
    except (EncodingError, ValueError):
        raise MalformedMessage(f"the share of {owner} in a release is malformed") from None


def _choose(pair: SharePair, secret: Secret) -> int:
    return pair.self_mask if secret is Secret.SELF_MASK else pair.masking

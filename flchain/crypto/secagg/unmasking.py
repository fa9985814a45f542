"""From masked vectors and releases to the sum: anybody can do it, and everybody gets the same bits.

The self-mask secret of each survivor and the masking secret of each member that dropped out are
restored from t shares. A restored secret is right if it is that of the public key, so that single
shares are looked at only where it is not. Then the survivors' own masks are taken off, and those
that they have in common with the dropped.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from flchain.crypto.feldman import commit_polynomial, verify_share
from flchain.crypto.groups import Point
from flchain.crypto.secagg.errors import BadShare, TooFewShares, TooFewSurvivors, WrongRelease
from flchain.crypto.secagg.masking import build_pair_masks
from flchain.crypto.secagg.masks import Masks, Words, apply_masks, derive_self_key, sum_words
from flchain.crypto.secagg.releases import Release, Secret, check_release
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import Sharing, get_commitments
from flchain.crypto.secp256k1 import GENERATOR, ORDER, get_group
from flchain.crypto.shamir import evaluate_polynomial, interpolate_polynomial, interpolate_secret
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Address


@dataclass(frozen=True, slots=True)
class Restored:
    """The survivors' self-mask secrets and the dropped members' masking secrets."""

    self_masks: Mapping[Address, int] = field(repr=False)
    masking: Mapping[Address, int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unmasking:
    """A round at its end: who shared, with which commitments, and who survived.

    Raises TooFewSurvivors when made without survivors, or with one that shared nothing.
    """

    roster: Roster
    sharings: Mapping[Address, Sharing]
    """Of every member: of each agent whose sharing counts."""
    survivors: frozenset[Address]

    def __post_init__(self) -> None:
        if not self.survivors or not self.survivors <= self.members:
            raise TooFewSurvivors("the survivors must be some of the members")

    @property
    def members(self) -> AbstractSet[Address]:
        """Everybody whose sharing counts."""
        return self.sharings.keys()

    @property
    def dropped(self) -> tuple[Address, ...]:
        """Members that did not survive but have masks in common with survivors, in order."""
        graph = self.roster.graph
        return tuple(
            agent
            for agent in graph.agents
            if agent in self.members
            and agent not in self.survivors
            and not self.survivors.isdisjoint(graph.neighbours[agent])
        )

    def get_commitments(self, owner: Address, secret: Secret) -> tuple[Point, ...]:
        """Return the commitments to the polynomial that shares a secret."""
        masking, self_mask = get_commitments(self.roster, owner, self.sharings[owner])
        return self_mask if secret is Secret.SELF_MASK else masking


def restore_secrets(round_: Unmasking, releases: Mapping[Address, Release]) -> Restored:
    """Return all secrets that unmasking needs.

    Releases of other shares than the survivors ask for are left out. Raises TooFewShares, naming
    the owner and whose shares were wrong, if fewer than t valid ones are left.
    """
    shares = _sort_shares(round_, releases)
    graph = round_.roster.graph
    survivors = [agent for agent in graph.agents if agent in round_.survivors]
    self_masks = {
        owner: _restore(round_, owner, Secret.SELF_MASK, shares[owner]) for owner in survivors
    }
    masking = {
        owner: _restore(round_, owner, Secret.MASKING, shares[owner]) for owner in round_.dropped
    }
    return Restored(self_masks, masking)


def find_bad_shares(
    round_: Unmasking, releases: Mapping[Address, Release]
) -> dict[Address, BadShare | WrongRelease]:
    """Return what is wrong with each release that is not right in every share.

    A right release is a reason to be paid, so that every share is checked, against all commitments.
    """
    found: dict[Address, BadShare | WrongRelease] = {}
    for holder, release in releases.items():
        try:
            check_release(round_.roster, holder, release, round_.members, round_.survivors)
        except WrongRelease as error:
            found[holder] = error
    agents = round_.roster.graph.agents
    for owner, shares in _sort_shares(round_, releases).items():
        secret = Secret.SELF_MASK if owner in round_.survivors else Secret.MASKING
        for place in find_bad_places(round_.get_commitments(owner, secret), shares):
            holder = agents[place - 1]
            found.setdefault(holder, BadShare(f"{holder} released a wrong share of {owner}'s"))
    return found


def find_bad_places(commitments: tuple[Point, ...], shares: Mapping[int, int]) -> list[int]:
    """Return the places whose shares are not the committed polynomial's values.

    Where the first t give a polynomial with these very commitments the others are compared with its
    values, without a product for each; else each is checked alone. Both ways give the same answer.
    """
    threshold = len(commitments)
    first = dict(sorted(shares.items())[:threshold])
    if len(first) == threshold:
        polynomial = interpolate_polynomial(first, ORDER)
        if all(polynomial) and commit_polynomial(polynomial) == commitments:
            return [
                place
                for place, value in shares.items()
                if evaluate_polynomial(polynomial, place, ORDER) != value
            ]
    return [place for place, value in shares.items() if not verify_share(commitments, place, value)]


def build_corrections(round_: Unmasking, restored: Restored) -> Masks:
    """Return the masks that take everything off the survivors' sum but the sum itself."""
    round_key = round_.roster.round_key
    own = (
        derive_self_key(secret, round_key, agent) for agent, secret in restored.self_masks.items()
    )
    added: list[bytes] = []
    subtracted = list(own)
    for agent, secret in restored.masking.items():
        neighbours = round_.roster.graph.neighbours[agent]
        partners = [each for each in neighbours if each in round_.survivors]
        pairs = build_pair_masks(round_.roster, agent, secret, partners)
        # What the dropped agent would have sent, its partners sent with the other sign.
        added.extend(pairs.added)
        subtracted.extend(pairs.subtracted)
    return Masks(tuple(added), tuple(subtracted))


def unmask(vectors: Iterable[Words], corrections: Masks, size: int, *, threads: int = 1) -> Words:
    """Return the sum of the survivors' inputs modulo 2^32.

    Takes one masked vector at a time, in any order, and holds it and the sum; each thread but the
    first holds one more. The result is the same for any number. Raises EncodingError if a vector
    has another length than `size`.
    """
    total = sum_words(vectors, size)
    apply_masks(total, corrections, threads=threads)
    return total


def count_vectors(vectors: Iterable[Words], expected: int) -> Iterator[Words]:
    """Yield the vectors. Raises EncodingError unless there are as many as expected."""
    count = 0
    for vector in vectors:
        count += 1
        yield vector
    if count != expected:
        raise EncodingError(f"masked vectors: {count} given, there are {expected} survivors")


def _sort_shares(
    round_: Unmasking, releases: Mapping[Address, Release]
) -> dict[Address, dict[int, int]]:
    """Return each owner's shares by place, from the releases that have what they should."""
    graph = round_.roster.graph
    found: dict[Address, dict[int, int]] = {agent: {} for agent in round_.members}
    for holder in graph.agents:
        release = releases.get(holder)
        if release is None:
            continue
        try:
            check_release(round_.roster, holder, release, round_.members, round_.survivors)
        except WrongRelease:
            continue
        for share in release.shares:
            found[share.owner][graph.places[holder]] = share.value
    return found


def _restore(round_: Unmasking, owner: Address, secret: Secret, shares: Mapping[int, int]) -> int:
    commitments = round_.get_commitments(owner, secret)
    threshold = round_.roster.threshold
    chosen = dict(sorted(shares.items())[:threshold])
    if len(chosen) == threshold:
        value = interpolate_secret(chosen, ORDER)
        if get_group().multiply(GENERATOR, value) == commitments[0]:
            return value
    bad = find_bad_places(commitments, shares)
    good = {place: value for place, value in sorted(shares.items()) if place not in bad}
    if len(good) < threshold:
        names = [round_.roster.graph.agents[place - 1] for place in bad]
        raise TooFewShares(
            f"{owner}: {len(good)} valid shares of {threshold} needed"
            + (f"; wrong ones came from {', '.join(names)}" if names else "")
        )
    return interpolate_secret(dict(list(good.items())[:threshold]), ORDER)

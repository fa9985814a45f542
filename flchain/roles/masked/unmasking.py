"""The sum of a masked round, from what is on record: what proposes, votes and verifies.

Which releases count is in the proposal's record, because nobody attests releases: a proposer lists
those it holds and found right, and whoever executes the round again looks at exactly these. The
secrets that they restore are the public keys', so every list that suffices gives the same sum; who
is paid follows from the list. A group counts as lost only where the list has all that its members
posted: nobody can leave it out by leaving out releases.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from flchain.crypto.groups import Point
from flchain.crypto.secagg.errors import TooFewShares, WeightSumMismatch
from flchain.crypto.secagg.masking import decode_words, encode_words
from flchain.crypto.secagg.masks import WORD, Words, sum_words
from flchain.crypto.secagg.releases import Release, decode_release
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import Sharing, decode_sharing
from flchain.crypto.secagg.unmasking import (
    Unmasking,
    build_corrections,
    count_vectors,
    find_bad_shares,
    restore_secrets,
    unmask,
)
from flchain.crypto.secagg.weights import TAIL, WeightedSum, split_sum, verify_weight_sum
from flchain.learning.aggregation import Aggregate, CountedGroup
from flchain.learning.group_sums import GroupSum, combine_groups
from flchain.learning.masked_vectors import count_words, read_sum
from flchain.learning.parameters import Int64
from flchain.protocol.canonical import CanonicalValue
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.events import UpdateSubmitted
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Digest, Phase
from flchain.roles.archive import Archive
from flchain.roles.masked.blobs import Messages, Origin
from flchain.roles.masked.groups import Grouping
from flchain.roles.masked.rosters import JoinReader, build_round_roster
from flchain.roles.terms import Terms
from flchain.storage.cid import cid_from_digest
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

WEIGHT_FAULT = "WeightSumMismatch"
"""The fault of a group whose weights do not add up."""
BLOB_FAULT = "MalformedMember"
"""The fault of a group of which a majority attested what is no message of a member."""
RELEASE_FAULT = "TooFewShares"
"""The fault of a group that all releases which its members posted do not restore."""
SIZE_FAULT = "TooFewToOpen"
"""The fault of a group whose sum would tell about too few: nobody releases anything for it."""


@dataclass(frozen=True)
class MaskedInputs:
    """What the sum of a round depends on besides the survivors' vectors."""

    origin: Origin
    seed: Digest
    """Of the neighbour graph: the anchor of SHARES."""
    joined: Mapping[Address, Digest]
    sharings: Mapping[Address, Digest]
    """Of the members: of all whose sharing counts."""
    grouping: Grouping
    posted: Mapping[Address, Digest]
    """All releases on the chain."""
    releases: Mapping[Address, Digest]
    """Those that are counted: all that are posted, or those that a proposal lists."""


@dataclass(frozen=True)
class Opening:
    """A group that can be unmasked: its members' keys and sharings, and their releases."""

    unmasking: Unmasking
    commitments: Mapping[Address, Point]
    releases: Mapping[Address, Release]


@dataclass(frozen=True)
class Opened:
    """What one group came to: its sum with the agents to pay, or a fault."""

    fault: str = ""
    total: GroupSum | None = None
    paid: frozenset[Address] = frozenset()


@dataclass(frozen=True)
class RoundOpening:
    """A round whose groups are opened one by one."""

    messages: Messages
    inputs: MaskedInputs
    reader: JoinReader
    roster: Roster

    def open_group(
        self, group: AbstractSet[Address], survivors: Mapping[Address, UpdateSubmitted]
    ) -> Opened:
        """Return the sum of a group's survivors, in the order of their submissions.

        Raises ContentUnavailable or ContentCorrupt if something can't be had here, TooFewShares if
        the counted releases do not restore a secret and others are on the chain.
        """
        if not survivors:
            return Opened(SIZE_FAULT)
        try:
            opening = self.read_opening(group, survivors.keys())
            total = _unmask(self.messages, opening, list(survivors.values()))
            points = [opening.commitments[agent] for agent in survivors]
            verify_weight_sum(points, total.weight, total.limbs)
        except EncodingError:
            return Opened(BLOB_FAULT)
        except WeightSumMismatch:
            return Opened(WEIGHT_FAULT)
        except TooFewShares:
            if not self._has_all_releases(group):
                raise
            return Opened(RELEASE_FAULT)
        key = self.inputs.origin.round_key
        sections = read_sum(total.update, self.messages.terms.policy, key)
        right = survivors.keys() & find_right_releases(opening).keys()
        return Opened("", GroupSum(sections, total.weight), frozenset(right))

    def read_opening(self, group: AbstractSet[Address], survivors: Iterable[Address]) -> Opening:
        """Read everything but the vectors. Raises ContentUnavailable or EncodingError.

        EncodingError says that a majority of validators attested what they should not have.
        """
        digests = {a: d for a, d in self.inputs.sharings.items() if a in group}
        for agent in digests.keys() & self.reader.refused.keys():
            raise EncodingError(f"keys of member {agent}: {self.reader.refused[agent]}")
        sharings = {
            agent: read_sharing(self.messages, self.roster, agent, digest)
            for agent, digest in digests.items()
        }
        unmasking = Unmasking(self.roster, sharings, frozenset(survivors))
        releases = {a: d for a, d in self.inputs.releases.items() if a in group}
        points = {a: self.reader.found[a].weight.point for a in sharings}
        found = dict(_read_releases(self.messages, releases, self.roster))
        return Opening(unmasking, points, found)

    def _has_all_releases(self, group: AbstractSet[Address]) -> bool:
        """Return whether every release that the group's members posted is counted."""
        return group & self.inputs.posted.keys() <= self.inputs.releases.keys()


def read_round(
    messages: Messages, inputs: MaskedInputs, wanted: AbstractSet[Address]
) -> RoundOpening:
    """Return the round with the keys of the members among `wanted`, as far as they are valid.

    Raises ContentUnavailable if a message of theirs can't be had here.
    """
    reader = JoinReader(messages)
    members = {agent: inputs.joined[agent] for agent in inputs.sharings if agent in wanted}
    if missing := reader.read_all(members):
        first = min(missing)
        raise ContentUnavailable(cid_from_digest(members[first]), f"this store: keys of {first}")
    keys = {agent: joined.keys for agent, joined in reader.found.items()}
    terms, origin, groups = messages.terms, messages.origin, inputs.grouping.groups
    roster = build_round_roster(terms, origin, inputs.joined, keys, seed=inputs.seed, groups=groups)
    return RoundOpening(messages, inputs, reader, roster)


def read_sharing(messages: Messages, roster: Roster, agent: Address, digest: Digest) -> Sharing:
    """Return an agent's sharing. Raises ContentUnavailable or EncodingError."""
    return decode_sharing(roster, agent, messages.fetch(agent, Phase.SHARES, digest))


def find_right_releases(
    opening: Opening,
) -> dict[Address, Release]:
    """Return the releases of which every share is right: whose agents are paid if they survived."""
    bad = find_bad_shares(opening.unmasking, opening.releases)
    return {agent: each for agent, each in opening.releases.items() if agent not in bad}


def aggregate_masked(
    terms: Terms, inputs: MaskedInputs, survivors: Sequence[UpdateSubmitted], archive: Archive
) -> Aggregate:
    """Return what the groups' sums make; each survivor of theirs counts 1 whose release is right.

    Where the weights that come out of a group are not those that were committed to, nobody can tell
    who lied: its sum is void. If no group has a sum the round has none, which the `fault` says.
    Raises ContentUnavailable or ContentCorrupt if something can't be had here, TooFewShares if the
    counted releases do not restore a group that is to be opened, though there are others.
    """
    submissions = {each.agent: each for each in survivors}
    groups = inputs.grouping.groups
    parts = inputs.grouping.list_opened(submissions.keys())
    wanted = frozenset().union(*(g for g, part in zip(groups, parts, strict=True) if part))
    round_ = read_round(Messages(terms, archive, inputs.origin), inputs, wanted)
    opened = [
        round_.open_group(group, {a: s for a, s in submissions.items() if a in part})
        for group, part in zip(groups, parts, strict=True)
    ]
    sums = [each.total for each in opened if each.total is not None]
    faults = [each.fault for each, part in zip(opened, parts, strict=True) if part]
    paid = frozenset().union(*(each.paid for each in opened))
    return Aggregate(
        combine_groups(sums, terms.policy) if sums else _build_nothing(terms, inputs),
        tuple(int(each.agent in paid) for each in survivors),
        sum(each.weight for each in sums),
        "" if sums else next(iter(faults), SIZE_FAULT),
        tuple(map(_count_group, groups, parts, opened)),
    )


def _build_nothing(terms: Terms, inputs: MaskedInputs) -> dict[str, Int64]:
    """Return the sections of no sum at all."""
    nothing = np.zeros(count_words(terms.policy), np.int32)
    return read_sum(nothing, terms.policy, inputs.origin.round_key)


def _count_group(
    group: AbstractSet[Address], part: AbstractSet[Address], opened: Opened
) -> CountedGroup:
    weight = opened.total.weight if opened.total else 0
    return CountedGroup(tuple(sorted(group)), tuple(sorted(part)), weight, opened.fault)


def describe_masked(inputs: MaskedInputs, aggregate: Aggregate) -> dict[str, CanonicalValue]:
    """Return what a round's record says of its masked part: the counted releases, the total.

    Of a round that was divided also what became of each group.
    """
    releases: list[CanonicalValue] = [
        [agent, digest.hex()] for agent, digest in sorted(inputs.releases.items())
    ]
    total, fault = aggregate.total_weight, aggregate.fault
    document: dict[str, CanonicalValue] = {"releases": releases, "weight": total, "fault": fault}
    if len(aggregate.groups) > 1:
        document["groups"] = [describe_group(group) for group in aggregate.groups]
    return document


def describe_group(group: CountedGroup) -> dict[str, CanonicalValue]:
    """Return what documents say of a group."""
    return {
        "agents": list(group.agents),
        "survivors": list(group.survivors),
        "weight": group.weight,
        "fault": group.fault,
    }


def decode_listed(document: object) -> dict[Address, Digest]:
    """Return the releases that an untrusted record lists. Raises EncodingError."""
    rows = document.get("releases") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise EncodingError("round record: releases is not a list")
    found = dict(map(_decode_row, rows))
    if list(found) != sorted(found) or len(found) != len(rows):
        raise EncodingError("round record: releases do not rise by agent")
    return found


def decode_groups(document: object) -> tuple[CountedGroup, ...]:
    """Return the groups that an untrusted record tells of, none if there was one sum alone.

    Raises EncodingError.
    """
    rows = document.get("groups", []) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise EncodingError("round record: groups is not a list")
    return tuple(map(_decode_group, rows))


def _decode_group(row: object) -> CountedGroup:
    match row:
        case {
            "agents": list(agents),
            "survivors": list(survivors),
            "weight": int(weight),
            "fault": str(fault),
        } if all(isinstance(agent, str) for agent in (*agents, *survivors)):
            return CountedGroup(tuple(agents), tuple(survivors), weight, fault)
        case _:
            raise EncodingError("round record: a group is not agents, survivors, weight and fault")


def _decode_row(row: object) -> tuple[Address, Digest]:
    match row:
        case [str(agent), str(digest)] if re.fullmatch("[0-9a-f]{64}", digest):
            return Address(agent), Digest(bytes.fromhex(digest))
        case _:
            raise EncodingError("round record: a release is not [agent, digest]")


def _unmask(
    messages: Messages, opening: Opening, survivors: Sequence[UpdateSubmitted]
) -> WeightedSum:
    restored = restore_secrets(opening.unmasking, opening.releases)
    corrections = build_corrections(opening.unmasking, restored)
    vectors = (read_vector(messages, each) for each in survivors)
    size = count_words(messages.terms.policy) + TAIL
    return split_sum(unmask(count_vectors(vectors, len(survivors)), corrections, size))


def encode_blank(policy: Policy) -> bytes:
    """Return a vector of nothing: for a group whose sum cannot be opened any more."""
    return encode_words(np.zeros(count_words(policy) + TAIL, WORD))


def read_vector(messages: Messages, submission: UpdateSubmitted) -> Words:
    """Return a masked vector. Raises ContentUnavailable, ContentCorrupt or EncodingError."""
    size = count_words(messages.terms.policy) + TAIL
    limit = size * WORD.itemsize
    agent, digest = submission.agent, submission.digest
    return decode_words(messages.fetch(agent, Phase.SUBMIT, digest, max_size=limit), size)


def sum_vectors(messages: Messages, submissions: Sequence[UpdateSubmitted]) -> Words:
    """Return the sum modulo 2^32 of some masked vectors as they are."""
    size = count_words(messages.terms.policy) + TAIL
    return sum_words((read_vector(messages, each) for each in submissions), size)


def _read_releases(
    messages: Messages, releases: Mapping[Address, Digest], roster: Roster
) -> Iterator[tuple[Address, Release]]:
    """Yield the releases; what is no release of its agent's counts for nothing."""
    for agent, digest in releases.items():
        try:
            data = messages.fetch(agent, Phase.UNMASK, digest)
            yield agent, decode_release(roster, agent, data)
        except ContentCorrupt:
            raise
        except (EncodingError, ProofError):
            continue

"""The sum of a masked round, from what is on record: what proposes, votes and verifies.

Which releases count is in the proposal's record, because nobody attests releases: a proposer lists
those it holds and found right, and whoever executes the round again looks at exactly these. The
secrets that they restore are the public keys', so every list that suffices gives the same sum; who
is paid follows from the list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flchain.crypto.groups import Point
from flchain.crypto.secagg.errors import WeightSumMismatch
from flchain.crypto.secagg.masking import decode_words
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
from flchain.learning.aggregation import Aggregate
from flchain.learning.masked_vectors import count_words, read_sum
from flchain.protocol.canonical import CanonicalValue
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.events import UpdateSubmitted
from flchain.protocol.types import Address, Digest, Phase
from flchain.roles.archive import Archive
from flchain.roles.masked.blobs import Messages, Origin
from flchain.roles.masked.rosters import JoinReader, build_round_roster
from flchain.roles.terms import Terms
from flchain.storage.cid import cid_from_digest
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

WEIGHT_FAULT = "WeightSumMismatch"
"""The fault of a round whose weights do not add up."""
BLOB_FAULT = "MalformedMember"
"""The fault of a round in which a majority attested what is no message of a member."""


@dataclass(frozen=True)
class MaskedInputs:
    """What the sum of a round depends on besides the survivors' vectors."""

    origin: Origin
    seed: Digest
    """Of the neighbour graph: the anchor of SHARES."""
    joined: Mapping[Address, Digest]
    sharings: Mapping[Address, Digest]
    """Of the members: of all whose sharing counts."""
    releases: Mapping[Address, Digest]
    """Those that are counted: all that are posted, or those that a proposal lists."""


@dataclass(frozen=True)
class Opening:
    """A round that can be unmasked: its members' keys and sharings, and the releases."""

    unmasking: Unmasking
    commitments: Mapping[Address, Point]
    releases: Mapping[Address, Release]


def read_roster(messages: Messages, inputs: MaskedInputs) -> tuple[JoinReader, Roster]:
    """Return what the members joined with, and the roster.

    Raises ContentUnavailable if a member's message can't be had here, EncodingError if it is
    not valid: then a majority of validators attested what they should not have.
    """
    reader = JoinReader(messages)
    members = {agent: inputs.joined[agent] for agent in inputs.sharings}
    if missing := reader.read_all(members):
        first = min(missing)
        raise ContentUnavailable(cid_from_digest(members[first]), f"this store: keys of {first}")
    if reader.refused:
        agent, reason = next(iter(reader.refused.items()))
        raise EncodingError(f"keys of member {agent}: {reason}")
    keys = {agent: joined.keys for agent, joined in reader.found.items()}
    terms, origin = messages.terms, messages.origin
    return reader, build_round_roster(terms, origin, inputs.joined, keys, inputs.seed)


def open_round(messages: Messages, inputs: MaskedInputs, survivors: Iterable[Address]) -> Opening:
    """Read everything but the vectors. Raises ContentUnavailable or EncodingError."""
    reader, roster = read_roster(messages, inputs)
    sharings = {
        agent: read_sharing(messages, roster, agent, digest)
        for agent, digest in inputs.sharings.items()
    }
    unmasking = Unmasking(roster, sharings, frozenset(survivors))
    releases = dict(_read_releases(messages, inputs, roster))
    points = {agent: joined.weight.point for agent, joined in reader.found.items()}
    return Opening(unmasking, points, releases)


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
    """Return the sum of the survivors' weighted updates; each counts 1 whose release is right.

    Raises ContentUnavailable or ContentCorrupt if something can't be had here, TooFewShares if
    the releases do not restore a secret. Where the weights that come out are not those that were
    committed to, nobody can tell who lied: the sum is void, which the `fault` says.
    """
    messages = Messages(terms, archive, inputs.origin)
    try:
        opening = open_round(messages, inputs, (each.agent for each in survivors))
        total = _unmask(messages, opening, survivors)
        points = [opening.commitments[each.agent] for each in survivors]
        verify_weight_sum(points, total.weight, total.limbs)
    except EncodingError:
        return _void_sum(terms, inputs, len(survivors), BLOB_FAULT)
    except WeightSumMismatch:
        return _void_sum(terms, inputs, len(survivors), WEIGHT_FAULT)
    right = find_right_releases(opening)
    sections = read_sum(total.update, terms.policy, inputs.origin.round_key)
    paid = tuple(int(each.agent in right) for each in survivors)
    return Aggregate(sections, paid, total.weight)


def _void_sum(terms: Terms, inputs: MaskedInputs, survivors: int, fault: str) -> Aggregate:
    """Return no sum at all, for which nobody is paid."""
    nothing = np.zeros(count_words(terms.policy), np.int32)
    sections = read_sum(nothing, terms.policy, inputs.origin.round_key)
    return Aggregate(sections, (0,) * survivors, 0, fault)


def describe_masked(inputs: MaskedInputs, aggregate: Aggregate) -> dict[str, CanonicalValue]:
    """Return what a round's record says of its masked part: the counted releases, the total."""
    releases: list[CanonicalValue] = [
        [agent, digest.hex()] for agent, digest in sorted(inputs.releases.items())
    ]
    return {"releases": releases, "weight": aggregate.total_weight, "fault": aggregate.fault}


def decode_listed(document: object) -> dict[Address, Digest]:
    """Return the releases that an untrusted record lists. Raises EncodingError."""
    rows = document.get("releases") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise EncodingError("round record: releases is not a list")
    found = dict(map(_decode_row, rows))
    if list(found) != sorted(found) or len(found) != len(rows):
        raise EncodingError("round record: releases do not rise by agent")
    return found


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
    messages: Messages, inputs: MaskedInputs, roster: Roster
) -> Iterator[tuple[Address, Release]]:
    """Yield the counted releases; what is no release of its agent's counts for nothing."""
    for agent, digest in inputs.releases.items():
        try:
            data = messages.fetch(agent, Phase.UNMASK, digest)
            yield agent, decode_release(roster, agent, data)
        except ContentCorrupt:
            raise
        except (EncodingError, ProofError):
            continue

"""What the sum of a masked round follows from, collected from the chain's record of it."""

from collections.abc import Mapping

from flchain.learning.aggregation import CountedGroup
from flchain.protocol.canonical import decode_canonical
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.events import ProposalSubmitted
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Digest, Phase
from flchain.roles.archive import Archive, MalformedPayload
from flchain.roles.context import Context
from flchain.roles.history import RoundPast, TaskPast
from flchain.roles.masked.blobs import Messages, Origin
from flchain.roles.masked.groups import group_round
from flchain.roles.masked.past import MaskedPast
from flchain.roles.masked.unmasking import MaskedInputs, decode_groups, decode_listed
from flchain.roles.terms import Terms
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

MAX_RECORD_SIZE = 1 << 20
"""As in `execution`, which depends on this package."""


class UnlistedReleases(ProofError):
    """A proposal's record lists no releases, or others than stand on the chain."""


def build_masked_inputs(
    origin: Origin,
    policy: Policy,
    task: TaskPast,
    past: RoundPast,
    releases: Mapping[Address, Digest] | None = None,
) -> MaskedInputs | None:
    """Return what unmasking takes; None in plain mode. `releases` is by default all posted."""
    masked, holders = past.masked, task.holders
    if masked is None:
        return None
    members = masked.get_set(Phase.CHECK)
    shared = name_records(masked, holders, Phase.SHARES)
    posted, seed = name_releases(past, holders), masked.anchors[Phase.SHARES]
    return MaskedInputs(
        origin=origin,
        seed=seed,
        joined=name_records(masked, holders, Phase.JOIN),
        sharings={agent: shared[agent] for agent in (holders[place] for place in sorted(members))},
        grouping=group_round(policy, task, past.opened.round, seed),
        posted=posted,
        releases=posted if releases is None else releases,
    )


def name_records(
    masked: MaskedPast, holders: tuple[Address, ...], phase: Phase
) -> dict[Address, Digest]:
    """Return the digests in force of a phase, by agent."""
    return {holders[place]: digest for place, digest in masked.get_records(phase).items()}


def name_releases(past: RoundPast, holders: tuple[Address, ...]) -> dict[Address, Digest]:
    """Return the releases that stand on the chain, by agent."""
    return {} if past.masked is None else name_records(past.masked, holders, Phase.UNMASK)


def gather_releases(
    context: Context, terms: Terms, task: TaskPast, past: RoundPast
) -> dict[Address, Digest]:
    """Return the posted releases whose bytes are here, for a proposal."""
    messages = Messages(terms, context.archive, context.get_origin(past.opened.round))
    found = {}
    for agent, digest in name_releases(past, task.holders).items():
        try:
            messages.fetch(agent, Phase.UNMASK, digest)
        except (ContentUnavailable, ContentCorrupt):
            continue
        except MalformedPayload:
            pass
        found[agent] = digest
    return found


def fetch_groups(archive: Archive, aggregate_root: Digest) -> tuple[CountedGroup, ...]:
    """Return the groups that a round's record tells of; none if it had one sum, or none at all.

    Raises ContentUnavailable or ContentCorrupt if the record can't be had here, EncodingError or
    ProofError if it is malformed.
    """
    data = archive.fetch(aggregate_root, max_size=MAX_RECORD_SIZE, kind="report")
    return decode_groups(decode_canonical(data, max_size=MAX_RECORD_SIZE))


def read_listed_releases(
    archive: Archive,
    holders: tuple[Address, ...],
    past: RoundPast,
    proposal: ProposalSubmitted,
) -> dict[Address, Digest] | None:
    """Return the releases that a proposal's record lists; None in plain mode.

    Raises ContentUnavailable or ContentCorrupt if the record can't be had here, UnlistedReleases
    if it is malformed or lists what is not on the chain.
    """
    if past.masked is None:
        return None
    try:
        payload = archive.fetch(
            proposal.content.aggregate_root, max_size=MAX_RECORD_SIZE, kind="report"
        )
        listed = decode_listed(decode_canonical(payload, max_size=MAX_RECORD_SIZE))
    except (MalformedPayload, EncodingError) as error:
        raise UnlistedReleases(str(error)) from error
    posted = name_releases(past, holders)
    if not listed.items() <= posted.items():
        raise UnlistedReleases("the record lists releases that are not on the chain")
    return listed

"""Whether the events that an agent was shown are those which the chain's anchors stand for.

A node may tell each of its users something else. Before it acts on a set, an agent computes the
roots of all sets so far from the records themselves. The anchor in its own record binds the last
of them, so that on a chain where it is another one the record is refused.
"""

from collections.abc import Mapping

from flchain.crypto.merkle import compute_listed_root
from flchain.protocol.digests import (
    WORD,
    compute_anchor,
    pack_bits,
    record_leaf,
    set_root,
    start_chain,
)
from flchain.protocol.errors import ProofError
from flchain.protocol.events import AnchorPinned, PhaseClosed, RecordsRelayed
from flchain.protocol.types import ZERO_DIGEST, Bitmap, Digest, Phase
from flchain.roles.masked.past import MaskedPast, apply_masked, chain_event, list_entries


class DivergentView(ProofError):
    """The events are not those that the anchor stands for: nothing may follow from them."""


def verify_view(past: MaskedPast, key: Digest, anchor: Digest, places: int) -> None:
    """Raise DivergentView unless `anchor` binds all that the events of a masked round show.

    `anchor` is that of the newest phase, `key` the round key, `places` how many the task has.
    """
    shown, commitment, expected = MaskedPast(past.validators), start_chain(key), {key}
    anchors = {Phase.JOIN: key}
    for logged in past.trail:
        event = logged.event
        shown = apply_masked(shown, event)
        match event:
            case PhaseClosed():
                members = Bitmap(pack_bits(shown.get_set(event.phase), places, WORD))
                root = set_root(key, event.phase, commitment, members)
                _require(root == event.set_root, f"the set of {event.phase.name}")
                expected = _list_anchors(root, Digest(logged.block_hash))
            case AnchorPinned():
                _require(event.anchor in expected, f"the anchor of {event.phase.name}")
                anchors[event.phase] = event.anchor
            case RecordsRelayed():
                _require(_has_root(event, anchors), f"batch {event.batch}")
            case _:
                pass
        commitment = chain_event(commitment, event)
    _require(anchor in expected, "the newest anchor")


def _list_anchors(root: Digest, block_hash: Digest) -> set[Digest]:
    """Return what the next phase's anchor may be: contracts forget a hash after 256 blocks."""
    return {compute_anchor(root, block_hash), compute_anchor(root, ZERO_DIGEST)}


def _has_root(event: RecordsRelayed, anchors: Mapping[Phase, Digest]) -> bool:
    """Return whether a batch has the records that its root stands for."""
    anchor = anchors.get(event.phase)
    if anchor is None:
        return False
    leaves = [record_leaf(anchor, place, record) for place, record in list_entries(event)]
    return compute_listed_root(leaves) == event.root


def _require(is_met: bool, what: str) -> None:  # noqa: FBT001 - a condition, like assert's
    if not is_met:
        raise DivergentView(
            f"the node shows other events than the chain has: {what} differs; use another node"
        )

"""What an agent was shown, held against the anchors that its records name."""

from dataclasses import replace

import pytest

from flchain.protocol.digests import compute_anchor
from flchain.protocol.events import AnchorPinned, PhaseClosed, RecordPosted, RecordsRelayed
from flchain.protocol.types import ZERO_DIGEST, Digest, Phase
from flchain.roles.history import History
from flchain.roles.masked.views import DivergentView, verify_view
from tests.unit.roles.masked.relayed import make_federation, run_to
from tests.unit.roles.masked.scenes import FIRST

OTHER = Digest(b"another".ljust(32))


@pytest.fixture(scope="module")
def seen():
    """A look at UNMASK of a round whose records were relayed."""
    return run_to(make_federation(), Phase.UNMASK)


@pytest.fixture(scope="module")
def key(seen):
    closed = next(e.event for e in seen.masked_past.trail if isinstance(e.event, RecordPosted))
    federation = make_federation()
    return federation.agents[0].context.get_round_key(closed.round)


def check(seen, key, trail=None, anchor=None):
    past = seen.masked_past
    shown = replace(past, trail=past.trail if trail is None else tuple(trail))
    verify_view(shown, key, anchor or seen.masked.anchor, len(seen.past.holders))


def change(seen, kind, phase, **fields):
    """Return the trail with other fields in the first event of a kind in a phase."""
    trail = list(seen.masked_past.trail)
    place = next(
        n
        for n, each in enumerate(trail)
        if isinstance(each.event, kind) and each.event.phase is phase
    )
    trail[place] = replace(trail[place], event=replace(trail[place].event, **fields))
    return trail


def test_view__what_the_chain_has__is_accepted(seen, key):
    check(seen, key)


def test_view__block_hash_was_forgotten__is_accepted_with_that_anchor(seen, key):
    closed = seen.masked_past.closed[Phase.ATTEST]
    check(seen, key, anchor=compute_anchor(closed.set_root, ZERO_DIGEST))


@pytest.mark.parametrize(
    "phase", [Phase.JOIN, Phase.SHARES, Phase.CHECK, Phase.SUBMIT, Phase.ATTEST]
)
def test_view__other_root__is_refused(seen, key, phase):
    with pytest.raises(DivergentView, match=f"set of {phase.name}"):
        check(seen, key, change(seen, PhaseClosed, phase, set_root=OTHER))


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.CHECK, Phase.SUBMIT, Phase.ATTEST])
def test_view__other_anchor_of_an_earlier_phase__is_refused(seen, key, phase):
    with pytest.raises(DivergentView, match=f"anchor of {phase.name}"):
        check(seen, key, change(seen, AnchorPinned, phase, anchor=OTHER))


def test_view__other_newest_anchor__is_refused(seen, key):
    with pytest.raises(DivergentView, match="newest anchor"):
        check(seen, key, anchor=OTHER)


def test_view__other_digest_of_a_record__is_refused(seen, key):
    with pytest.raises(DivergentView, match="set of JOIN"):
        check(seen, key, change(seen, RecordPosted, Phase.JOIN, digest=OTHER))


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.SUBMIT])
def test_view__other_record_in_a_batch__is_refused(seen, key, phase):
    batch = next(b for b in seen.masked_past.batches if b.phase is phase)
    records = (replace(batch.records[0], digest=OTHER), *batch.records[1:])
    with pytest.raises(DivergentView, match=f"batch {batch.batch}"):
        check(seen, key, change(seen, RecordsRelayed, phase, records=records))


def test_view__an_attestation_is_missing__is_refused(seen, key):
    dropped = [e for e in seen.masked_past.trail if getattr(e.event, "validator", None) is None]
    with pytest.raises(DivergentView, match="set of CHECK"):
        check(seen, key, dropped)


def test_view__other_block_hash__is_refused(seen, key):
    trail = [
        replace(each, block_hash=OTHER) if isinstance(each.event, PhaseClosed) else each
        for each in seen.masked_past.trail
    ]
    with pytest.raises(DivergentView, match="anchor of SHARES"):
        check(seen, key, trail)


def test_view__other_round__is_refused(seen):
    with pytest.raises(DivergentView):
        check(seen, OTHER)


class Forkable:
    """A ledger whose chain becomes another of the same height, without the newest events."""

    def __init__(self, ledger):
        self._ledger, self.lost = ledger, 0

    def get_head(self):
        head = self._ledger.get_head()
        return replace(head, hash=OTHER) if self.lost else head

    def get_events(self, **options):
        found = self._ledger.get_events(**options)
        return found[: len(found) - self.lost]


def test_history__other_chain_of_the_same_height__is_read_again():
    federation = make_federation()
    run_to(federation, Phase.SUBMIT)
    ledger = Forkable(federation.ledger)
    history = History(ledger, federation.task_id)
    before = history.refresh().rounds[FIRST].masked
    ledger.lost = 3
    after = history.refresh().rounds[FIRST].masked
    assert len(before.trail) - len(after.trail) == ledger.lost

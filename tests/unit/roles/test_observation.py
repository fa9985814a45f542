"""A look at a node whose logs lag behind its state."""

from dataclasses import replace

import pytest

from flchain.protocol.errors import AdapterError
from flchain.protocol.events import SeatsOpened
from flchain.protocol.types import Phase
from flchain.roles.observation import Watch
from tests.e2e.federation import make_memory_federation
from tests.unit.roles.drawn import make_drawn


class LaggingLedger:
    """A ledger whose log ends at block `last` for a number of looks."""

    def __init__(self, ledger, looks, last=0):
        self._ledger = ledger
        self._last = last
        self._left = looks

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def get_snapshot(self, task_id):
        self._left -= 1
        seen = self._ledger.get_snapshot(task_id)
        behind = replace(seen, head=replace(seen.head, number=self._last))
        return behind if self._left >= 0 else seen


@pytest.fixture(scope="module")
def federation():
    made = make_memory_federation()
    made.run(1)
    return made


def watch(federation, reads):
    pauses = []
    ledger = LaggingLedger(federation.ledger, reads)
    return Watch(ledger, federation.task_id, pause=pauses.append), pauses


def test_observe__logs_fit__no_pause(federation):
    watcher, pauses = watch(federation, 0)
    assert watcher.observe().phase is Phase.ENDED
    assert pauses == []


def test_observe__logs_lag__waits_longer_each_time(federation):
    watcher, pauses = watch(federation, 4)
    assert watcher.observe().round.round == 1
    assert len(pauses) == 4
    assert pauses[0] == 0
    assert pauses[1:] == sorted(set(pauses[1:]))


def test_observe__logs_never_come__says_so_and_may_be_tried_again(federation):
    watcher, pauses = watch(federation, 10_000)
    with pytest.raises(AdapterError, match="task 1") as caught:
        watcher.observe()
    assert caught.value.is_retryable
    assert 3 < sum(pauses) < 30


def test_observe__logs_end_before_the_seed_of_the_vote__waits():
    # An execution tag made without the seed would be wrong, and is no contract's to refuse.
    federation = make_drawn()

    def until(seen):
        return seen.phase is Phase.VOTE

    seen = federation.run_roles(federation.roles, until)
    opened = next(
        item.block_number
        for item in federation.ledger.get_events(kinds=(SeatsOpened,))
        if item.event.round == seen.round.round
    )
    pauses = []
    watcher = Watch(
        LaggingLedger(federation.ledger, 2, opened - 1), federation.task_id, pause=pauses.append
    )
    assert watcher.observe().live.draws
    assert len(pauses) == 2

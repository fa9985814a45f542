"""A look at a node whose logs lag behind its state."""

from dataclasses import replace

import pytest

from flchain.protocol.errors import AdapterError
from flchain.protocol.types import Phase
from flchain.roles.observation import Watch
from tests.e2e.federation import make_memory_federation


class LaggingLedger:
    """A ledger that hides all events for a number of reads."""

    def __init__(self, ledger, reads):
        self._ledger = ledger
        self.left = reads

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def get_snapshot(self, task_id):
        self.left -= 1
        seen = self._ledger.get_snapshot(task_id)
        return replace(seen, head=0) if self.left >= 0 else seen


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

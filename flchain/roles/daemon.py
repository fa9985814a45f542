"""Running roles: one in a process of its own, or a whole federation in one process."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from flchain.protocol.errors import AdapterError, FlchainError
from flchain.roles.observation import Observation, Watch

Idle = Callable[[Observation], None]
"""Called when nothing was due: waits, or lets simulated time pass."""
Until = Callable[[Observation], bool]


class Role(Protocol):
    """Something that acts on what it observes."""

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""


def run_role(
    role: Role,
    watch: Watch,
    *,
    until: Until,
    idle: Idle,
    on_error: Callable[[FlchainError], None],
    max_failures: int = 20,
) -> None:
    """Run one role until `until` holds.

    A failure of the outside that may pass is reported and tried again, up to `max_failures`
    times in a row; every other error ends the run.
    """
    failures, seen = 0, None
    while True:
        try:
            seen = watch.observe()
            if until(seen):
                return
            is_busy = role.tick(seen)
            failures = 0
        except AdapterError as error:
            failures += 1
            if not error.is_retryable or failures > max_failures:
                raise
            on_error(error)
            is_busy = False
        if not is_busy and seen is not None:
            idle(seen)


def run_federation(
    roles: Sequence[Role], watch: Watch, *, until: Until, idle: Idle, workers: int = 1
) -> Observation:
    """Run many roles in this process until `until` holds; return the last observation.

    All roles act on the same observation; `workers` of them act at a time.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        while True:
            seen = watch.observe()
            if until(seen):
                return seen
            if not any(list(pool.map(lambda role: role.tick(seen), roles))):  # noqa: B023
                idle(seen)

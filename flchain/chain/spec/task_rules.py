"""What a task's parameters must satisfy, each and in relation to one another."""

from flchain.chain.spec.committees import SEED_WINDOWS, STAGES, compute_cap
from flchain.chain.spec.masked_clock import LAST_WINDOWS
from flchain.chain.spec.state import Config
from flchain.protocol.digests import compute_quorum
from flchain.protocol.records import Task
from flchain.protocol.reverts import CapacityExceeded, InvalidTask, UnbondingTooShort
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Digest, Mode, Seconds

MAX_AGENTS = 1024
MAX_SEATS = 64
"""Most validators, and most proposers, in one task."""
MAX_ATTEMPTS = 3
MAX_RANKS = 8
WHOLE_BPS = 10_000
CAPACITY = 2**31
MAX_ROUNDS = 2**24 - 1
MIN_HONEST = 3
"""Fewest honest survivors among whom an update is hidden."""
FINALITY_PAUSES = 3
"""SHARES, SUBMIT and UNMASK wait for finality."""


def verify_task(config: Config, task: Task) -> None:
    """Raise unless every parameter is in range and the largest round fits.

    The largest weighted sum must fit 31 bits, and stake must not be able to leave before the
    longest possible round has ended: all windows, all attempts, each vote extended.
    """
    for field, is_sound in (*check_counts(task), *check_windows(task), *check_contents(task)):
        if not is_sound:
            raise InvalidTask(Digest(field.encode().ljust(32, b"\0")))
    largest_sum = task.max_agents * task.w_max * task.coordinate_bound
    if largest_sum >= CAPACITY:
        raise CapacityExceeded(largest_sum)
    draw = (SEED_WINDOWS + STAGES) * task.seat_window
    is_secure = task.mode == Mode.SECURE
    ranks = task.propose_ranks + (LAST_WINDOWS - 1 if is_secure else 0)
    attempt = ranks * task.propose_window + draw + 2 * task.vote_window
    secure = sum(get_secure_windows(task)) + FINALITY_PAUSES * task.finality_delay
    needed = task.submit_window + task.attest_window + secure + task.max_attempts * attempt
    if config.unbonding_period < needed:
        raise UnbondingTooShort(needed, config.unbonding_period)


def check_counts(task: Task) -> tuple[tuple[str, bool], ...]:
    """Return the names of the numeric fields and whether each is in range."""
    return (
        ("orchestrator", task.orchestrator != ZERO_ADDRESS),
        ("maxAgents", 0 < task.max_agents <= MAX_AGENTS),
        ("minAgents", 0 < task.min_agents <= task.max_agents),
        ("minSurvivors", 0 < task.min_survivors <= task.min_agents),
        ("minValidators", 0 < task.min_validators <= MAX_SEATS),
        ("committee", is_within_reach(task)),
        ("wMax", task.w_max > 0),
        ("coordinateBound", task.coordinate_bound > 0),
        ("maxAttempts", 0 < task.max_attempts <= MAX_ATTEMPTS),
        ("proposeRanks", 0 < task.propose_ranks <= MAX_RANKS),
        ("maxShareBps", 0 < task.max_share_bps <= WHOLE_BPS),
        ("participationBps", task.participation_bps <= WHOLE_BPS),
        ("maxRounds", 0 < task.max_rounds <= MAX_ROUNDS),
    )


def check_windows(task: Task) -> tuple[tuple[str, bool], ...]:
    """Return the names of the windows and whether each is in range.

    Plain mode has no secure windows; SEAT goes with a committee. In secure mode what only
    direct records can use must leave a part of each window to batches.
    """
    windows = get_secure_windows(task)
    unused = (*windows, task.forced_window, task.finality_delay)
    is_forced = 0 < task.forced_window < min(*windows, task.submit_window)
    return (
        ("submitWindow", task.submit_window > 0),
        ("attestWindow", task.attest_window > 0),
        ("proposeWindow", task.propose_window > 0),
        ("voteWindow", task.vote_window > 0),
        ("claimWindow", task.claim_window > 0),
        (
            "secureWindows",
            is_forced if task.mode == Mode.SECURE else not any(unused),
        ),
        ("seatWindow", (task.seat_window == 0) == (task.committee == 0)),
    )


def get_secure_windows(task: Task) -> tuple[Seconds, ...]:
    """Return the windows that only secure mode has."""
    return (task.join_window, task.shares_window, task.check_window, task.unmask_window)


def is_threshold_sound(task: Task) -> bool:
    """Return whether colluding survivors can neither restore a secret nor isolate one agent."""
    if task.mode == Mode.PLAIN:
        return task.threshold == task.max_corrupt == 0
    is_reachable = task.max_corrupt < task.threshold <= task.min_survivors
    return is_reachable and task.min_survivors - task.max_corrupt >= MIN_HONEST


def is_within_reach(task: Task) -> bool:
    """Return whether the fewest validators, one of them proposing, can win a quorum of seats."""
    if task.committee == 0:
        return True
    most = (task.min_validators - 1) * compute_cap(task.committee)
    return compute_quorum(task.committee) <= most and task.committee <= MAX_SEATS


def check_contents(task: Task) -> tuple[tuple[str, bool], ...]:
    """Return the names of the other fields and whether each is in range."""
    return (
        ("threshold", is_threshold_sound(task)),
        ("policyDigest", task.policy_digest != ZERO_DIGEST),
        ("initialState", task.initial_state != ZERO_DIGEST),
    )

"""Presets: numbers that fit together for a test, a demonstration and a public network.

Windows are upper bounds, since a phase closes early once everybody entitled has acted.
"""

from dataclasses import dataclass, replace

from flchain.protocol.digests import compute_quorum
from flchain.protocol.types import Seconds, Wei

ETHER = 10**18
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkParams:
    """What a deployment fixes for all its tasks."""

    epoch_length: Seconds
    """Registrations and enrolments count from two epochs later."""
    unbonding_period: Seconds
    """At least the longest possible round of every task."""
    agent_stake: Wei
    validator_stake: Wei
    proposer_stake: Wei


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingSchedule:
    """The windows that only tasks in secure mode have."""

    finality_delay: Seconds
    """Pause before SHARES, SUBMIT and UNMASK, in which a reorganisation shows."""
    forced_window: Seconds
    """End of each window that is left to direct records, and complaints' part of CHECK."""
    join_window: Seconds
    shares_window: Seconds
    check_window: Seconds
    unmask_window: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a task fixes besides its policy: windows, ranks, bonds and counts.

    A bond above a role's stake shuts that role out of the last proposing window.
    """

    proposal_bond: Wei
    min_validators: int
    committee: int
    """Seats of a committee that is drawn; zero where every active validator sits."""
    max_attempts: int
    propose_ranks: int
    max_rounds: int
    submit_window: Seconds
    attest_window: Seconds
    propose_window: Seconds
    seat_window: Seconds
    """Each of the four stages of SEAT; zero where every active validator sits."""
    vote_window: Seconds
    open_delay: Seconds
    claim_delay: Seconds
    claim_window: Seconds
    masking: MaskingSchedule


@dataclass(frozen=True, slots=True)
class Preset:
    """A network and the tasks that suit it."""

    name: str
    network: NetworkParams
    schedule: Schedule


MINIMAL = Preset(
    "minimal",
    NetworkParams(
        epoch_length=Seconds(10),
        unbonding_period=Seconds(1_000),
        agent_stake=Wei(10 * ETHER),
        validator_stake=Wei(20 * ETHER),
        proposer_stake=Wei(30 * ETHER),
    ),
    Schedule(
        proposal_bond=Wei(5 * ETHER),
        min_validators=1,
        committee=0,
        max_attempts=2,
        propose_ranks=3,
        max_rounds=100,
        submit_window=Seconds(60),
        attest_window=Seconds(30),
        propose_window=Seconds(20),
        seat_window=Seconds(0),
        vote_window=Seconds(30),
        open_delay=Seconds(10),
        claim_delay=Seconds(5),
        claim_window=Seconds(100),
        masking=MaskingSchedule(
            finality_delay=Seconds(0),
            forced_window=Seconds(2),
            join_window=Seconds(20),
            shares_window=Seconds(20),
            check_window=Seconds(20),
            unmask_window=Seconds(20),
        ),
    ),
)
"""Tests: everything happens within minutes of block time."""

LOCAL = Preset(
    "local",
    NetworkParams(
        epoch_length=Seconds(1),
        unbonding_period=Seconds(HOUR),
        agent_stake=Wei(100 * ETHER),
        validator_stake=Wei(200 * ETHER),
        proposer_stake=Wei(300 * ETHER),
    ),
    Schedule(
        proposal_bond=Wei(50 * ETHER),
        min_validators=5,
        committee=5,
        max_attempts=3,
        propose_ranks=3,
        max_rounds=1_000,
        submit_window=Seconds(5 * MINUTE),
        attest_window=Seconds(2 * MINUTE),
        propose_window=Seconds(MINUTE),
        seat_window=Seconds(2),
        vote_window=Seconds(2 * MINUTE),
        open_delay=Seconds(1),
        claim_delay=Seconds(0),
        claim_window=Seconds(30 * DAY),
        masking=MaskingSchedule(
            finality_delay=Seconds(0),
            forced_window=Seconds(1),
            join_window=Seconds(30),
            shares_window=Seconds(30),
            check_window=Seconds(30),
            unmask_window=Seconds(30),
        ),
    ),
)
"""Demonstrations on one machine: roles count seconds after they are recorded."""

MAINNET = Preset(
    "mainnet",
    NetworkParams(
        epoch_length=Seconds(6 * HOUR),
        unbonding_period=Seconds(21 * DAY),
        agent_stake=Wei(100 * ETHER),
        validator_stake=Wei(1_000 * ETHER),
        proposer_stake=Wei(2_000 * ETHER),
    ),
    Schedule(
        proposal_bond=Wei(100 * ETHER),
        min_validators=21,
        committee=21,
        max_attempts=3,
        propose_ranks=4,
        max_rounds=10_000,
        submit_window=Seconds(12 * HOUR),
        attest_window=Seconds(4 * HOUR),
        propose_window=Seconds(HOUR),
        # Three windows have to end while contracts can read the hash that beacons prove over, which
        # is for 256 blocks: 3 x 150 s are 225 blocks of 2 s.
        seat_window=Seconds(150),
        vote_window=Seconds(4 * HOUR),
        open_delay=Seconds(10 * MINUTE),
        claim_delay=Seconds(DAY),
        claim_window=Seconds(90 * DAY),
        masking=MaskingSchedule(
            finality_delay=Seconds(15 * MINUTE),
            forced_window=Seconds(30 * MINUTE),
            join_window=Seconds(4 * HOUR),
            shares_window=Seconds(2 * HOUR),
            check_window=Seconds(2 * HOUR),
            unmask_window=Seconds(4 * HOUR),
        ),
    ),
)
"""Public networks: committees of 21 or more, and time for a dispute before stake leaves.

The bond is an agent's whole stake and no more, or else agents could not propose in the last window,
which is open to every member so that no other role can hold a round up.
"""


def fit_schedule(schedule: Schedule, validators: int) -> Schedule:
    """Return the schedule for so many validators: without a committee if they are too few.

    A committee needs one more than the fewest, since a proposer among them gets no seat. Without
    one all sit, and as many as a quorum of them suffice for a round.
    """
    if schedule.committee == 0 or validators > schedule.min_validators:
        return schedule
    enough = min(schedule.min_validators, compute_quorum(validators))
    return replace(schedule, committee=0, seat_window=Seconds(0), min_validators=enough)


PRESETS = {preset.name: preset for preset in (MINIMAL, LOCAL, MAINNET)}

"""Errors of tasks and rounds."""

from flchain.protocol.reverts.libraries import Revert
from flchain.protocol.types import (
    Address,
    Digest,
    Phase,
    RoundId,
    Seconds,
    TaskId,
    Timestamp,
    Wei,
)


class UnknownTask(Revert, says="task {task_id} does not exist; the caller must name another"):
    """A task does not exist."""

    task_id: TaskId


class InvalidTask(Revert, says="the sponsor must change the task's field {name}: out of range"):
    """A task's parameter is out of range; `field` is its name, padded to 32 bytes."""

    field: Digest

    def __str__(self) -> str:
        name = self.field.rstrip(b"\0").decode("ascii", errors="replace")
        return self.says.format(name=name)


class CapacityExceeded(
    Revert, says="the sponsor must lower agents, weight or bound: sums reach {largest_sum} >= 2^31"
):
    """The largest possible weighted sum would not fit 31 bits."""

    largest_sum: int


class UnbondingTooShort(
    Revert,
    says="the sponsor must shorten the windows: a round takes {needed} s, at most "
    "{unbonding_period} s are allowed",
):
    """Stake could leave before the longest possible round ends."""

    needed: int
    unbonding_period: Seconds


class NotSponsor(Revert, says="only the task's sponsor may do this, not {caller}"):
    """The caller did not create the task."""

    caller: Address


class TaskIsClosed(Revert, says="task {task_id} is closed; the caller must use another"):
    """The task was closed."""

    task_id: TaskId


class RoundIsLive(
    Revert, says="the caller must wait: round {round} of task {task_id} has not ended"
):
    """A call must wait for the live round to end."""

    task_id: TaskId
    round: RoundId


class AlreadyEnrolled(Revert, says="{member} is enrolled in task {task_id} already"):
    """The identity is enrolled already."""

    task_id: TaskId
    member: Address


class NotEnrolled(Revert, says="{member} must first enrol in task {task_id} under this role"):
    """The identity is not enrolled."""

    task_id: TaskId
    member: Address


class TaskFull(Revert, says="task {task_id} has no place left under role {role}; wait for one"):
    """A task has no place left under a role."""

    task_id: TaskId
    role: int


class AlreadyEndorsed(Revert, says="{validator} has endorsed task {task_id} already"):
    """A validator has endorsed the task already."""

    task_id: TaskId
    validator: Address


class WrongEndorsement(
    Revert, says="the validator must endorse the task's own policy and initial state"
):
    """An endorsement names another policy or another initial state."""

    policy_digest: Digest
    initial_state: Digest


class StillInGoodStanding(Revert, says="{member} may stay in task {task_id}: nothing has lapsed"):
    """A member may not be dismissed."""

    task_id: TaskId
    member: Address


class WrongPhase(
    Revert, says="the caller must act in phase {expected.name}; the round is in {actual.name}"
):
    """A call is made outside its phase."""

    expected: Phase
    actual: Phase


class WrongRound(Revert, says="the caller must name the newest round {expected}, not {actual}"):
    """A call names another round than the newest."""

    expected: RoundId
    actual: RoundId


class TooEarly(Revert, says="the caller must wait: the next round may open at {opens_at}"):
    """The next round may not open yet."""

    opens_at: Timestamp


class RoundsExhausted(
    Revert, says="the sponsor must create another task: all {max_rounds} are used"
):
    """The task has used up its rounds."""

    max_rounds: int


class NotEndorsed(
    Revert, says="validators must endorse the task: {needed} are needed, {endorsements} have"
):
    """Too few validators have endorsed the task."""

    endorsements: int
    needed: int


class TooFewAgents(Revert, says="more agents must enrol: {agents} are active, {min_agents} needed"):
    """Too few agents are active."""

    agents: int
    min_agents: int


class TooFewValidators(
    Revert, says="more validators must enrol: {validators} are active, {min_validators} needed"
):
    """Too few validators are active."""

    validators: int
    min_validators: int


class NotEntitled(Revert, says="{account} has no part in this round; it must wait for the next"):
    """The account has no part in this round."""

    account: Address


class AlreadySubmitted(Revert, says="{agent} has submitted to this round already"):
    """The agent has submitted to this round."""

    agent: Address


class InvalidDigest(Revert, says="the caller must give a digest that is not zero"):
    """A digest is zero."""

    digest: Digest


class InvalidWeight(Revert, says="the agent must declare a weight from 1 to {w_max}, not {weight}"):
    """A weight is zero or above the task's bound."""

    weight: int
    w_max: int


class InvalidBitmap(
    Revert, says="the validator must attest with a bitmap of exactly {submissions} submissions"
):
    """A bitmap has the wrong length or names a submission that does not exist."""

    submissions: int


class AlreadyAttested(Revert, says="{validator} has attested all of this already"):
    """An attestation adds nothing."""

    validator: Address


class NotYourRank(
    Revert, says="{caller} must wait: another proposer has the window of rank {rank}"
):
    """It is another proposer's turn."""

    caller: Address
    rank: int


class Barred(Revert, says="{proposer} may not propose again in this round: it was proven wrong"):
    """The proposer's last proposal in this round was proven wrong."""

    proposer: Address


class RewardTooHigh(Revert, says="the proposer must lower the rewards: {total} > {reserve} wei"):
    """Proposed rewards exceed the round's reserve."""

    total: Wei
    reserve: Wei


class WrongProposal(Revert, says="the validator must vote on the live proposal 0x{digest}"):
    """A vote names another proposal than the live one."""

    expected: Digest
    actual: Digest

    def __str__(self) -> str:
        return self.says.format(digest=self.expected.hex())


class OwnProposal(Revert, says="{proposer} may not vote on its own proposal"):
    """A proposer votes on its own proposal."""

    proposer: Address


class AlreadyVoted(Revert, says="{validator} has voted on this attempt already"):
    """A validator has voted on this attempt."""

    validator: Address


class InvalidVote(
    Revert, says="the validator must give a reason and its own content with WRONG and only then"
):
    """Verdict, reason and counter content do not fit together, or are unknown."""

    verdict: int
    reason: int


class InvalidBundle(Revert, says="the sender must bundle 1 to 32 entries, not {length}"):
    """A bundle is empty or holds more than 32 entries."""

    length: int

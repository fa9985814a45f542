"""Errors of the model registry and of the reward distributor."""

from flchain.protocol.reverts.libraries import Revert
from flchain.protocol.types import Address, RoundId, TaskId, Timestamp, Version, Wei


class OnlyRoundManager(Revert, says="only the round manager may publish models, not {caller}"):
    """A call of the model registry is reserved for the round manager."""

    caller: Address


class UnknownVersion(
    Revert, says="task {task_id} has no model version {version}; the caller must name another"
):
    """A version does not exist."""

    task_id: TaskId
    version: Version


class CallerNotRoundManager(Revert, says="only the round manager may move budgets, not {caller}"):
    """A call of the reward distributor is reserved for the round manager."""

    caller: Address


class BudgetTooLow(Revert, says="the sponsor must fund the task: {needed} wei of {available} left"):
    """A budget does not cover a round's reserve."""

    available: Wei
    needed: Wei


class NoRewards(Revert, says="round {round} of task {task_id} has no rewards to pay"):
    """A round has no claimable rewards."""

    task_id: TaskId
    round: RoundId


class ClaimTooEarly(Revert, says="the claimer must wait: claims open at {claimable_from}"):
    """Claiming has not opened."""

    claimable_from: Timestamp


class ClaimTooLate(Revert, says="nobody can claim any more: claims ended at {expires_at}"):
    """Claiming has ended."""

    expires_at: Timestamp


class AlreadyClaimed(Revert, says="reward {index} was paid already"):
    """A reward was paid already."""

    index: int


class InvalidProof(
    Revert, says="the claimer must prove reward {index} of {account} against the root"
):
    """A Merkle proof does not lead to the root."""

    index: int
    account: Address


class RewardsExhausted(
    Revert, says="nothing can be paid: {remaining} wei are left, {amount} asked"
):
    """A round's leaves add up to more than its rewards."""

    remaining: Wei
    amount: Wei


class InvalidFunding(
    Revert, says="the sponsor must fund with a positive amount and a token, not {amount}"
):
    """A funding amount is zero or there is no token."""

    amount: Wei


class SweepTooEarly(Revert, says="the caller must wait: claims end at {expires_at}"):
    """Claiming has not ended."""

    expires_at: Timestamp

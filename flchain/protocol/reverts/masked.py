"""Errors of the masked rounds."""

from flchain.protocol.reverts.libraries import Revert
from flchain.protocol.types import Address, Digest, Phase, TaskId, Timestamp


class ReservedForRoundManager(
    Revert, says="only the round manager may open and settle masked rounds, not {caller}"
):
    """A call of the masked rounds is reserved for the round manager."""

    caller: Address


class StaleView(
    Revert, says="the agent saw another fork or set: it must drop out of this round, not sign again"
):
    """A call names another anchor than this phase has."""

    expected: Digest
    actual: Digest


class NotOpenYet(Revert, says="the caller must wait: this opens at {opens_at}, in a later block"):
    """A phase, or its part for this call, has not opened."""

    opens_at: Timestamp


class NoRecords(
    Revert, says="{phase.name} is no phase for this call; the caller must name another"
):
    """A call names a phase that has no such step."""

    phase: Phase


class AlreadyPosted(Revert, says="{agent} has a record of its own in this phase: one for ever"):
    """An agent has a direct record in this phase."""

    agent: Address


class PlacesExhausted(Revert, says="task {task_id} has given away all its places: create another"):
    """No place is left for an agent that has none."""

    task_id: TaskId


class NotRelayer(Revert, says="{account} must be a registered proposer in good standing to relay"):
    """A batch comes from somebody without a bond."""

    account: Address


class TooLateToRelay(Revert, says="batches had to land before {latest}: agents must post directly"):
    """A batch lands in the last part of the window, which belongs to direct records."""

    latest: Timestamp


class InvalidPlaces(
    Revert, says="the bitmap must name some of {places} places, with one record for each"
):
    """A bitmap of places has the wrong length or count, or names one that does not exist."""

    places: int


class NothingToRelay(Revert, says="every place of the batch has a record, or has no part"):
    """No record of a batch would count."""


class NoSuchRecord(Revert, says="batch {batch} has no record in force at place {place}"):
    """A record is not in the batch, or no longer counts."""

    batch: int
    place: int


class RecordIsSound(Revert, says="the record at place {place} is its agent's: nothing to void"):
    """A record that is to be voided is valid."""

    place: int


class ComplaintsClosed(Revert, says="complaints had to be made before {closed_at}"):
    """The time for complaints is over."""

    closed_at: Timestamp


class NotAccusable(Revert, says="place {accused} has sent no shares that the agent could dispute"):
    """A complaint is about the agent itself or about nobody who sent shares."""

    accused: int


class AlreadyAccused(Revert, says="the agent has accused place {accused} already"):
    """An agent repeats a complaint."""

    accused: int


class NothingMissed(Revert, says="the agent at place {place} owes nothing, or has paid"):
    """An agent owes no penalty for this phase."""

    place: int


class PrivacyBudgetSpent(
    Revert, says="the privacy budget is spent: all {privacy_rounds} rounds of it are used"
):
    """A round would go past the privacy budget that was committed with the task."""

    privacy_rounds: int

"""Errors of draws: of seats, of their proofs and of the seeds that they follow from."""

from flchain.protocol.reverts.libraries import Revert
from flchain.protocol.types import Address, Digest, TaskId, Timestamp, VrfFault


class VrfProofInvalid(
    Revert, says="the prover must prove again, with its own key: {fault.name} in the VRF proof"
):
    """A VRF proof does not verify."""

    fault: VrfFault


class NoDrawKey(Revert, says="{validator} must first register a VRF key, or rotate to one"):
    """A validator has no key that it proved to hold."""

    validator: Address


class NothingDrawn(Revert, says="task {task_id} draws no committee: nobody needs a key in it"):
    """The task draws no committee."""

    task_id: TaskId


class NothingToRefresh(
    Revert, says="only {validator} itself may: its key and its weight are as the registry has them"
):
    """Somebody else wants to refresh a key and a weight that are up to date."""

    validator: Address


class AlreadySeeded(Revert, says="the draw has its seed: validators may prove their seats"):
    """The newest draw has a seed already."""


class NotSeeded(Revert, says="the caller must open the seats first: the draw has no seed yet"):
    """Seats are claimed before the seed is known."""


class SeedNotReady(
    Revert,
    says="the caller must wait for the draw's seed; from {deadline} on all sit without one",
):
    """The seed is not known; from `deadline` on every active validator sits without one."""

    deadline: Timestamp


class NotDrawable(Revert, says="the validator at place {place} must wait for a later round's draw"):
    """The validator at a place cannot be drawn in this round."""

    place: int


class WrongKey(
    Revert,
    says="the validator at place {place} must prove with the key that the task has on record",
):
    """A proof is under another key than the one on record."""

    place: int


class NoSeat(
    Revert, says="no proof wins a new seat, first that of place {place}; wait for a stage"
):
    """No proof of a call wins a seat that its validator did not have."""

    place: int


class SeedIsFixed(Revert, says="nothing is left to do: the draw's seed is known, or there is none"):
    """The seed is known, or nothing is to be drawn."""

    seed: Digest


class NoBlockHash(
    Revert, says="the hash of block {pinned_block} is not there: wait for it, or it is too old"
):
    """The block whose hash is needed is not mined yet, or more than 256 blocks old."""

    pinned_block: int


class NotYourTurn(Revert, says="the beacon of rank {rank} must reveal in its own window"):
    """It is not the turn of a beacon of this rank."""

    rank: int


class UnknownBeacon(Revert, says="the draw has no beacon of rank {rank} with this key"):
    """No such beacon is on record, or its key is another."""

    rank: int


class NoOffence(Revert, says="the reporter has no case: nothing proves an offence of {validator}"):
    """What is reported is no offence."""

    validator: Address


class AlreadyPunished(Revert, says="the offence of {validator} was punished before"):
    """An offence was punished before."""

    validator: Address


class AlreadyAudited(Revert, says="{auditor} has said so before: nothing is left to do"):
    """An auditor repeats itself."""

    auditor: Address

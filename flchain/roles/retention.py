"""How long a role keeps what it stored: names of pins, and when they go.

A name ends in its owner's account, so that roles which share a store leave each other's alone.
"""

from flchain.protocol.types import RoundId, Version
from flchain.roles.context import Context
from flchain.roles.observation import Observation
from flchain.roles.payouts import compute_expiry
from flchain.roles.terms import Terms


def name_round_pin(context: Context, number: RoundId) -> str:
    """Return the name that keeps this account's updates of a round, made or attested."""
    return f"task/{context.task_id}/round/{number}/{context.signer.address}"


def name_version_pin(context: Context, version: Version) -> str:
    """Return the name that keeps a version's state, aggregate and record for this account."""
    return f"task/{context.task_id}/version/{version}/{context.signer.address}"


def release_old(context: Context, terms: Terms, seen: Observation) -> None:
    """Unpin this account's rounds and versions that the policy lets go.

    A version stays while rounds start from it and while its rewards can be claimed, for which
    its record is needed.
    """
    last = seen.round.round - terms.policy.retention_rounds
    if last <= 0:
        return
    for number in _list_numbers(context, "round"):
        if number <= last:
            context.store.unpin(name_round_pin(context, RoundId(number)))
    for number in _list_numbers(context, "version"):
        version = Version(number)
        if _is_over(terms, seen, version, last):
            context.store.unpin(name_version_pin(context, version))


def _list_numbers(context: Context, kind: str) -> set[int]:
    """Return the rounds or versions of which this account pins something."""
    prefix, suffix = f"task/{context.task_id}/{kind}/", f"/{context.signer.address}"
    names = {pin.name for pin in context.store.pins(prefix)}
    own = {name.removeprefix(prefix).removesuffix(suffix) for name in names if suffix in name}
    return {int(number) for number in own if number.isdecimal()}


def _is_over(terms: Terms, seen: Observation, version: Version, last: int) -> bool:
    """Return whether nobody needs a version for a round or a claim any more."""
    made = seen.past.versions.get(version)
    if made is None or made.round > last or version >= seen.round.parent_version:
        return False
    past = seen.past.rounds.get(made.round)
    return past is None or seen.now >= compute_expiry(past, terms.task)

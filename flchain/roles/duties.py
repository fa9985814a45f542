"""Whether a member has a part in what goes on: read before acting, so that nobody acts in vain."""

from flchain.protocol.records import Member
from flchain.protocol.types import ZERO_ADDRESS, Role, Wei
from flchain.roles.context import Context
from flchain.roles.observation import Observation


def is_entitled(context: Context, seen: Observation, role: Role) -> bool:
    """Return whether this account had `role` and was active when the round opened."""
    member = context.ledger.get_member(context.task_id, context.signer.address)
    return was_entitled(context, seen, role, member)


def was_entitled(context: Context, seen: Observation, role: Role, member: Member) -> bool:
    """Return the same of an enrolment that was read already."""
    opened_at = seen.round.opened_at
    was_active = member.active_from <= opened_at // context.ledger.get_epoch_length()
    return member.role == role and was_active and not 0 < member.left_at <= opened_at


def may_propose(context: Context, seen: Observation) -> bool:
    """Return whether the window is this account's, and it is an active member."""
    ledger, account = context.ledger, context.signer.address
    _, holder = ledger.get_proposer(context.task_id)
    if holder not in (ZERO_ADDRESS, account):
        return False
    member = ledger.get_member(context.task_id, account)
    is_active = member.active_from <= seen.now // ledger.get_epoch_length()
    return bool(member.role) and not member.left_at and is_active


def get_free_stake(context: Context) -> Wei:
    """Return the stake of this account that no bond holds."""
    agent = context.ledger.get_agent(context.signer.address)
    return Wei(agent.stake - agent.locked)

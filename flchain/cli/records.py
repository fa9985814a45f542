"""Rows about a task, read off the chain; content is read for CIDs and unclaimed rewards alone."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from flchain.cli.draws import list_proofs, read_holders
from flchain.cli.session import Session
from flchain.learning.budgets import compute_spent_epsilon
from flchain.protocol.errors import FlchainError
from flchain.protocol.events import (
    AgentRegistered,
    RewardClaimed,
    RewardsPublished,
)
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.policy import MICROS
from flchain.protocol.types import Address, Digest, Outcome, Phase, Role, RoundId, Verdict
from flchain.roles.execution import compute_survivors
from flchain.roles.history import History, RoundPast, TaskPast
from flchain.roles.masked.groups import group_round
from flchain.roles.spending import list_charged_rounds
from flchain.roles.terms import load_terms
from flchain.storage.cid import cid_from_digest

Rows = list[dict[str, Any]]

_SHOWN = 16
"""Hex digits of an output in a table."""


def list_agents(session: Session, _number: int | None) -> Rows:
    """Return one row for each account that ever registered."""
    ledger, task_id = session.ledger, session.get_task_id()
    logged = ledger.get_events(kinds=(AgentRegistered,))
    accounts = dict.fromkeys(
        item.event.agent for item in logged if isinstance(item.event, AgentRegistered)
    )
    rows = []
    for account in accounts:
        agent, member = ledger.get_agent(account), ledger.get_member(task_id, account)
        rows.append(
            {
                "account": account,
                "roles": _name_roles(agent.roles),
                "_stake_wei": str(agent.stake),
                "stake": agent.stake // 10**18,
                "enrolled as": _name_roles(member.role) if not member.left_at else "left",
                "_active_from": int(member.active_from),
                "suspended": agent.is_suspended,
                "_endorsed": member.has_endorsed,
                "_unbonding_wei": str(agent.unbonding),
            }
        )
    return rows


def list_rounds(session: Session, number: int | None) -> Rows:
    """Return one row for each round."""
    past = _read_past(session)
    versions = {version.round: version.version for version in past.versions.values()}
    return [
        {
            "round": int(past_round.opened.round),
            "outcome": past_round.outcome.name,
            "_parent": int(past_round.opened.parent_version),
            "version": _get_version(past_round, versions),
            "_members": past_round.opened.members,
            "updates": len(past_round.submissions),
            "survivors": len(compute_survivors(past_round)),
            "_validators": past_round.opened.validators,
            "attesters": len(past_round.attested),
            "proposals": len(past_round.proposals),
            "votes": len(past_round.votes),
            "_block": past_round.block,
            "_reward_total_wei": str(past_round.rewards.total if past_round.rewards else 0),
        }
        for past_round in _select(past, number)
    ]


def list_updates(session: Session, number: int | None) -> Rows:
    """Return one row for each update."""
    return [
        {
            "round": int(submission.round),
            "index": submission.index,
            "agent": submission.agent,
            "weight": submission.weight,
            "survived": submission in compute_survivors(past_round),
            "_digest": submission.digest.hex(),
            "cid": _find_cid(session, submission.digest),
        }
        for past_round in _select(_read_past(session), number)
        for submission in past_round.submissions
    ]


def list_records(session: Session, number: int | None) -> Rows:
    """Return one row for each record of an agent in a masked round."""
    past = _read_past(session)
    find_group = _find_groups(session, past)
    return [
        {
            "round": int(past_round.opened.round),
            "phase": phase.name,
            "place": place,
            "group": find_group(past_round, past.holders[place]),
            "agent": past.holders[place],
            "relayed": past_round.masked.is_relayed(phase, place),
            "_digest": digest.hex(),
            "cid": _find_cid(session, digest),
        }
        for past_round in _select(past, number)
        if past_round.masked is not None
        for phase, records in past_round.masked.records.items()
        for place, digest in sorted(records.items())
    ]


def _find_groups(session: Session, past: TaskPast) -> Callable[[RoundPast, Address], int | None]:
    """Return a function for the number of an agent's group; None where all are in one."""
    try:
        policy = load_terms(session.ledger, session.store, session.get_task_id()).policy
    except FlchainError:
        # Without the policy nobody can tell.
        return lambda _past, _agent: None

    @cache
    def number_agents(number: RoundId) -> dict[Address, int]:
        masked = past.rounds[number].masked
        if masked is None or Phase.SHARES not in masked.anchors:
            return {}
        groups = group_round(policy, past, number, masked.anchors[Phase.SHARES]).groups
        numbered = enumerate(groups if len(groups) > 1 else (), start=1)
        return {agent: place for place, group in numbered for agent in group}

    return lambda item, agent: number_agents(item.opened.round).get(agent)


def list_votes(session: Session, number: int | None) -> Rows:
    """Return one row for each vote."""
    return [
        {
            "round": int(vote.round),
            "attempt": vote.attempt,
            "validator": vote.validator,
            "verdict": Verdict(vote.vote.verdict).name,
            "reason": vote.vote.reason.name,
            "quality": vote.vote.quality / 10_000,
            "_proposal": vote.vote.proposal_id.hex(),
            "_counter_content": vote.vote.counter_content_id.hex(),
        }
        for past_round in _select(_read_past(session), number)
        for vote in past_round.votes
    ]


def list_seats(session: Session, number: int | None) -> Rows:
    """Return one row for each proof of seats: who, by which output, and the seats held at last."""
    holders = read_holders(session.ledger, session.get_task_id())
    return [
        {
            "round": int(past_round.opened.round),
            "attempt": proof["attempt"],
            "validator": proof["validator"],
            "_place": proof["place"],
            "score": proof["score"],
            "seats": proof["seats"],
            "output": proof["output"][:_SHOWN],
            "_output": proof["output"],
        }
        for past_round in _select(_read_past(session), number)
        for proof in list_proofs(past_round, holders)
    ]


def list_rewards(session: Session, number: int | None) -> Rows:
    """Return one row for each reward paid, and one for what is left of each round."""
    kinds = (RewardsPublished, RewardClaimed)
    logged = session.ledger.get_events(task_id=session.get_task_id(), kinds=kinds)
    rows = [
        _build_claim(item.event)
        for item in logged
        if isinstance(item.event, RewardClaimed) and number in (None, item.event.round)
    ]
    rows += [
        _build_remainder(session, item.event.round)
        for item in logged
        if isinstance(item.event, RewardsPublished) and number in (None, item.event.round)
    ]
    return sorted(rows, key=lambda row: (row["round"], row["index"] is None, row["index"]))


def list_privacy(session: Session, number: int | None) -> Rows:
    """Return one row for each round that was charged; none where the task adds no noise."""
    ledger, task_id = session.ledger, session.get_task_id()
    terms = load_terms(ledger, session.store, task_id)
    privacy = terms.policy.privacy
    if not terms.task.privacy_rounds:
        return []
    charged = list_charged_rounds(ledger, task_id, terms.task)
    return [
        {
            "round": int(charged_round),
            "spent": spent,
            "allowed": terms.task.privacy_rounds,
            "epsilon": compute_spent_epsilon(terms.policy, spent),
            "of": privacy.budget_micros / MICROS,
            "_delta_inverse": privacy.delta_inverse,
            "_mechanism": privacy.mechanism,
            "_accountant": "renyi",
        }
        for spent, charged_round in enumerate(charged, start=1)
        if number in (None, charged_round)
    ]


def list_models(session: Session, _number: int | None) -> Rows:
    """Return one row for each model version."""
    past = _read_past(session)
    return [
        {
            "version": int(model.version),
            "round": int(model.round),
            "cid": _find_cid(session, model.state_digest),
            "_digest": model.state_digest.hex(),
            "_manifest_cid": str(cid_from_digest(model.state_digest)),
            "_proposal": model.proposal_id.hex(),
        }
        for model in past.versions.values()
    ]


def _read_past(session: Session) -> TaskPast:
    task_id = session.get_task_id()
    session.ledger.get_task(task_id)
    return History(session.ledger, task_id).refresh()


def _select(past: TaskPast, number: int | None) -> Iterator[RoundPast]:
    return (item for key, item in past.rounds.items() if number in (None, key))


def _get_version(past: RoundPast, versions: dict[RoundId, Any]) -> int | None:
    if past.outcome is not Outcome.FINALIZED:
        return None
    version = versions.get(past.opened.round)
    return None if version is None else int(version)


def _build_claim(event: RewardClaimed) -> dict[str, Any]:
    return {
        "round": int(event.round),
        "index": event.index,
        "account": str(event.account),
        "tokens": event.amount / 10**18,
        "_wei": str(event.amount),
        "state": "claimed",
    }


def _build_remainder(session: Session, number: RoundId) -> dict[str, Any]:
    left = session.ledger.get_distribution(session.get_task_id(), number).remaining
    return {
        "round": int(number),
        "index": None,
        "account": "(everybody else)",
        "tokens": left / 10**18,
        "_wei": str(left),
        "state": "not claimed",
    }


def _find_cid(session: Session, digest: Digest) -> str | None:
    """Return the payload's CID; None if its manifest is nowhere to be had."""
    try:
        return decode_manifest(session.store.get_block(cid_from_digest(digest))).cid
    except FlchainError:
        return None


def _name_roles(roles: int) -> str:
    return "+".join(role.name.lower() for role in Role if roles & role and role.name) or "-"

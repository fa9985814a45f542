"""SETTLE: the end of a vote and of a round.

Aborts never touch stake and give the whole reserve back; only a proposal that a quorum has
proven wrong costs its bond.
"""

from dataclasses import replace

from flchain.chain.spec import agents, models, rewards
from flchain.chain.spec.rounds import get_doom, get_phase
from flchain.chain.spec.state import Book, Env, State, get_book
from flchain.chain.spec.votes import Decision, compute_decision, get_ballot
from flchain.protocol.calls import Settle
from flchain.protocol.digests import compute_quorum
from flchain.protocol.events import Event, ProposalVoided, RoundSettled, VoteExtended
from flchain.protocol.reverts import WrongPhase
from flchain.protocol.rewards import WHOLE
from flchain.protocol.types import Outcome, Phase, TaskId, Timestamp

MAX_DOUBLINGS = 6
MAX_STREAK = 255


def get_decision(book: Book) -> Decision:
    """Return what a vote that is over has decided; OPEN if it is undecided.

    Once VOTE is closed, silent seats no longer hold up a quorum for "correct".
    """
    ballot = get_ballot(book)
    decision = compute_decision(book.round.validators, ballot)
    is_correct = ballot.approvals + ballot.worse >= compute_quorum(book.round.validators)
    return Decision.FINAL if decision == Decision.OPEN and is_correct else decision


def extend_vote(book: Book, env: Env, task_id: TaskId) -> VoteExtended:
    """Give an undecided vote its single extension; cast votes stand."""
    vote_close = Timestamp(env.time + book.task.vote_window)
    book.ballot = replace(book.ballot, is_extended=True, vote_close=vote_close)
    return VoteExtended(task_id, book.round.round, book.ballot.attempt, vote_close)


def end_vote(state: State, book: Book, *, is_proven_wrong: bool) -> list[Event]:
    """Conclude a ballot: the bond is burned if the proposal is proven wrong, else free.

    A proposer proven wrong may not propose again in this round.
    """
    proposer, bond = book.proposal.proposer, book.task.proposal_bond
    book.ballot = replace(book.ballot, number=book.ballot.number + 1, is_live=False)
    if is_proven_wrong:
        member = replace(book.members[proposer], barred_round=book.round.round)
        book.members[proposer] = member
        return agents.slash_bond(state, proposer, bond)
    return agents.release_bond(state, proposer, bond) if bond else []


def start_attempt(state: State, env: Env, task_id: TaskId, *, is_proven_wrong: bool) -> list[Event]:
    """Go on to the next rank on the same survivors, or abort after the last attempt."""
    book = state.books[task_id]
    ballot = book.ballot
    voided = ProposalVoided(task_id, book.round.round, ballot.attempt, is_proven_wrong)
    attempt = ballot.attempt + 1
    if attempt == book.task.max_attempts:
        book.ballot = replace(ballot, attempt=attempt)
        return [voided, *abort_round(state, env, task_id, Outcome.ABORTED_NO_QUORUM)]
    book.votes = {}
    book.ballot = replace(
        ballot,
        attempt=attempt,
        propose_open=env.time,
        start_rank=min(ballot.rank + 1, book.task.propose_ranks - 1),
        rank=0,
    )
    return [voided]


def end_round(book: Book, task_id: TaskId, outcome: Outcome, next_open_at: int) -> RoundSettled:
    """Record how a round ended and when the next may open."""
    book.round = replace(book.round, outcome=outcome)
    book.next_open_at = Timestamp(next_open_at)
    return RoundSettled(task_id, book.round.round, outcome, book.next_open_at)


def abort_round(state: State, env: Env, task_id: TaskId, outcome: Outcome) -> list[Event]:
    """End a round without a model; the pause doubles with each abort, six times at most."""
    book = state.books[task_id]
    pause = book.task.open_delay << min(book.abort_streak, MAX_DOUBLINGS)
    book.abort_streak = min(book.abort_streak + 1, MAX_STREAK)
    rewards.release(state, task_id, book.task.round_reserve)
    return [end_round(book, task_id, outcome, env.time + pause)]


def end_with_rewards(state: State, env: Env, task_id: TaskId, *, is_final: bool) -> list[Event]:
    """Finalise a model, or reject it for quality; either way rewards are published.

    A rejected model pays the participation part and is followed by a pause.
    """
    book = state.books[task_id]
    book.abort_streak = 0
    outcome = Outcome.FINALIZED if is_final else Outcome.REJECTED_QUALITY
    pause = 0 if is_final else book.task.open_delay
    events: list[Event] = [end_round(book, task_id, outcome, env.time + pause)]
    number, proposal = book.round.round, book.proposal
    if is_final:
        version = models.publish_version(
            state, task_id, number, proposal.state_digest, proposal.proposal_id
        )
        events.append(version)
    payout_bps = WHOLE if is_final else book.task.participation_bps
    events.append(rewards.publish_rewards(state, env, task_id, number, payout_bps))
    return events


def settle_vote(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Record what the votes decided; an undecided vote is extended once, then void."""
    book = state.books[task_id]
    decision = get_decision(book)
    if decision == Decision.OPEN and not book.ballot.is_extended:
        return [extend_vote(book, env, task_id)]
    is_wrong = decision == Decision.WRONG
    ended = end_vote(state, book, is_proven_wrong=is_wrong)
    if decision in {Decision.FINAL, Decision.WORSE}:
        is_final = decision == Decision.FINAL
        return ended + end_with_rewards(state, env, task_id, is_final=is_final)
    if decision == Decision.MISSING:
        return ended + abort_round(state, env, task_id, Outcome.ABORTED_DATA_LOST)
    return ended + start_attempt(state, env, task_id, is_proven_wrong=is_wrong)


def process_settle(state: State, env: Env, call: Settle) -> list[Event]:
    """Record whatever the time and the counts have decided; anybody may send this.

    A round with too few submissions need not wait for ATTEST to close.
    """
    book = get_book(state, call.task_id)
    phase = get_phase(state, call.task_id, env.time)
    if phase == Phase.ATTEST and book.submissions.count < book.task.min_survivors:
        return abort_round(state, env, call.task_id, Outcome.ABORTED_TOO_FEW)
    if phase != Phase.SETTLE:
        raise WrongPhase(Phase.SETTLE, phase)
    if book.ballot.is_live:
        return settle_vote(state, env, call.task_id)
    doom = get_doom(book)
    outcome = Outcome.ABORTED_NO_PROPOSAL if doom == Outcome.NONE else doom
    return abort_round(state, env, call.task_id, outcome)

"""SETTLE: the end of a vote and of a round.

Aborts never touch stake and give the whole reserve back; only a proposal that a quorum has
proven wrong costs its bond.
"""

from dataclasses import replace

from flchain.chain.spec import agents, draws, models, rewards
from flchain.chain.spec.masked_clock import is_masked
from flchain.chain.spec.masked_settlement import settle_masked
from flchain.chain.spec.rounds import get_doom, get_phase
from flchain.chain.spec.state import Absence, Book, Config, Env, State, compute_epoch, get_book
from flchain.chain.spec.votes import Decision, compute_decision, count_seats, get_ballot
from flchain.protocol.calls import Settle
from flchain.protocol.digests import compute_quorum
from flchain.protocol.events import Event, ProposalVoided, RoundSettled, VoteExtended
from flchain.protocol.reverts import WrongPhase
from flchain.protocol.rewards import WHOLE
from flchain.protocol.types import Outcome, Phase, Seconds, TaskId, Timestamp

MAX_DOUBLINGS = 6
MAX_STREAK = 255
OUTCOMES = {
    Decision.FINAL: Outcome.FINALIZED,
    Decision.WORSE: Outcome.REJECTED_QUALITY,
    Decision.MISSING: Outcome.ABORTED_DATA_LOST,
    Decision.UNSEATED: Outcome.ABORTED_NO_COMMITTEE,
}
"""How decisions end a round; the others void the proposal."""


def get_decision(book: Book) -> Decision:
    """Return what a vote that is over has decided; OPEN if it is undecided.

    Once VOTE is closed, silent seats no longer hold up a quorum for "correct".
    """
    ballot, seats = get_ballot(book), count_seats(book.round)
    if book.round.seats and len(book.seats) < compute_quorum(seats):
        return Decision.UNSEATED
    decision = compute_decision(seats, ballot)
    is_correct = ballot.approvals + ballot.worse >= compute_quorum(seats)
    return Decision.FINAL if decision == Decision.OPEN and is_correct else decision


def extend_vote(book: Book, env: Env, task_id: TaskId) -> VoteExtended:
    """Give an undecided vote its single extension; cast votes stand."""
    vote_close = Timestamp(env.time + book.task.vote_window)
    book.ballot = replace(book.ballot, is_extended=True, vote_close=vote_close)
    return VoteExtended(task_id, book.round.round, book.ballot.attempt, vote_close)


def record_absence(config: Config, book: Book) -> None:
    """Remember which seats were not silent in a vote whose window ran out."""
    epoch = compute_epoch(config, book.round.opened_at)
    book.absences.append(Absence(epoch, book.heard))


def process_silence(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Punish drawn validators that were silent to the end; of others the absence is kept."""
    book = state.books[task_id]
    if book.round.seats:
        return draws.remove_silent(state, env, task_id)[2]
    record_absence(state.config, book)
    return []


def start_attempt(
    book: Book, env: Env, task_id: TaskId, *, is_proven_wrong: bool
) -> ProposalVoided:
    """Void the proposal; the next rank goes on with the same survivors.

    After the last attempt the ballot stays as it is, and the round is to be aborted.
    """
    ballot, attempt = book.ballot, book.ballot.attempt + 1
    if attempt == book.task.max_attempts:
        book.ballot = replace(ballot, attempt=attempt)
    else:
        book.votes, book.weights, book.heard = {}, {}, frozenset()
        start_rank = min(ballot.rank + 1, book.task.propose_ranks - 1)
        book.ballot = replace(
            ballot, attempt=attempt, opened_at=env.time, start_rank=start_rank, rank=0
        )
    return ProposalVoided(task_id, book.round.round, ballot.attempt, is_proven_wrong)


def end_bond(state: State, book: Book, *, is_proven_wrong: bool) -> list[Event]:
    """Burn the proposer's bond if its proposal is proven wrong, else give it back."""
    proposer, bond = book.proposal.proposer, book.task.proposal_bond
    if is_proven_wrong:
        return agents.slash_bond(state, proposer, bond)
    return agents.release_bond(state, proposer, bond) if bond else []


def end_round(book: Book, env: Env, task_id: TaskId, outcome: Outcome) -> RoundSettled:
    """Record how a round ended and when the next may open.

    At once after a final round, after a pause otherwise; the pause doubles with each abort in
    a row, six times at most.
    """
    pause = book.task.open_delay
    if outcome == Outcome.FINALIZED:
        pause = Seconds(0)
    elif outcome != Outcome.REJECTED_QUALITY:
        pause = Seconds(pause << min(book.abort_streak, MAX_DOUBLINGS))
    is_aborted = outcome not in {Outcome.FINALIZED, Outcome.REJECTED_QUALITY}
    opens_at = Timestamp(env.time + pause)
    book.abort_streak = min(book.abort_streak + 1, MAX_STREAK) if is_aborted else 0
    book.round = replace(book.round, outcome=outcome)
    if outcome != Outcome.FINALIZED:
        # What is stored has passed already after a final round.
        book.next_open_at = opens_at
    return RoundSettled(task_id, book.round.round, outcome, opens_at)


def abort_round(state: State, env: Env, task_id: TaskId, outcome: Outcome) -> list[Event]:
    """End a round without a model and give its whole reserve back."""
    rewards.release(state, task_id)
    return [end_round(state.books[task_id], env, task_id, outcome)]


def publish_result(state: State, env: Env, task_id: TaskId, *, is_final: bool) -> list[Event]:
    """Publish a final model and its rewards; a rejected one has its participation part paid."""
    book = state.books[task_id]
    number, proposal = book.round.round, book.proposal
    events: list[Event] = []
    if is_final:
        version = models.publish_version(
            state, task_id, number, proposal.state_digest, proposal.proposal_id
        )
        events.append(version)
    payout_bps = WHOLE if is_final else book.task.participation_bps
    return [*events, rewards.publish_rewards(state, env, task_id, number, payout_bps)]


def settle_vote(state: State, env: Env, task_id: TaskId) -> list[Event]:
    """Record what the votes decided; an undecided vote is extended once, then void."""
    book = state.books[task_id]
    decision = get_decision(book)
    is_open = compute_decision(count_seats(book.round), get_ballot(book)) == Decision.OPEN
    ran_out = is_open and decision != Decision.UNSEATED
    if decision == Decision.OPEN and not book.ballot.is_extended:
        penalties = draws.replace_silent(state, env, task_id) if book.round.seats else []
        return [*penalties, extend_vote(book, env, task_id)]
    penalties = process_silence(state, env, task_id) if ran_out else []
    book.ballot = replace(book.ballot, is_live=False)
    if decision in OUTCOMES:
        return [*penalties, *conclude_round(state, env, task_id, OUTCOMES[decision])]
    is_proven_wrong = decision == Decision.WRONG
    return [*penalties, *void_proposal(state, env, task_id, is_proven_wrong=is_proven_wrong)]


def conclude_round(state: State, env: Env, task_id: TaskId, outcome: Outcome) -> list[Event]:
    """End the round as the votes say: first the record, then bond, model and rewards."""
    book = state.books[task_id]
    settled = end_round(book, env, task_id, outcome)
    bond = end_bond(state, book, is_proven_wrong=False)
    if outcome in {Outcome.ABORTED_DATA_LOST, Outcome.ABORTED_NO_COMMITTEE}:
        rewards.release(state, task_id)
        return [settled, *bond]
    is_final = outcome == Outcome.FINALIZED
    return [settled, *bond, *publish_result(state, env, task_id, is_final=is_final)]


def void_proposal(state: State, env: Env, task_id: TaskId, *, is_proven_wrong: bool) -> list[Event]:
    """Go on to the next attempt, or abort after the last.

    A proposer proven wrong may not propose again in this round.
    """
    book = state.books[task_id]
    proposer = book.proposal.proposer
    if is_proven_wrong:
        barred = replace(book.members[proposer], barred_round=book.round.round)
        book.members[proposer] = barred
    events: list[Event] = [start_attempt(book, env, task_id, is_proven_wrong=is_proven_wrong)]
    if book.ballot.attempt == book.task.max_attempts:
        events += abort_round(state, env, task_id, Outcome.ABORTED_NO_QUORUM)
    return events + end_bond(state, book, is_proven_wrong=is_proven_wrong)


def process_settle(state: State, env: Env, call: Settle) -> list[Event]:
    """Record whatever the time and the counts have decided; anybody may send this.

    A round with too few submissions need not wait for ATTEST to close.
    """
    book = get_book(state, call.task_id)
    if is_masked(book):
        masked_doom, events = settle_masked(state, env, call.task_id)
        if masked_doom == Outcome.NONE:
            return events
        return abort_round(state, env, call.task_id, masked_doom)
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

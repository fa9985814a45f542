"""VOTE: what validators say about the live proposal, and what their votes decide.

Correctness and quality are two answers. APPROVE and WORSE both say that re-execution gave
the proposed result; only WRONG, with the same reason and the same counter content from a
quorum, proves a proposal wrong.
"""

from collections import Counter
from dataclasses import replace
from enum import Enum, auto

from flchain.chain.spec.rounds import get_phase, verify_bundle, verify_round, verify_validator
from flchain.chain.spec.signatures import verify_signed
from flchain.chain.spec.state import Book, Config, Env, State, get_book, get_round_key
from flchain.crypto.signing import expand_signature
from flchain.protocol.calls import CastVote, VoteBundle
from flchain.protocol.digests import compute_quorum
from flchain.protocol.eip712 import hash_vote
from flchain.protocol.events import Event, VoteCast
from flchain.protocol.records import Ballot, Round, Vote
from flchain.protocol.reverts import (
    AlreadyVoted,
    InvalidVote,
    NotEntitled,
    OwnProposal,
    WrongPhase,
    WrongProposal,
)
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Outcome,
    Phase,
    Reason,
    RoundId,
    TaskId,
    Verdict,
)


class Decision(Enum):
    """What the votes cast so far have decided."""

    OPEN = auto()
    """Remaining votes can still change the result."""
    FINAL = auto()
    WORSE = auto()
    """Correct, but worse than the parent for more than half of the seats."""
    WRONG = auto()
    MISSING = auto()
    VOID = auto()
    """No answer can reach a quorum any more."""
    UNSEATED = auto()
    """Fewer seats than a quorum were won."""


def get_ballot(book: Book) -> Ballot:
    """Return the newest ballot with its counts."""
    verdicts: Counter[int] = Counter()
    rejects: Counter[tuple[int, Digest]] = Counter()
    for validator, vote in book.votes.items():
        weight = book.weights[validator]
        verdicts[vote.verdict] += weight
        if vote.verdict == Verdict.WRONG:
            rejects[vote.reason, vote.counter_content_id] += weight
    return replace(
        book.ballot,
        approvals=verdicts[Verdict.APPROVE],
        worse=verdicts[Verdict.WORSE],
        missing=verdicts[Verdict.DATA_MISSING],
        cast=verdicts.total(),
        reject_kinds=len(rejects),
        top_reject=max(rejects.values(), default=0),
        voted=sum(1 << seat for seat in book.heard),
    )


def get_weight(book: Book, validator: Address) -> int:
    """Return the seats that a validator's vote counts for."""
    if book.round.seats == 0:
        return 1
    return book.committee.get(book.members[validator].place, 0)


def count_seats(round_: Round) -> int:
    """Return the number of seats in a round."""
    return round_.seats or round_.validators


def compute_decision(seats: int, ballot: Ballot) -> Decision:
    """Return what a ballot decides among `seats`, silent ones included.

    A quorum q of all seats decides what is so. Given a quorum for "correct", the model is
    refused for quality if more than half of the seats find it worse.
    """
    quorum = compute_quorum(seats)
    remaining = seats - ballot.cast
    correct = ballot.approvals + ballot.worse
    if correct >= quorum:
        if ballot.worse > seats // 2:
            return Decision.WORSE
        return Decision.FINAL if ballot.worse + remaining <= seats // 2 else Decision.OPEN
    if ballot.top_reject >= quorum:
        return Decision.WRONG
    if ballot.missing >= quorum:
        return Decision.MISSING
    best = max(correct, ballot.top_reject, ballot.missing)
    return Decision.VOID if best + remaining < quorum else Decision.OPEN


def is_whole(vote: Vote) -> bool:
    """Return whether a vote says WRONG with reason and counter content, or neither.

    The contracts take any number as a verdict or a reason, so that unknown ones come here.
    """
    is_known = vote.verdict in set(Verdict) - {Verdict.NONE} and vote.reason in set(Reason)
    is_wrong = vote.verdict == Verdict.WRONG
    has_reason = vote.reason != Reason.NONE
    has_content = vote.counter_content_id != ZERO_DIGEST
    return is_known and is_wrong == has_reason == has_content


def verify_voting(state: State, env: Env, task_id: TaskId, number: RoundId) -> None:
    """Raise unless a proposal of the round is being voted on."""
    book = get_book(state, task_id)
    verify_round(book, number)
    is_open = book.ballot.is_live and book.ballot.opened_at <= env.time < book.ballot.vote_close
    if book.round.outcome != Outcome.NONE or not is_open:
        raise WrongPhase(Phase.VOTE, get_phase(state, task_id, env.time))


def verify_voter(config: Config, book: Book, validator: Address, vote: Vote) -> None:
    """Raise unless `validator` may vote in this round and names its proposal, not its own."""
    verify_validator(config, book, validator)
    if vote.proposal_id != book.proposal.proposal_id:
        raise WrongProposal(book.proposal.proposal_id, vote.proposal_id)
    if validator == book.proposal.proposer:
        raise OwnProposal(validator)


def verify_weight(book: Book, validator: Address) -> None:
    """Raise NotEntitled unless the validator holds a seat."""
    if get_weight(book, validator) == 0:
        raise NotEntitled(validator)


def verify_vote(vote: Vote) -> None:
    """Raise InvalidVote unless verdict, reason and counter content fit together."""
    if not is_whole(vote):
        raise InvalidVote(vote.verdict, vote.reason)


def cast_vote(book: Book, task_id: TaskId, validator: Address, vote: Vote) -> Event:
    """Count one vote."""
    book.votes[validator] = vote
    book.weights[validator] = get_weight(book, validator)
    book.heard |= {book.members[validator].place}
    return VoteCast(task_id, book.round.round, validator, book.ballot.attempt, vote)


def close_voting(book: Book, env: Env) -> None:
    """Close VOTE once no remaining vote can change the result."""
    if compute_decision(count_seats(book.round), get_ballot(book)) != Decision.OPEN:
        book.ballot = replace(book.ballot, vote_close=env.time)


def process_cast_vote(state: State, env: Env, call: CastVote) -> list[Event]:
    """Vote once on the live proposal."""
    verify_voting(state, env, call.task_id, call.round)
    book = state.books[call.task_id]
    verify_voter(state.config, book, env.sender, call.ballot_paper)
    if env.sender in book.votes:
        raise AlreadyVoted(env.sender)
    verify_weight(book, env.sender)
    verify_vote(call.ballot_paper)
    event = cast_vote(book, call.task_id, env.sender, call.ballot_paper)
    close_voting(book, env)
    return [event]


def process_vote_bundle(state: State, env: Env, call: VoteBundle) -> list[Event]:
    """Record up to 32 signed votes.

    Votes of validators who have voted are skipped; an invalid one refuses the bundle.
    """
    verify_bundle(len(call.votes))
    verify_voting(state, env, call.task_id, call.round)
    book = state.books[call.task_id]
    manager = state.config.addresses.round_manager
    key = get_round_key(state.config, call.task_id, call.round)
    new: dict[Address, Vote] = {}
    for entry in call.votes:
        signed = hash_vote(key, book.ballot.attempt, entry.vote)
        signature = expand_signature(entry.r, entry.vs)
        verify_signed(state.config, manager, entry.validator, signed, signature)
        verify_voter(state.config, book, entry.validator, entry.vote)
        if entry.validator not in book.votes | new:
            verify_weight(book, entry.validator)
            verify_vote(entry.vote)
            new[entry.validator] = entry.vote
    events = [cast_vote(book, call.task_id, *cast) for cast in new.items()]
    close_voting(book, env)
    return events

"""PROPOSE: who may propose when, and what a proposal binds.

Windows belong to ranks: rank 0 is the task's orchestrator, the next ranks are proposers in an
order that the round key rotates, and the last rank is open to every active member.
"""

from dataclasses import replace

from flchain.chain.spec import agents, draws
from flchain.chain.spec.rounds import (
    get_phase,
    get_rank,
    get_survivors,
    is_entitled,
    verify_round,
)
from flchain.chain.spec.state import Book, Config, Env, State, get_book, get_round_key
from flchain.chain.spec.tasks import is_active
from flchain.protocol.calls import Propose
from flchain.protocol.digests import content_id, proposal_id, proposer_seed, survivor_root
from flchain.protocol.events import Event, ProposalSubmitted
from flchain.protocol.records import Content, Member, Proposal
from flchain.protocol.reverts import (
    Barred,
    InvalidDigest,
    NotEntitled,
    NotYourRank,
    RewardTooHigh,
    WrongPhase,
)
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Phase,
    Role,
    TaskId,
    Timestamp,
)


def get_proposer(state: State, task_id: TaskId, time: Timestamp) -> tuple[int, Address]:
    """Return which rank may propose now, and who holds it; zero if any member may.

    Raises WrongPhase outside PROPOSE.
    """
    verify_proposing(state, task_id, time)
    book = get_book(state, task_id)
    rank = get_rank(book, time)
    return rank, get_rank_holder(state.config, book, task_id, rank)


def get_rank_holder(config: Config, book: Book, task_id: TaskId, rank: int) -> Address:
    """Return who holds `rank` in this attempt; the zero address if any member does.

    With nobody in line, the orchestrator holds every rank but the last.
    """
    if rank + 1 == book.task.propose_ranks:
        return ZERO_ADDRESS
    if rank == 0 or not book.proposers:
        return book.task.orchestrator
    key = get_round_key(config, task_id, book.round.round)
    place = proposer_seed(key, book.ballot.attempt) + rank - 1
    return book.proposers[place % len(book.proposers)]


def verify_proposing(state: State, task_id: TaskId, time: Timestamp) -> None:
    """Raise WrongPhase unless the newest round is in PROPOSE."""
    phase = get_phase(state, task_id, time)
    if phase != Phase.PROPOSE:
        raise WrongPhase(Phase.PROPOSE, phase)


def verify_proposer(state: State, env: Env, task_id: TaskId) -> int:
    """Return the rank under which the sender proposes, or raise what forbids it.

    It must be an active member, not proven wrong in this round, in its own window.
    """
    book = get_book(state, task_id)
    member = book.members.get(env.sender, Member())
    if not is_active(state.config, member, env.time):
        raise NotEntitled(env.sender)
    if member.barred_round == book.round.round:
        raise Barred(env.sender)
    rank = get_rank(book, env.time)
    if get_rank_holder(state.config, book, task_id, rank) not in {ZERO_ADDRESS, env.sender}:
        raise NotYourRank(env.sender, rank)
    return rank


def verify_content(book: Book, content: Content) -> None:
    """Raise unless the digests are there and the reserve covers the rewards."""
    if content.state_digest == ZERO_DIGEST:
        raise InvalidDigest(content.state_digest)
    if content.aggregate_root == ZERO_DIGEST:
        raise InvalidDigest(content.aggregate_root)
    if content.reward_total > book.task.round_reserve:
        raise RewardTooHigh(content.reward_total, book.task.round_reserve)


def record_proposal(
    config: Config, book: Book, proposer: Address, call: Propose, *, rank: int
) -> ProposalSubmitted:
    """Bind the content to the round, its survivors, the policy and the base model."""
    key = get_round_key(config, call.task_id, call.round)
    submissions, content, attempt = book.submissions, call.content, book.ballot.attempt
    root = survivor_root(key, submissions.commitment, get_survivors(book), submissions.count)
    bound = content_id(key, root, content, book.task.policy_digest, book.round.parent_version)
    identity = proposal_id(bound, attempt, proposer)
    book.proposal = Proposal(
        identity, content.state_digest, content.reward_root, proposer, content.reward_total
    )
    return ProposalSubmitted(
        call.task_id, call.round, proposer, attempt, rank, identity, bound, root, content
    )


def process_propose(state: State, env: Env, call: Propose) -> list[Event]:
    """Propose the round's result and open the vote on it, or a draw first; locks the bond.

    A proposer with a seat may not vote on its own proposal, and is not silent in that vote.
    """
    verify_round(get_book(state, call.task_id), call.round)
    verify_proposing(state, call.task_id, env.time)
    rank = verify_proposer(state, env, call.task_id)
    book = state.books[call.task_id]
    verify_content(book, call.content)
    agents.verify_bond(state, env.sender, book.task.proposal_bond)
    recorded = record_proposal(state.config, book, env.sender, call, rank=rank)
    book.ballot = replace(
        book.ballot,
        opened_at=env.time,
        vote_close=Timestamp(env.time + book.task.vote_window),
        rank=rank,
        is_live=True,
        is_extended=False,
    )
    member = book.members[env.sender]
    has_seat = is_entitled(state.config, book.round, member, Role.VALIDATOR)
    book.heard = frozenset({member.place} if has_seat else ())
    if book.task.committee:
        draws.start_draw(book, env)
    if book.task.proposal_bond == 0:
        return [recorded]
    return [recorded, *agents.lock_bond(state, env.sender, book.task.proposal_bond)]

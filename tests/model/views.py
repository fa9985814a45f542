"""Every view of the contracts, with what the specification answers to it."""

from collections.abc import Callable
from typing import Any

from flchain.chain.spec import agents, models, proposals, rewards, rounds, tasks, token, votes
from flchain.chain.spec.agents import BURN_ADDRESS
from flchain.chain.spec.signatures import get_nonce
from flchain.chain.spec.state import State, get_book, get_round_key
from flchain.protocol.digests import LANES, pack_bits
from flchain.protocol.reverts import Revert
from flchain.protocol.types import Address, RoundId, TaskId, Timestamp, Version
from tests.model.actors import ADDRESSES
from tests.model.contracts import Answer, View, flatten

Question = tuple[View, Callable[[], Any]]
"""A view and the specification's answer to it."""
MANAGER, REGISTRY, REWARDS = "RoundManager", "AgentRegistry", "RewardDistributor"


def answer(question: Question) -> Answer:
    """Return what the specification answers."""
    try:
        return "value", flatten(question[1]())
    except Revert as revert:
        return "error", (type(revert).__name__, flatten(revert.arguments))


def ask_about_task(state: State, task_id: TaskId, time: Timestamp) -> list[Question]:
    """Return the questions about one task whose answers change most."""
    book = get_book(state, task_id)
    survivors = rounds.get_survivors(book)
    words = pack_bits(survivors, book.submissions.count, LANES)
    here = (task_id,)
    return [
        ((MANAGER, "getPhase", here), lambda: rounds.get_phase(state, task_id, time)),
        ((MANAGER, "getRound", here), lambda: rounds.get_round(state, task_id)),
        ((MANAGER, "getBallot", here), lambda: votes.get_ballot(book)),
        ((MANAGER, "getTaskStatus", here), lambda: tasks.get_task_status(state, task_id)),
        ((MANAGER, "getSubmissions", here), lambda: book.submissions),
        ((MANAGER, "getSurvivors", here), lambda: (words, len(survivors))),
        ((REWARDS, "getBudget", here), lambda: rewards.get_budget(state, task_id)),
    ]


def ask_about_all(state: State, time: Timestamp) -> list[Question]:
    """Return every question, about every task, actor and round."""
    questions: list[Question] = [((MANAGER, "taskCount", ()), lambda: len(state.books))]
    for address in ADDRESSES.values():
        questions += _ask_about_actor(state, address)
    for task_id in (*state.books, TaskId(len(state.books) + 1)):
        questions += ask_about_task(state, task_id, time)
        questions += _ask_more_about_task(state, task_id, time)
    for task_id, number in state.distributions:
        questions += _ask_about_rewards(state, task_id, number)
    return questions


def _ask_about_actor(state: State, address: Address) -> list[Question]:
    config, here = state.config, (address,)
    registry = config.addresses.agent_registry
    questions: list[Question] = [
        ((REGISTRY, "getAgent", here), lambda: agents.get_agent(state, address)),
        ((REGISTRY, "isAllowed", here), lambda: address in state.allowed),
        ((REGISTRY, "nonces", here), lambda: get_nonce(state, registry, address)),
    ]
    for role in (0, 1, 2, 4, 7):
        questions += [
            (
                (REGISTRY, "isEligible", (address, role)),
                lambda role=role: agents.is_eligible(state, address, role),
            ),
            (
                (REGISTRY, "computeRequiredStake", (role,)),
                lambda role=role: agents.compute_required_stake(config, role),
            ),
        ]
    return questions + (_ask_about_tokens(state, address) if config.has_token else [])


def _ask_about_tokens(state: State, address: Address) -> list[Question]:
    addresses = state.config.addresses
    holders = (address, addresses.agent_registry, addresses.reward_distributor, BURN_ADDRESS)
    spenders = (addresses.agent_registry, addresses.reward_distributor)
    return [
        (
            ("LocalToken", "nonces", (address,)),
            lambda: get_nonce(state, addresses.token, address),
        ),
        *[
            (
                ("LocalToken", "balanceOf", (holder,)),
                lambda holder=holder: token.get_balance(state, holder),
            )
            for holder in holders
        ],
        *[
            (
                ("LocalToken", "allowance", (address, spender)),
                lambda spender=spender: token.get_allowance(state, address, spender),
            )
            for spender in spenders
        ],
    ]


def _ask_more_about_task(state: State, task_id: TaskId, time: Timestamp) -> list[Question]:
    book, config, here = get_book(state, task_id), state.config, (task_id,)
    latest = models.get_latest_version(state, task_id)
    number = book.round.round
    questions: list[Question] = [
        ((MANAGER, "getTask", here), lambda: book.task),
        ((MANAGER, "getProposal", here), lambda: book.proposal),
        ((MANAGER, "countActive", here), lambda: tasks.count_active(config, book, time)),
        ((MANAGER, "getProposer", here), lambda: proposals.get_proposer(state, task_id, time)),
        (
            (MANAGER, "computeRoundKey", (task_id, number)),
            lambda: get_round_key(config, task_id, number),
        ),
        (("ModelRegistry", "getLatest", here), lambda: latest),
    ]
    questions += [
        (
            ("ModelRegistry", "getStateDigest", (task_id, version)),
            lambda version=version: models.get_state_digest(state, task_id, version),
        )
        for version in (latest, Version(latest + 1))
    ]
    return questions + [
        (
            (MANAGER, "getMember", (task_id, address)),
            lambda address=address: tasks.get_member(state, task_id, address),
        )
        for address in ADDRESSES.values()
    ]


def _ask_about_rewards(state: State, task_id: TaskId, number: RoundId) -> list[Question]:
    distribution: Question = (
        (REWARDS, "getDistribution", (task_id, number)),
        lambda: rewards.get_distribution(state, task_id, number),
    )
    return [distribution] + [
        (
            (REWARDS, "isClaimed", (task_id, number, index)),
            lambda index=index: rewards.is_claimed(state, task_id, number, index),
        )
        for index in (0, 1, 2, 3, 63, 64)
    ]

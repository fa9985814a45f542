"""Every view of the contracts, with what the specification answers to it."""

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import Any

from flchain.chain.spec import (
    agents,
    draws,
    keys,
    masked_clock,
    models,
    proposals,
    rewards,
    rounds,
    seeds,
    tasks,
    token,
    votes,
)
from flchain.chain.spec.agents import BURN_ADDRESS
from flchain.chain.spec.masked_state import PHASES
from flchain.chain.spec.signatures import get_nonce
from flchain.chain.spec.state import State, get_book, get_round_key
from flchain.protocol.digests import LANES, pack_bits
from flchain.protocol.reverts import Revert
from flchain.protocol.types import ZERO_ADDRESS, Address, RoundId, TaskId, Timestamp, Version
from tests.model.actors import ADDRESSES, Scene
from tests.model.contracts import Answer, View, flatten

Question = tuple[View, Callable[[], Any]]
"""A view and the specification's answer to it."""
MANAGER, REGISTRY, REWARDS = "RoundManager", "AgentRegistry", "RewardDistributor"
MASKED = "MaskedRounds"
MODELS, TOKEN, SEEDS = "ModelRegistry", "LocalToken", "ChainSeeds"
PLACES = range(64)


def answer(question: Question) -> Answer:
    """Return what the specification answers."""
    try:
        return "value", flatten(question[1]())
    except Revert as revert:
        return "error", (type(revert).__name__, flatten(revert.arguments))


def ask(
    contract: str,
    function: str,
    arguments: tuple[Any, ...],
    compute: Callable[..., Any],
    *values: Any,
) -> Question:
    """Return a question whose answer is `compute(*values)`."""
    return (contract, function, arguments), partial(compute, *values)


def ask_about_task(scene: Scene, task_id: TaskId) -> list[Question]:
    """Return the questions about one task whose answers change most."""
    state, time, env = scene.state, scene.now, scene.get_env(ZERO_ADDRESS)
    book = get_book(state, task_id)
    survivors = rounds.get_survivors(book)
    words = pack_bits(survivors, book.submissions.count, LANES)
    here = (task_id,)
    return [
        ask(MANAGER, "getPhase", here, rounds.get_phase, state, task_id, time),
        ask(MANAGER, "getRound", here, rounds.get_round, state, task_id),
        ask(MANAGER, "getBallot", here, votes.get_ballot, book),
        ask(MANAGER, "getTaskStatus", here, tasks.get_task_status, state, task_id),
        ask(MANAGER, "getSubmissions", here, getattr, book, "submissions"),
        ask(MANAGER, "getSurvivors", here, tuple, (words, len(survivors))),
        ask(REWARDS, "getBudget", here, rewards.get_budget, state, task_id),
        ask(MANAGER, "getDraw", here, draws.get_draw, state, task_id),
        ask(MANAGER, "getTotalWeight", here, draws.get_total_weight, state, task_id),
        ask(MASKED, "getMasked", here, masked_clock.get_masked, state, env, task_id),
    ]


def ask_about_all(scene: Scene) -> list[Question]:
    """Return every question, about every task, actor and round."""
    state, time = scene.state, scene.now
    questions = [ask(MANAGER, "taskCount", (), len, state.books)]
    for address in ADDRESSES.values():
        questions += _ask_about_actor(state, address)
    for task_id in (*state.books, TaskId(len(state.books) + 1)):
        questions += ask_about_task(scene, task_id)
        questions += _ask_about_masked(state, task_id)
        questions += _ask_more_about_task(state, task_id, time)
        questions += _ask_about_draws(scene, task_id)
    for task_id, number in state.distributions:
        questions += _ask_about_rewards(state, task_id, number)
    return questions


def _ask_about_actor(state: State, address: Address) -> list[Question]:
    config, here = state.config, (address,)
    registry = config.addresses.agent_registry
    questions = [
        ask(REGISTRY, "getAgent", here, agents.get_agent, state, address),
        ask(REGISTRY, "isAllowed", here, state.allowed.__contains__, address),
        ask(REGISTRY, "nonces", here, get_nonce, state, registry, address),
        ask(REGISTRY, "getDrawKey", here, agents.get_draw_key, state, address),
        ask(REGISTRY, "getGuardian", here, keys.get_guardian, state, address),
        ask(REGISTRY, "getRecovery", here, keys.get_recovery, state, address),
    ]
    for role in (0, 1, 2, 4, 7):
        required, asked = agents.compute_required_stake, (address, role)
        questions += [
            ask(REGISTRY, "isEligible", asked, agents.is_eligible, state, address, role),
            ask(REGISTRY, "computeRequiredStake", (role,), required, config, role),
        ]
    return questions + (_ask_about_tokens(state, address) if config.has_token else [])


def _ask_about_tokens(state: State, address: Address) -> list[Question]:
    addresses = state.config.addresses
    spenders = (addresses.agent_registry, addresses.reward_distributor)
    questions = [
        ask(TOKEN, "nonces", (address,), get_nonce, state, addresses.token, address),
    ]
    questions += [
        ask(TOKEN, "balanceOf", (holder,), token.get_balance, state, holder)
        for holder in (address, *spenders, BURN_ADDRESS)
    ]
    return questions + [
        ask(TOKEN, "allowance", (address, spender), token.get_allowance, state, address, spender)
        for spender in spenders
    ]


def _ask_more_about_task(state: State, task_id: TaskId, time: Timestamp) -> list[Question]:
    book, config, here = get_book(state, task_id), state.config, (task_id,)
    latest = models.get_latest_version(state, task_id)
    named = (task_id, book.round.round)
    questions = [
        ask(MANAGER, "getTask", here, getattr, book, "task"),
        ask(MANAGER, "getProposal", here, getattr, book, "proposal"),
        ask(MANAGER, "countActive", here, tasks.count_active, config, book, time),
        ask(MANAGER, "getProposer", here, proposals.get_proposer, state, task_id, time),
        ask(MANAGER, "computeRoundKey", named, get_round_key, config, *named),
        ask(MODELS, "getLatest", here, models.get_latest_version, state, task_id),
    ]
    questions += [
        ask(
            MODELS,
            "getStateDigest",
            (task_id, version),
            models.get_state_digest,
            state,
            task_id,
            version,
        )
        for version in (latest, Version(latest + 1))
    ]
    return questions + [
        ask(MANAGER, "getMember", (task_id, address), tasks.get_member, state, task_id, address)
        for address in ADDRESSES.values()
    ]


def _ask_about_draws(scene: Scene, task_id: TaskId) -> list[Question]:
    state, draw = scene.state, get_book(scene.state, task_id).draw
    named = (task_id, astuple(draw))
    env, message = scene.get_env(ZERO_ADDRESS), seeds.get_beacon_message
    is_drawn = get_book(state, task_id).task.committee != 0
    return [
        ask(SEEDS, "getSeed", named, seeds.get_seed, state, task_id, draw),
        ask(SEEDS, "beaconMessage", named, message, state, env, task_id),
    ] + [
        ask(MANAGER, "getDrawKey", (task_id, place), draws.get_draw_key, state, task_id, place)
        for place in (PLACES if is_drawn else PLACES[::63])
    ]


def _ask_about_masked(state: State, task_id: TaskId) -> list[Question]:
    masked = masked_clock.get_masked_book(state, task_id)
    holders = ask(MASKED, "getHolders", (task_id,), tuple, masked.holders)
    questions = [holders]
    questions += [
        ask(
            MASKED,
            "getSet",
            (task_id, phase),
            masked_clock.get_masked_set,
            state,
            task_id,
            phase,
        )
        for phase in PHASES
    ]
    return questions + [
        ask(MASKED, "getPlace", (task_id, address), _answer_place, masked.find_place(address))
        for address in ADDRESSES.values()
    ]


def _answer_place(place: int | None) -> tuple[bool, int]:
    return place is not None, place or 0


def _ask_about_rewards(state: State, task_id: TaskId, number: RoundId) -> list[Question]:
    named = (task_id, number)
    distribution = ask(REWARDS, "getDistribution", named, rewards.get_distribution, state, *named)
    return [distribution] + [
        ask(REWARDS, "isClaimed", (*named, index), rewards.is_claimed, state, *named, index)
        for index in (0, 1, 2, 3, 63, 64)
    ]

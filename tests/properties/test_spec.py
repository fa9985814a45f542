# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""Laws that hold after any sequence of commands to the specification.

The commands are those of the model test, which gives them to the contracts too.
"""

import random
from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.chain.memory import build_config
from flchain.chain.spec import token
from flchain.chain.spec.rounds import get_doom, get_phase, get_round, get_survivors
from flchain.chain.spec.state import Env, State
from flchain.chain.spec.tasks import is_enrolled
from flchain.chain.spec.transition import process
from flchain.chain.spec.votes import get_ballot
from flchain.protocol.events import (
    AgentSlashed,
    ModelPublished,
    OffencePunished,
    ProposalVoided,
    RoundSettled,
    SeatsReplaced,
)
from flchain.protocol.params import NetworkParams
from flchain.protocol.reverts import Revert
from flchain.protocol.types import Outcome, Phase, Role
from tests.model.actors import (
    ADDRESSES,
    AGENT_STAKE,
    EPOCH,
    PROPOSER_STAKE,
    SUPPLY,
    UNBONDING,
    VALIDATOR_STAKE,
    Scene,
)
from tests.model.generator import draw_command, draw_pause
from tests.model.starts import LISTED_READY, READY, get_preparation

NETWORK = NetworkParams(
    epoch_length=EPOCH,
    unbonding_period=UNBONDING,
    agent_stake=AGENT_STAKE,
    validator_stake=VALIDATOR_STAKE,
    proposer_stake=PROPOSER_STAKE,
)
COMMANDS = 40
SEEDS = st.integers(0, 2**63)


def reach(start):
    state = State(build_config(NETWORK, ADDRESSES["governance"], has_token=start.has_token))
    if start.has_token:
        token.mint(state, ADDRESSES["treasury"], SUPPLY)
    scene = Scene(random.Random(0), state, 1_800_000_000)
    for sender, call in get_preparation(scene, start):
        try_call(scene, sender, call)
    return scene


def try_call(scene, sender, call):
    try:
        return process(scene.state, Env(sender, scene.now), call)
    except Revert:
        return None


READY_SCENE, LISTED_SCENE = reach(READY), reach(LISTED_READY)


def play(place, seed):
    """Yield the scene after every command, with the command's events."""
    scene = deepcopy(place)
    scene.rng = random.Random(seed)
    for _ in range(COMMANDS):
        scene.time += draw_pause(scene)
        yield scene, try_call(scene, *draw_command(scene))


@given(seed=SEEDS)
@settings(max_examples=10)
def test_process__refused_call__changes_nothing(seed):
    scene = deepcopy(READY_SCENE)
    scene.rng = random.Random(seed)
    for _ in range(COMMANDS):
        scene.time += draw_pause(scene)
        sender, call = draw_command(scene)
        before = deepcopy(scene.state)
        if try_call(scene, sender, call) is None:
            assert scene.state == before, call


@given(seed=SEEDS)
@settings(max_examples=15)
def test_tokens__any_sequence__are_neither_made_nor_lost(seed):
    for scene, _ in play(READY_SCENE, seed):
        state = scene.state
        assert sum(state.token.balances.values()) == SUPPLY
        held = sum(agent.stake + agent.unbonding for agent in state.agents.values())
        assert token.get_balance(state, state.config.addresses.agent_registry) == held
        budgets = sum(budget.available + budget.reserved for budget in state.budgets.values())
        owed = sum(rewards.remaining for rewards in state.distributions.values())
        distributor = state.config.addresses.reward_distributor
        assert token.get_balance(state, distributor) == budgets + owed


@given(seed=SEEDS, place=st.sampled_from([READY_SCENE, LISTED_SCENE]))
@settings(max_examples=15)
def test_bonds_and_duties__any_sequence__are_those_of_live_votes_and_enrolments(seed, place):
    for scene, _ in play(place, seed):
        books = scene.state.books.values()
        for address, agent in scene.state.agents.items():
            enrolled = [
                book
                for book in books
                if address in book.members and is_enrolled(book.members[address])
            ]
            assert agent.duties == len(enrolled)
            locked = sum(
                book.task.proposal_bond
                for book in books
                if book.ballot.is_live and book.proposal.proposer == address
            )
            assert agent.locked == locked <= agent.stake


@given(seed=SEEDS, place=st.sampled_from([READY_SCENE, LISTED_SCENE]))
@settings(max_examples=15)
def test_round__any_sequence__keeps_its_counts_within_the_snapshot(seed, place):
    for scene, _ in play(place, seed):
        for task_id, book in scene.state.books.items():
            opened, ballot = get_round(scene.state, task_id), get_ballot(book)
            assert opened.attesters <= opened.validators
            assert book.submissions.count <= opened.members
            assert ballot.cast <= opened.validators
            assert ballot.voted.bit_count() in {ballot.cast, ballot.cast + 1}
            assert all(index < book.submissions.count for index in get_survivors(book))
            is_live = get_phase(scene.state, task_id, scene.now) not in {Phase.NONE, Phase.ENDED}
            reserve = book.task.round_reserve if is_live else 0
            budget = scene.state.budgets.get(task_id)
            assert (budget.reserved if budget else 0) == reserve


@given(seed=SEEDS)
@settings(max_examples=15)
def test_places__any_sequence__are_never_shared(seed):
    for scene, _ in play(READY_SCENE, seed):
        for book in scene.state.books.values():
            members = [(a, m) for a, m in book.members.items() if is_enrolled(m)]
            seats = [m.place for _, m in members if m.role == Role.VALIDATOR]
            assert len(seats) == len(set(seats))
            line = {m.place: a for a, m in members if m.role == Role.PROPOSER}
            assert [line[place] for place in sorted(line)] == book.proposers


def is_cause(event):
    """Return whether somebody may be slashed for what an event says."""
    is_proven_wrong = isinstance(event, ProposalVoided) and event.is_proven_wrong
    is_silent = isinstance(event, SeatsReplaced | ProposalVoided | RoundSettled)
    return is_proven_wrong or is_silent or isinstance(event, OffencePunished)


@given(seed=SEEDS, place=st.sampled_from([READY_SCENE, LISTED_SCENE]))
@settings(max_examples=15)
def test_slash_and_versions__any_sequence__have_their_only_causes(seed, place):
    versions = {}
    for scene, events in play(place, seed):
        for event in events or ():
            if isinstance(event, AgentSlashed):
                assert any(is_cause(one) for one in events)
            if isinstance(event, ModelPublished) and event.version:
                assert scene.state.books[event.task_id].round.outcome == Outcome.FINALIZED
        for task_id, digests in scene.state.versions.items():
            known = versions.get(task_id, [])
            assert digests[: len(known)] == known
            versions[task_id] = list(digests)


@given(seed=SEEDS)
@settings(max_examples=15)
def test_vote__any_sequence__is_only_about_rounds_that_are_not_doomed(seed):
    for scene, _ in play(READY_SCENE, seed):
        for book in scene.state.books.values():
            if book.ballot.is_live:
                assert get_doom(book) == Outcome.NONE
                assert len(get_survivors(book)) >= book.task.min_survivors

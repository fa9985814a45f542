"""Members who come during a round wait for the next one, whatever their role."""

import pytest

from flchain.protocol.types import Phase, Role, Seconds
from flchain.roles.context import Context
from flchain.roles.membership import leave
from flchain.roles.upkeep import Upkeep, is_over
from flchain.roles.validator import Validator
from tests.e2e.federation import join, make_keys, make_memory_federation

LATE = make_keys(17)[16]


def run_until(federation, phase):
    roles = [federation.orchestrator, *federation.agents, *federation.validators]
    return federation.run_roles(roles, lambda seen: seen.phase is phase)


def make_late_validator(federation, signer=LATE):
    model = federation.validators[0]
    context = Context("validator", federation.ledger, federation.store, signer, 1)
    return Validator(context, model.terms, model.trainer, model.held_out)


@pytest.mark.parametrize("phase", [Phase.SUBMIT, Phase.ATTEST, Phase.VOTE])
def test_validator__enrols_during_a_round__waits_and_takes_part_in_the_next(phase):
    federation = make_memory_federation()
    run_until(federation, phase)
    join(federation.ledger, federation.sponsor, [LATE], Role.VALIDATOR, federation.task_id)
    late = make_late_validator(federation)
    late.endorse()
    if phase is not Phase.SUBMIT:
        assert late.tick(federation.watch.observe()) is False
    # The vote may close before the last of four has voted, so the late one goes first.
    roles = [late, federation.orchestrator, *federation.agents, *federation.validators]
    federation.run_roles(roles, lambda seen: is_over(seen, 1))
    federation.ledger._clock.now += 2
    seen = federation.run_roles(roles, lambda seen: is_over(seen, 2))
    voters = [{vote.validator for vote in past.votes} for past in seen.past.rounds.values()]
    assert [LATE.address in round_ for round_ in voters] == [False, True]


def test_validator__enrolled_as_something_else__does_nothing():
    federation = make_memory_federation()
    seen = run_until(federation, Phase.ATTEST)
    agent = federation.agents[0].context.signer
    assert make_late_validator(federation, agent).tick(seen) is False


def make_upkeep(federation, signer):
    context = Context("agent", federation.ledger, federation.store, signer, federation.task_id)
    return Upkeep(context, federation.terms, Seconds(0))


@pytest.fixture
def stuck():
    """A federation whose round waits for any member to propose."""
    federation = make_memory_federation(patience=10_000)
    run_until(federation, Phase.ATTEST)
    others = [*federation.agents, *federation.validators]
    federation.run_roles(others, lambda seen: seen.phase is Phase.PROPOSE)
    while federation.ledger.get_proposer(federation.task_id)[0] < 2:
        federation.idle(None)
    return federation


def test_upkeep__stranger_or_member_not_yet_active__leaves_the_open_window_to_others(stuck):
    upkeep = make_upkeep(stuck, LATE)
    seen = stuck.watch.observe()
    assert upkeep.tick(seen) is False
    join(stuck.ledger, stuck.sponsor, [LATE], Role.AGENT, stuck.task_id)
    assert upkeep.tick(seen) is False
    assert make_upkeep(stuck, stuck.agents[0].context.signer).tick(seen) is True


def test_upkeep__member_who_left__leaves_the_open_window_to_others(stuck):
    signer = stuck.agents[0].context.signer
    leave(stuck.ledger, signer, stuck.task_id)
    assert make_upkeep(stuck, signer).tick(stuck.watch.observe()) is False

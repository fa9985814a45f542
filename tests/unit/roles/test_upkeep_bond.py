"""Stepping in for a silent orchestrator takes a bond; who lacks it stays quiet."""

from dataclasses import replace

import pytest

from flchain.protocol.calls import Propose
from flchain.protocol.params import ETHER, PRESETS
from flchain.protocol.reverts import BondTooHigh
from flchain.protocol.types import Outcome, Role, RoundId, Wei
from tests.e2e.federation import QUICK, Behaviour, make_memory_federation

BOND = Wei(15 * ETHER)
"""More than an agent's stake of 10, less than a validator's of 20."""
DEAR = replace(QUICK, schedule=replace(QUICK.schedule, proposal_bond=BOND))


def start_silent(preset=DEAR):
    # A proposer does not vote: three of four validators are a quorum without it.
    return make_memory_federation(
        preset=preset, behaviour=Behaviour(is_silent=True), patience=1, validators=4
    )


def listen(federation):
    """Return a list that fills with what the first agent reports."""
    heard = []
    agent = federation.agents[0]
    context = replace(agent.context, report=heard.append)
    agent.context = agent.upkeep.context = context
    return heard


def test_upkeep__agent_cannot_bond__a_validator_finishes_the_round():
    federation = start_silent()
    heard = listen(federation)
    seen = federation.run(1)
    past = seen.past.rounds[RoundId(1)]
    assert past.outcome is Outcome.FINALIZED
    assert past.final_proposal.proposer in {v.context.signer.address for v in federation.validators}
    notices = [notice for notice in heard if notice.action == "bond-too-high"]
    assert [(n.round, n.values) for n in notices] == [(1, {"free": 10.0, "bond": 15.0})]


def test_upkeep__nobody_can_bond__the_round_aborts_and_nobody_dies():
    preset = replace(DEAR, schedule=replace(DEAR.schedule, proposal_bond=Wei(30 * ETHER)))
    federation = start_silent(preset)
    seen = federation.run(1)
    assert seen.past.rounds[RoundId(1)].outcome is Outcome.ABORTED_NO_PROPOSAL


def test_upkeep__bond_is_locked_elsewhere_meanwhile__is_overtaken():
    federation = start_silent()
    ledger = federation.ledger
    refused = []

    def send(call, signer, send=ledger.send):
        if isinstance(call, Propose) and not refused:
            refused.append(call)
            raise BondTooHigh(signer.address, Wei(0), BOND)
        return send(call, signer)

    ledger.send = send
    seen = federation.run(1)
    assert refused
    assert seen.past.rounds[RoundId(1)].outcome is Outcome.FINALIZED


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_preset__bond__fits_the_stake_of_every_role(preset):
    stakes = {
        Role.AGENT: preset.network.agent_stake,
        Role.VALIDATOR: preset.network.validator_stake,
        Role.PROPOSER: preset.network.proposer_stake,
    }
    assert preset.schedule.proposal_bond <= min(stakes.values())

"""What silence and offences cost."""

from dataclasses import replace

from flchain.chain.spec import agents, token
from flchain.chain.spec.state import State
from flchain.protocol.events import AgentSlashed, Event
from flchain.protocol.types import ZERO_ADDRESS, Address, Wei

OFFENCE_DIVISOR = 2
"""An offence costs this part of the stake that a validator needs."""
BOUNTY_DIVISOR = 10
SILENCE_DIVISOR = 100
"""A silent seat costs this part of the stake that a validator needs."""


def punish_silence(state: State, agent: Address) -> list[Event]:
    """Burn the fixed penalty for a silent seat, as far as free stake covers it."""
    record = agents.get_agent(state, agent)
    part = state.config.validator_stake // SILENCE_DIVISOR if state.config.has_token else 0
    penalty = Wei(min(part, record.stake - record.locked))
    if penalty == 0:
        return []
    state.agents[agent] = replace(record, stake=Wei(record.stake - penalty))
    token.move(state, state.config.addresses.agent_registry, agents.BURN_ADDRESS, penalty)
    return [AgentSlashed(agent, penalty)]


def punish_offence(state: State, agent: Address, reporter: Address) -> list[Event]:
    """Take half of a validator's stake, locked bonds apart but unbonding included.

    A tenth of it goes to `reporter`, if there is one, and the rest is burned. Without a token,
    suspend.
    """
    record = agents.get_agent(state, agent)
    due = state.config.validator_stake // OFFENCE_DIVISOR if state.config.has_token else 0
    from_stake = min(due, record.stake - record.locked)
    from_unbonding = min(due - from_stake, record.unbonding)
    state.agents[agent] = replace(
        record,
        stake=Wei(record.stake - from_stake),
        unbonding=Wei(record.unbonding - from_unbonding),
    )
    amount = Wei(from_stake + from_unbonding)
    slashed = AgentSlashed(agent, amount)
    if not state.config.has_token:
        return [slashed, *agents.set_suspended(state, agent, suspended=True)]
    bounty = Wei(0 if reporter == ZERO_ADDRESS else amount // BOUNTY_DIVISOR)
    token.move(state, state.config.addresses.agent_registry, reporter, bounty)
    token.move(
        state, state.config.addresses.agent_registry, agents.BURN_ADDRESS, Wei(amount - bounty)
    )
    return [slashed]

"""The agent in a masked round: one record per phase for ever, and none where it would tell."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest

from flchain.protocol.calls import PostRecord
from flchain.protocol.errors import AdapterError, ConfigError
from flchain.protocol.types import Address, Outcome, Phase
from flchain.roles.agent import Agent
from flchain.roles.execution import compute_survivors
from flchain.roles.journal import MemoryJournal
from flchain.roles.terms import Floors
from flchain.storage.cid import cid_from_digest
from tests.unit.roles.drawn import listen
from tests.unit.roles.masked.scenes import (
    FIRST,
    collect_notices,
    look,
    make_secure,
    reach,
    show_set,
)


def make_stage(phase, **options):
    """Return a federation whose agents have not acted in `phase` yet, and a look at it."""
    federation = make_secure(4, **options)
    return federation, reach(federation, phase)


@cache
def share_stage(phase):
    """Return the same as `make_stage`, for tests that send nothing."""
    return make_stage(phase)


def restart(agent, **changes):
    """Return the agent after a crash: it has its journal and its store, and nothing else."""
    changes.setdefault("journal", deepcopy(agent.context.journal))
    context = replace(agent.context, shared_archive=None, **changes)
    fresh = Agent(context, agent.terms, agent.trainer, agent.data)
    # Whatever is drawn now is not what was drawn before.
    fresh.entropy = lambda size: b"\x5a" * size
    return fresh


def get_reasons(notices):
    return [each.detail for each in notices if each.action == "drop-out"]


def list_posted(sent, agent):
    account = agent.context.signer.address
    return [call for who, call in sent if who == account and isinstance(call, PostRecord)]


def list_secrets(agent):
    return [name for name in agent.context.journal.names() if name.startswith("masked")]


def test_join__no_rows__stays_out_and_says_so():
    federation = make_secure(4)
    agent = federation.agents[0]
    agent.data = agent.data.select(slice(0, 0))
    notices = collect_notices(agent)
    seen = federation.run(1)
    assert get_reasons(notices) == ["there are no rows to train on"]
    assert seen.live.outcome is Outcome.FINALIZED
    assert agent.context.signer.address not in seen.name_records(Phase.JOIN)


PHASES = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)


@pytest.mark.parametrize("phase", PHASES)
def test_crash__after_writing_down_before_sending__the_same_record_is_sent(phase):
    federation, seen = make_stage(phase)
    agent, sent = federation.agents[0], listen(federation)
    send, failures = federation.ledger.send, [AdapterError("no answer", is_retryable=True)]

    def fail_once(call, signer):
        if failures:
            raise failures.pop()
        return send(call, signer)

    federation.ledger.send = fail_once
    with pytest.raises(AdapterError):
        agent.tick(seen)
    account = agent.context.signer.address
    kept = agent._participant.vault.get_record(FIRST, phase)
    assert kept is not None
    fresh = restart(agent)
    if phase is not Phase.JOIN and phase is not Phase.SHARES:
        fresh._participant.make_update = None
    assert fresh.tick(seen) is True
    (call,) = list_posted(sent, agent)
    assert (call.digest, call.anchor, call.phase) == (kept.digest, kept.anchor, phase)
    after = look(federation)
    assert after.name_records(phase)[account] == kept.digest
    # Once it stands on the chain there is nothing left to do.
    assert restart(agent).tick(after) is False
    federation.agents[0] = fresh
    seen = federation.run(1, claims=False)
    assert seen.live.outcome is Outcome.FINALIZED
    assert account in {item.agent for item in compute_survivors(seen.live)}
    assert len(list_posted(sent, agent)) == len(PHASES) - PHASES.index(phase)


@pytest.mark.parametrize("phase", PHASES[1:])
def test_journal__lost_after_joining__sends_nothing_more(phase):
    federation, seen = make_stage(phase)
    agent, sent = federation.agents[0], listen(federation)
    fresh = restart(agent, journal=MemoryJournal())
    notices = collect_notices(fresh)
    assert fresh.tick(seen) is False
    assert fresh.tick(seen) is False
    assert list_posted(sent, agent) == []
    assert len(get_reasons(notices)) == 1
    assert "journal" in get_reasons(notices)[0]
    assert not fresh._participant.vault.get_record(FIRST, phase)


def test_journal__lost_after_joining_while_others_join__does_not_join_twice():
    federation, seen = make_stage(Phase.JOIN)
    agent = federation.agents[0]
    agent.tick(seen)
    joined = look(federation).name_records(Phase.JOIN)
    fresh = restart(agent, journal=MemoryJournal())
    fresh.tick(look(federation))
    assert look(federation).name_records(Phase.JOIN) == joined
    federation.agents[0] = fresh
    seen = federation.run(1)
    assert agent.context.signer.address not in seen.name_records(Phase.SHARES)
    assert seen.live.outcome is Outcome.FINALIZED


def test_journal__damaged__stops_with_what_to_do():
    federation, seen = share_stage(Phase.SHARES)
    agent = restart(federation.agents[0])
    for name in list_secrets(agent):
        agent.context.journal.write(name, b"\x00" * 80)
    with pytest.raises(ConfigError, match="restore it, or remove"):
        agent.tick(seen)


@pytest.mark.parametrize("phase", PHASES[1:])
def test_anchor__another_after_a_record_was_made__sends_nothing_more(phase):
    federation, seen = make_stage(phase)
    agent, sent = federation.agents[0], listen(federation)
    federation.ledger.send = refuse
    with pytest.raises(AdapterError):
        agent.tick(seen)
    fresh = restart(agent)
    notices = collect_notices(fresh)
    other = replace(seen, masked=replace(seen.masked, anchor=b"\x07" * 32))
    assert fresh.tick(other) is False
    # Not even where the chain comes back to the first one.
    assert fresh.tick(seen) is False
    assert list_posted(sent, agent) == []
    assert len(get_reasons(notices)) == 1


def refuse(call, signer):
    raise AdapterError("no answer", is_retryable=True)


def test_anchor__chain_refuses_it__drops_out_of_the_round():
    federation, seen = make_stage(Phase.SHARES)
    agent = restart(federation.agents[0])
    notices = collect_notices(agent)
    other = replace(seen, masked=replace(seen.masked, anchor=b"\x07" * 32))
    assert agent.tick(other) is False
    assert len(get_reasons(notices)) == 1
    assert agent.tick(look(federation)) is False
    assert agent.context.signer.address not in look(federation).name_records(Phase.SHARES)


def test_submit__too_few_members_on_chain__tells_nothing():
    federation, seen = share_stage(Phase.SUBMIT)
    agent = restart(federation.agents[0])
    notices = collect_notices(agent)
    own = seen.find_place(agent.context.signer.address)
    others = [place for place in range(4) if place != own]
    seen = show_set(seen, Phase.CHECK, [own, *others[:1]])
    assert agent.tick(seen) is False
    assert get_reasons(notices) != []
    assert not agent._participant.vault.get_record(FIRST, Phase.SUBMIT)


@pytest.mark.parametrize("count", [1, 2])
def test_release__too_few_survivors_on_chain__tells_nothing(count):
    federation, seen = share_stage(Phase.UNMASK)
    agent = restart(federation.agents[0])
    notices = collect_notices(agent)
    assert agent.tick(show_set(seen, Phase.ATTEST, range(count))) is False
    assert get_reasons(notices) != []
    assert not agent._participant.vault.get_record(FIRST, Phase.UNMASK)
    # It stays with that, whatever it is shown then.
    assert agent.tick(seen) is False


def test_release__fewer_survivors_than_the_agent_asks_for__tells_nothing():
    federation, seen = share_stage(Phase.UNMASK)
    agent = restart(federation.agents[0])
    agent.floors = Floors(min_survivors=5)
    notices = collect_notices(agent)
    assert agent.tick(seen) is False
    assert get_reasons(notices) == ["4 agents have survived, 5 must have"]


@pytest.mark.parametrize(("phase", "verb"), [(Phase.SUBMIT, "shared"), (Phase.UNMASK, "survived")])
def test_trust__too_few_known_agents__tells_nothing(phase, verb):
    federation, seen = share_stage(phase)
    agent = restart(federation.agents[0])
    known = [other.context.signer.address for other in federation.agents[1:3]]
    stranger = Address("0x" + "11" * 20)
    agent.floors = Floors(trusted=frozenset([*known, stranger]), min_trusted=3)
    notices = collect_notices(agent)
    assert agent.tick(seen) is False
    assert get_reasons(notices) == [f"2 agents that you trust have {verb}, you ask for 3"]
    assert not agent._participant.vault.get_record(FIRST, phase)


def test_trust__enough_known_agents__goes_on():
    federation = make_secure(4)
    known = [other.context.signer.address for other in federation.agents[1:]]
    federation.agents[0].floors = Floors(trusted=frozenset(known), min_trusted=3)
    seen = federation.run(1)
    assert len(compute_survivors(seen.live)) == 4


@pytest.mark.parametrize("phase", PHASES[1:])
def test_secrets__while_the_round_is_masked__are_kept(phase):
    federation, seen = share_stage(phase)
    late = replace(seen, phase=Phase.SETTLE, now=seen.masked.closes_at)
    for agent in map(restart, federation.agents):
        kept = list_secrets(agent)
        assert agent._participant.tick(late) is False
        assert list_secrets(agent) == kept != []


@pytest.mark.parametrize("phase", [Phase.CHECK, Phase.UNMASK])
def test_store__own_message_cannot_be_had_for_a_while__is_tried_again(phase):
    federation, seen = share_stage(phase)
    agent = restart(federation.agents[0])
    cid = cid_from_digest(seen.name_records(Phase.JOIN)[agent.context.signer.address])
    block = federation.store.blocks.get(cid)
    federation.store.blocks.delete(cid)
    with pytest.raises(AdapterError, match="does not give back") as caught:
        agent.tick(seen)
    federation.store.blocks.replace_unverified(cid, block)
    assert caught.value.is_retryable
    assert agent._participant._out == 0


def test_secrets__once_unmask_is_over__are_wiped():
    federation = make_secure(4)
    seen = federation.run_roles(federation.roles, lambda seen: seen.phase is Phase.PROPOSE)
    for agent in federation.agents:
        agent.tick(seen)
        assert list_secrets(agent) == []

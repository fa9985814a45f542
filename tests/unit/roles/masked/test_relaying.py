"""Rounds whose records are relayed: by an honest relayer, by one that lies, and by none."""

from dataclasses import replace
from functools import partial

import pytest

from flchain.chain.spec.masked_clock import get_window
from flchain.protocol.calls import LeaveTask
from flchain.protocol.events import (
    AgentMissed,
    AgentSlashed,
    RecordPosted,
    RecordsRelayed,
    RecordVoided,
)
from flchain.protocol.types import Digest, Phase, Role
from flchain.roles.audit import verify_task
from flchain.roles.journal import MemoryJournal
from flchain.roles.masked import relaying
from flchain.roles.masked.offers import (
    compute_latest_relay,
    compute_record_digest,
    list_offers,
    publish_offer,
)
from flchain.roles.masked.relaying import Relaying
from flchain.roles.upkeep import is_over
from tests.e2e.federation import QUICK
from tests.unit.roles.masked.relayed import (
    AGENTS,
    RECORDED,
    Forging,
    Silent,
    Skipping,
    get_accounts,
    get_times,
    is_finalized,
    list_events,
    list_posters,
    list_relayed_places,
    make_federation,
    rebuild,
    run_to,
    run_until,
    sign,
)

FORCED = QUICK.schedule.masking.forced_window


@pytest.fixture(scope="module")
def played():
    federation = make_federation(rounds=2)
    return federation, federation.run(2)


def test_round__all_records_relayed__has_one_batch_a_phase(played):
    federation, seen = played
    assert is_finalized(seen, 1)
    assert is_finalized(seen, 2)
    everybody = [(2**AGENTS - 1,)]
    for phase in RECORDED:
        assert list_relayed_places(federation, phase, number=2) == everybody
    assert not list_events(federation, RecordPosted, number=2)


def test_round__first_of_the_task__joins_directly(played):
    federation, _ = played
    assert list_posters(federation, Phase.JOIN) == set(get_accounts(federation.agents))
    assert {each.phase for each in list_events(federation, RecordPosted)} == {Phase.JOIN}
    for phase in RECORDED[1:]:
        assert list_relayed_places(federation, phase) == [(2**AGENTS - 1,)]


def test_round__all_records_relayed__gives_the_same_sums_as_direct_ones(played):
    _, seen = played
    direct = make_federation(relayed=(), rounds=2)
    again = direct.run(2)
    assert not list_events(direct, RecordsRelayed, number=2)
    assert [v.state_digest for v in again.past.versions.values()] == [
        v.state_digest for v in seen.past.versions.values()
    ]
    assert len({v.state_digest for v in seen.past.versions.values()}) == 3


def test_round__all_records_relayed__is_verified_as_sound(played):
    federation, _ = played
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound, [str(check) for check in report.failures]


def test_round__over__leaves_no_offers(played):
    federation, _ = played
    assert not list(federation.store.pins("task/1/record/"))


def test_round__more_records_than_fit__come_in_several_batches(monkeypatch):
    monkeypatch.setattr(relaying, "LARGEST_BATCH", 4)
    federation = make_federation()
    assert is_finalized(federation.run(1))
    for phase in RECORDED[1:]:
        assert list_relayed_places(federation, phase) == [(0b001111,), (0b110000,)]


def test_round__some_agents_direct__closes_as_soon_as_all_are_there():
    federation = make_federation(relayed=(0, 2, 4))
    assert is_finalized(federation.run(1))
    direct = {get_accounts(federation.agents)[number] for number in (1, 3, 5)}
    for phase in RECORDED[1:]:
        assert list_relayed_places(federation, phase) == [(0b010101,)]
        assert list_posters(federation, phase) == direct
    assert not list_events(federation, AgentMissed)


def test_agent__left_out_by_the_relayer__posts_directly_in_time():
    federation = make_federation(relaying=Skipping)
    seen = federation.run(1)
    assert is_finalized(seen)
    victim = seen.past.holders[Skipping.skipped]
    for phase in RECORDED[1:]:
        assert list_posters(federation, phase) == {victim}
        assert list_relayed_places(federation, phase) == [(2**AGENTS - 1 - 2,)]
        (posted,) = get_times(federation, RecordPosted, phase)
        (relayed,) = get_times(federation, RecordsRelayed, phase)
        # The relayer waited for all until its margin; the agent until the forced part.
        assert posted - relayed == FORCED
    assert len(seen.past.rounds[1].submissions) == AGENTS
    assert not list_events(federation, AgentMissed)


def test_agent__relayer_silent__posts_when_the_forced_part_begins():
    federation = make_federation(relaying=Silent)
    run_to(federation, Phase.SHARES)
    opened = federation.watch.observe()
    latest = compute_latest_relay(federation.terms.task, opened.masked)
    window = get_window(federation.terms.task, Phase.SHARES)
    assert latest == opened.masked.opens_at + window - FORCED
    seen = federation.run(1)
    assert is_finalized(seen)
    assert set(get_times(federation, RecordPosted, Phase.SHARES)) == {latest}
    for phase in RECORDED:
        assert list_posters(federation, phase) == set(seen.past.holders)
    assert not list_events(federation, RecordsRelayed)


def make_forging_federation(**options):
    """Return a federation whose orchestrator forges, and does not tell on itself."""
    federation = make_federation(relaying=partial(Forging, **options), patience=1)
    federation.orchestrator.upkeep._tending = Idle()
    return federation


class Idle:
    """Does nothing."""

    def tick(self, seen):
        return False


def leave_once(agent, is_time):
    """Let an agent be gone from the moment that `is_time` holds."""
    tick = agent.tick
    agent.tick = lambda seen: not is_time(seen) and tick(seen)


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.SUBMIT, Phase.UNMASK])
@pytest.mark.parametrize("has_own_digest", [True, False])
def test_agent__record_forged__voids_it_and_posts_directly_at_once(phase, has_own_digest):
    federation = make_forging_federation(phase=phase, has_own_digest=has_own_digest)
    relayer = federation.orchestrator.upkeep.context.signer.address
    before = federation.ledger.get_agent(relayer).stake
    seen = federation.run(1)
    assert is_finalized(seen)
    victim = seen.past.holders[1]
    (voided,) = list_events(federation, RecordVoided)
    assert (voided.agent, voided.phase) == (victim, phase)
    (slashed,) = [e for e in list_events(federation, AgentSlashed) if e.agent == relayer]
    assert federation.ledger.get_agent(relayer).stake == before - slashed.amount < before
    assert list_posters(federation, phase) == {victim}
    assert get_times(federation, RecordPosted, phase) == get_times(federation, RecordVoided, phase)
    assert victim in {each.agent for each in seen.past.rounds[1].submissions}
    assert not list_events(federation, AgentMissed)
    # Nobody relays any more: a stake below the need is no bond.
    for later in RECORDED[RECORDED.index(phase) + 1 :]:
        assert list_posters(federation, later) == set(seen.past.holders)


def test_relayer__forges_for_an_agent_that_is_gone__is_punished_by_others():
    federation = make_forging_federation()
    leave_once(federation.agents[1], lambda seen: seen.phase is Phase.SHARES)
    seen = federation.run(1)
    relayer = federation.orchestrator.upkeep.context.signer.address
    assert is_finalized(seen)
    (voided,) = list_events(federation, RecordVoided)
    assert voided.agent == seen.past.holders[1]
    assert relayer in {each.agent for each in list_events(federation, AgentSlashed)}
    assert len(seen.past.rounds[1].submissions) == AGENTS - 1


def test_relayer__place_of_a_voided_record__is_left_to_a_direct_one():
    federation = make_forging_federation()
    leave_once(federation.agents[1], lambda seen: seen.masked.batches > 0)
    seen = run_until(federation, lambda seen: seen.round.round and seen.masked_past.voided)
    assert list_offers_of(federation, Phase.SHARES, federation.agents[1])
    assert 1 not in seen.masked_past.get_records(Phase.SHARES)
    assert gather(federation, seen) == {}


def test_tending__join_of_somebody_who_left__is_voided():
    federation = make_federation(rounds=2, patience=1)
    run_until(federation, lambda seen: is_over(seen, 1))
    leaver = federation.agents[5]
    federation.ledger.send(LeaveTask(federation.task_id), leaver.context.signer)
    seen = run_to(federation, Phase.JOIN, number=2)
    place = seen.find_place(leaver.context.signer.address)
    offer = sign(leaver.context, seen, Phase.JOIN, Digest(b"\5" * 32))

    class Adding(Relaying):
        def gather(self, seen):
            found = super().gather(seen)
            return {**found, place: offer.record} if seen.phase is Phase.JOIN else found

    publish_offer(leaver.context, federation.terms, 2, offer)
    honest = federation.orchestrator.upkeep.relaying
    assert place not in honest.gather(seen)
    federation.orchestrator.upkeep.relaying = Adding(honest.context, honest.terms)
    roles = [role for role in federation.roles if role is not leaver]
    seen = run_until(federation, lambda seen: is_over(seen, 2), roles)
    (voided,) = list_events(federation, RecordVoided, number=2)
    assert (voided.agent, voided.phase) == (leaver.context.signer.address, Phase.JOIN)


class CountingSigner:
    """A signer that lists what it signed."""

    def __init__(self, inner):
        self.inner = inner
        self.signed = []

    @property
    def address(self):
        return self.inner.address

    def sign_digest(self, digest):
        self.signed.append(digest)
        return self.inner.sign_digest(digest)


@pytest.mark.parametrize("is_published", [True, False])
def test_agent__restarted_after_signing__sends_the_same_signature(is_published):
    federation = make_federation()
    seen = run_to(federation, Phase.SHARES)
    agent = federation.agents[0]
    while not list_offers_of(federation, Phase.SHARES, agent):
        assert agent.tick(seen)
        seen = federation.watch.observe()
    first = agent._participant.vault.find_signed(1, Phase.SHARES)
    if not is_published:
        agent._participant._posting.withdraw()
        assert not list_offers_of(federation, Phase.SHARES, agent)
    signer = CountingSigner(agent.context.signer)
    again = rebuild(agent, signer=signer)
    federation = replace(federation, agents=[again, *federation.agents[1:]])
    assert is_finalized(federation.run(1))
    (batch,) = list_events(federation, RecordsRelayed, phase=Phase.SHARES)
    assert batch.records[0] == first
    anchor = seen.masked.anchor
    record = compute_record_digest(again.context, 1, Phase.SHARES, anchor, first.digest)
    assert record not in signer.signed


def list_offers_of(federation, phase, agent):
    context = federation.orchestrator.upkeep.context
    offers = list_offers(context, 1, phase)
    return [digest for account, digest in offers if account == agent.context.signer.address]


def test_agent__journal_lost_after_its_record_was_relayed__signs_no_other():
    federation = make_federation(rounds=2)
    run_until(
        federation,
        lambda seen: (
            seen.round.round == 2
            and seen.phase is Phase.JOIN
            and len(seen.masked_past.get_records(Phase.JOIN)) == AGENTS
        ),
    )
    agent = federation.agents[0]
    notes, signer = [], CountingSigner(agent.context.signer)
    again = rebuild(agent, journal=MemoryJournal(), signer=signer, report=notes.append)
    seen = federation.watch.observe()
    assert not again.tick(seen)
    assert [(note.action, note.detail) for note in notes] == [
        ("drop-out", "the chain has a record of JOIN that the journal has not")
    ]
    assert not signer.signed


def test_agent__round_that_was_over__drops_out_instead_of_signing():
    federation = make_federation()
    run_to(federation, Phase.SHARES)
    agent = federation.agents[0]
    agent._participant.vault.close(1)
    agent._participant.vault.wipe(1)
    notes, signer = [], CountingSigner(agent.context.signer)
    again = rebuild(agent, signer=signer, report=notes.append)
    assert not again.tick(federation.watch.observe())
    assert [note.action for note in notes] == ["drop-out"]
    assert not signer.signed


@pytest.fixture
def sharing():
    """Return a federation in SHARES of its first round, and what everybody sees."""
    federation = make_federation()
    return federation, run_to(federation, Phase.SHARES)


def offer_as(federation, number, offer, name=None):
    """Publish an offer from the agent at a position, under its own or another's name."""
    context = federation.agents[number].context
    if name is not None:
        context = replace(context, signer=federation.agents[name].context.signer)
    publish_offer(context, federation.terms, 1, offer)


def gather(federation, seen):
    return federation.orchestrator.upkeep.relaying.gather(seen)


DIGEST = Digest(b"\3" * 32)


def test_relayer__valid_offer__is_gathered(sharing):
    federation, seen = sharing
    context = federation.agents[2].context
    offer = sign(context, seen, Phase.SHARES, DIGEST)
    offer_as(federation, 2, offer)
    place = seen.find_place(context.signer.address)
    assert gather(federation, seen) == {place: offer.record}


@pytest.mark.parametrize(
    "make",
    [
        lambda context, seen: sign(context, seen, Phase.SHARES, Digest(bytes(32))),
        lambda context, seen: sign(context, seen, Phase.SUBMIT, DIGEST),
        lambda context, seen: sign(context, seen, Phase.SHARES, DIGEST, anchor=Digest(b"\1" * 32)),
        lambda context, seen: replace(sign(context, seen, Phase.JOIN, DIGEST), phase=Phase.SHARES),
        lambda context, seen: replace(
            sign(context, seen, Phase.SHARES, DIGEST),
            record=replace(
                sign(context, seen, Phase.SHARES, DIGEST).record, digest=Digest(b"\4" * 32)
            ),
        ),
    ],
    ids=["no digest", "other phase", "other fork", "signed for JOIN", "other digest"],
)
def test_relayer__false_offer__is_left(sharing, make):
    federation, seen = sharing
    offer_as(federation, 2, make(federation.agents[2].context, seen))
    assert gather(federation, seen) == {}


def test_relayer__offer_in_the_name_of_another__is_left(sharing):
    federation, seen = sharing
    offer_as(federation, 2, sign(federation.agents[2].context, seen, Phase.SHARES, DIGEST), name=3)
    assert gather(federation, seen) == {}


def test_relayer__something_else_under_the_pin__is_left(sharing):
    federation, seen = sharing
    account = federation.agents[2].context.signer.address
    federation.store.put_block(b"{}", f"task/1/record/1/shares/{account}")
    federation.store.put_block(b"{}", "task/1/record/1/shares/nobody")
    assert gather(federation, seen) == {}


def test_relayer__place_without_a_part__is_left(sharing):
    federation, seen = sharing
    context = federation.agents[2].context
    offer_as(federation, 2, sign(context, seen, Phase.SHARES, DIGEST))
    past = seen.live
    records = dict(past.masked.records[Phase.JOIN])
    del records[seen.find_place(context.signer.address)]
    masked = replace(past.masked, records={Phase.JOIN: records})
    rounds = {1: replace(past, masked=masked)}
    assert gather(federation, replace(seen, past=replace(seen.past, rounds=rounds))) == {}


def test_relayer__account_that_is_no_proposer__sends_nothing():
    federation = make_federation(relaying=Silent)
    run_to(federation, Phase.SHARES)
    seen = federation.watch.observe()
    for agent in federation.agents:
        agent.upkeep = None
        while agent.tick(seen):
            seen = federation.watch.observe()
    stranger = Relaying(federation.validators[0].context, federation.terms)
    assert len(stranger.gather(seen)) == AGENTS
    assert not stranger.tick(seen)
    relayer = Relaying(federation.orchestrator.upkeep.context, federation.terms)
    assert relayer.context.ledger.is_eligible(relayer.context.signer.address, Role.PROPOSER)
    assert relayer.tick(seen)
    assert not relayer.tick(federation.watch.observe())


def test_relayer__in_the_forced_part__sends_nothing():
    federation = make_federation(relaying=Silent)
    seen = run_to(federation, Phase.SHARES)
    offer_as(federation, 2, sign(federation.agents[2].context, seen, Phase.SHARES, DIGEST))
    relayer = Relaying(federation.orchestrator.upkeep.context, federation.terms)
    latest = compute_latest_relay(federation.terms.task, seen.masked)
    assert not relayer.tick(seen)
    assert not relayer.tick(replace(seen, now=latest))
    assert relayer.tick(replace(seen, now=latest - 1))

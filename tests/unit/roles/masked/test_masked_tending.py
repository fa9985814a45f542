"""What anybody does to keep masked rounds honest: voiding, pinning, billing, once each."""

from dataclasses import replace

import pytest

from flchain.crypto.signing import compact_signature
from flchain.protocol.calls import (
    PinAnchor,
    PunishComplaint,
    PunishMissing,
    RelayRecords,
    VoidRecord,
)
from flchain.protocol.digests import WORD, pack_bits
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_record
from flchain.protocol.events import AgentMissed, AgentSlashed
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import ZERO_DIGEST, Outcome, Phase
from flchain.roles.execution import compute_survivors
from flchain.roles.masked.tending import PIN_AFTER, Tending
from flchain.roles.upkeep import is_over
from tests.unit.roles.drawn import listen
from tests.unit.roles.masked.scenes import FIRST, look, make_secure, reach, send_away, tick_all

DIGEST = b"\x77" * 32


def relay(federation, seen, signers, digest=DIGEST, tamper=None):
    """Have the orchestrator relay a record of each signer; the `tamper`th has another's."""
    domain = Domain(federation.ledger.chain_id, federation.ledger.addresses.masked_rounds)
    context, phase, anchor = federation.agents[0].context, seen.phase, seen.masked.anchor
    struct_hash = hash_record(context.get_round_key(seen.round.round), phase, anchor, digest)
    signed = compute_signing_digest(domain, struct_hash)
    entries = {}
    for number, signer in enumerate(signers):
        by = federation.sponsor if number == tamper else signer
        record = SignedRecord(digest, *compact_signature(by.sign_digest(signed)))
        entries[seen.find_place(signer.address)] = record
    call = RelayRecords(
        federation.task_id,
        seen.round.round,
        phase,
        anchor,
        pack_bits(sorted(entries), seen.masked.places, WORD),
        tuple(entries[place] for place in sorted(entries)),
    )
    federation.ledger.send(call, federation.orchestrator.upkeep.context.signer)


def get_signers(federation):
    return [agent.context.signer for agent in federation.agents]


def make_tending(federation):
    return Tending(federation.validators[0].context)


def list_calls(sent, *kinds):
    return [call for _, call in sent if isinstance(call, kinds)]


@pytest.fixture
def sharing():
    """A federation in SHARES of its first round, in which nobody has acted yet."""
    federation = make_secure(4)
    return federation, reach(federation, Phase.SHARES)


def test_void__forged_record__is_removed_and_its_agent_goes_on(sharing):
    federation, seen = sharing
    signers = get_signers(federation)
    relay(federation, seen, signers[:2], tamper=1)
    sent, tending = listen(federation), make_tending(federation)
    assert tending.tick(look(federation)) is True
    (call,) = list_calls(sent, VoidRecord)
    assert call.place == seen.find_place(signers[1].address)
    seen = look(federation)
    assert signers[1].address not in seen.name_records(Phase.SHARES)
    assert signers[0].address in seen.name_records(Phase.SHARES)
    assert tending.tick(seen) is False
    assert make_tending(federation).tick(seen) is False
    relayer = federation.orchestrator.upkeep.context.signer.address
    slashed = federation.ledger.get_events(kinds=(AgentSlashed,))
    assert {each.event.agent for each in slashed} == {relayer}
    federation.agents[1].tick(look(federation))
    assert look(federation).name_records(Phase.SHARES)[signers[1].address] != DIGEST


def test_void__several_forged_ones_in_a_batch__all_are_removed(sharing):
    federation, seen = sharing
    unsigned = SignedRecord(DIGEST, bytes(32), bytes(32))
    places = [seen.find_place(signer.address) for signer in get_signers(federation)[:3]]
    call = RelayRecords(
        federation.task_id,
        FIRST,
        Phase.SHARES,
        seen.masked.anchor,
        pack_bits(places, seen.masked.places, WORD),
        (unsigned,) * 3,
    )
    federation.ledger.send(call, federation.orchestrator.upkeep.context.signer)
    tending = make_tending(federation)
    while tending.tick(look(federation)):
        pass
    assert look(federation).name_records(Phase.SHARES) == {}


def test_void__zero_digest__is_removed_though_it_is_signed(sharing):
    federation, seen = sharing
    relay(federation, seen, get_signers(federation)[:1], digest=ZERO_DIGEST)
    assert make_tending(federation).tick(look(federation)) is True
    assert look(federation).name_records(Phase.SHARES) == {}


def test_void__sound_records__are_left_alone(sharing):
    federation, seen = sharing
    relay(federation, seen, get_signers(federation)[:3])
    tending = make_tending(federation)
    assert tending.tick(look(federation)) is False
    assert len(look(federation).name_records(Phase.SHARES)) == 3


def test_void__replaced_by_a_direct_record__nothing_to_do(sharing):
    federation, seen = sharing
    signers = get_signers(federation)
    relay(federation, seen, signers[:1], tamper=0)
    federation.agents[0].upkeep = None
    federation.agents[0].tick(look(federation))
    sent = listen(federation)
    if not look(federation).masked_past.voided:
        assert look(federation).name_records(Phase.SHARES)[signers[0].address] != DIGEST
    make_tending(federation).tick(look(federation))
    assert list_calls(sent, VoidRecord) == []


def test_void__forged_vector__while_validators_attest__is_still_removed():
    federation = make_secure(4)
    seen = reach(federation, Phase.SUBMIT)
    signers = get_signers(federation)
    relay(federation, seen, signers[:1], tamper=0)
    away = send_away(federation, {0: [Phase.SUBMIT]})
    seen = reach(federation, Phase.ATTEST, [*away[1:5]])
    if signers[0].address in seen.name_records(Phase.SUBMIT):
        assert make_tending(federation).tick(seen) is True
    assert signers[0].address not in look(federation).name_records(Phase.SUBMIT)
    seen = federation.run(1)
    assert {item.agent for item in compute_survivors(seen.live)} == {
        signer.address for signer in signers[1:]
    }


@pytest.mark.parametrize(("blocks", "is_sent"), [(PIN_AFTER - 1, False), (PIN_AFTER, True)])
def test_pin__nobody_acts_for_long__is_pinned_once(sharing, blocks, is_sent):
    federation, seen = sharing
    sent, tending = listen(federation), make_tending(federation)
    late = replace(seen, head=seen.masked.close_block + blocks)
    assert tending.tick(late) is is_sent
    assert tending.tick(late) is False
    assert len(list_calls(sent, PinAnchor)) == is_sent
    # Pinned by this or by the first record: nobody does it again.
    federation.agents[0].tick(look(federation))
    later = replace(look(federation), head=late.head + PIN_AFTER)
    assert make_tending(federation).tick(later) is False
    assert len(list_calls(sent, PinAnchor)) == is_sent


@pytest.mark.parametrize("phase", [Phase.JOIN, Phase.PROPOSE])
def test_pin__other_phases__need_none(phase):
    federation = make_secure(4)
    seen = federation.run_roles(federation.roles, lambda seen: seen.phase is phase)
    late = replace(seen, head=seen.masked.close_block + PIN_AFTER)
    sent = listen(federation)
    assert make_tending(federation).tick(late) is False
    assert sent == []


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.SUBMIT, Phase.UNMASK])
def test_bill__one_agent_missed_a_step__pays_once(phase):
    federation = make_secure(4)
    sent = listen(federation)
    seen = federation.run_roles(
        send_away(federation, {1: [phase]}), lambda seen: is_over(seen, 1), claims=True
    )
    absent = federation.agents[1].context.signer.address
    assert seen.live.outcome is Outcome.FINALIZED
    (call,) = list_calls(sent, PunishMissing)
    assert (call.phase, call.places) == (phase, (seen.find_place(absent),))
    missed = [each.event for each in federation.ledger.get_events(kinds=(AgentMissed,))]
    assert [(event.agent, event.phase) for event in missed] == [(absent, phase)]
    assert make_tending(federation).tick(seen) is False


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.SUBMIT, Phase.UNMASK])
def test_bill__round_failed_by_it__all_who_missed_it_pay_once(phase):
    federation = make_secure(4)
    absent = [0, 2, 3] if phase is Phase.UNMASK else [0, 2]
    sent = listen(federation)
    roles = send_away(federation, {number: [phase] for number in absent})
    seen = federation.run_roles(roles, lambda seen: is_over(seen, 1))
    assert seen.live.outcome is not Outcome.FINALIZED
    tending = make_tending(federation)
    while tending.tick(seen):
        seen = look(federation)
    accounts = {federation.agents[number].context.signer.address for number in absent}
    assert seen.masked_past.missed == accounts
    billed = [place for call in list_calls(sent, PunishMissing) for place in call.places]
    assert len(billed) == len(accounts)
    assert set(billed) == {seen.find_place(account) for account in accounts}


def test_bill__nobody_joined_or_join_was_missed__costs_nothing():
    federation = make_secure(4)
    roles = send_away(federation, {0: [Phase.JOIN], 1: [Phase.JOIN]})
    seen = federation.run_roles(roles, lambda seen: is_over(seen, 1))
    assert seen.live.outcome is Outcome.ABORTED_TOO_FEW
    sent = listen(federation)
    assert make_tending(federation).tick(look(federation)) is False
    assert sent == []


def test_bill__joined_through_a_relayer__owes_nothing_for_shares():
    federation = make_secure(4, rounds=2)
    federation.run(1, claims=False)
    seen = federation.run_roles(
        [federation.orchestrator], lambda seen: (seen.round.round, seen.phase) == (2, Phase.JOIN)
    )
    signers = get_signers(federation)
    relay(federation, seen, signers[:1])
    roles = send_away(federation, {0: [Phase.JOIN, Phase.SHARES], 1: [Phase.SHARES]})
    seen = federation.run_roles(roles, lambda seen: is_over(seen, 2))
    tick_all(federation, federation.roles)
    seen = look(federation)
    assert seen.find_place(signers[0].address) in seen.masked_past.get_set(Phase.JOIN)
    assert seen.masked_past.missed == {signers[1].address}


def test_bill__complaint_that_convinced__costs_its_agent_nothing(sharing):
    federation, seen = sharing
    part = federation.agents[1]._participant
    share = part._share
    part._share = lambda seen: (made := share(seen))[:-1] + bytes([made[-1] ^ 1])
    sent = listen(federation)
    seen = federation.run(1)
    assert list_calls(sent, PunishComplaint) == []
    assert seen.masked_past.missed == frozenset()

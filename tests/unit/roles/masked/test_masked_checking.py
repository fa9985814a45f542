"""What validators leave out of a masked round, which goes on with everybody else."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from flchain.crypto.secagg.errors import BadShare
from flchain.crypto.secagg.keys import derive_randomness, derive_secrets, prove_keys
from flchain.learning.cohorts import is_in_cohort
from flchain.protocol.calls import AttestRecords, Complain, PostRecord
from flchain.protocol.digests import decode_bitmap
from flchain.protocol.types import Outcome, Phase, RoundId
from flchain.roles.execution import compute_survivors
from flchain.roles.masked import participant as agents
from flchain.roles.masked.checking import find_undealt
from flchain.roles.masked.rosters import decode_join
from flchain.storage.cid import cid_from_digest
from tests.e2e.federation import QUICK
from tests.unit.crypto.secagg_round import make_party
from tests.unit.roles.drawn import listen
from tests.unit.roles.masked.scenes import (
    FIRST,
    add_up,
    collect_notices,
    flip,
    flip_block,
    listen_to_updates,
    look,
    make_entropy,
    make_secure,
    make_secure_policy,
    reach,
    read_aggregate,
    tick_all,
)

BAD = 1
"""The agent that does something wrong."""


def make_all_of(federation, name, change):
    """Let the bad agent send what `change` makes of its message."""
    part = federation.agents[BAD]._participant
    make = getattr(part, name)

    def forge(seen):
        payload = make(seen)
        return payload if payload is None else change(payload)

    setattr(part, name, forge)


def hide(federation, phase, alter=None):
    """Have the bad agent's manifest of a phase vanish, or be altered, once it is on the chain.

    Returns the blocks that are gone, by CID.
    """
    account, send = federation.agents[BAD].context.signer.address, federation.ledger.send
    hidden = {}

    def send_and_hide(call, signer):
        receipt = send(call, signer)
        is_it = isinstance(call, PostRecord) and call.phase is phase
        if is_it and signer.address == account:
            cid = cid_from_digest(call.digest)
            hidden[cid] = federation.store.blocks.get(cid)
            if alter is None:
                federation.store.blocks.delete(cid)
            else:
                alter(federation.store, cid)
        return receipt

    federation.ledger.send = send_and_hide
    return hidden


def check_left_out(federation, made, seen, last=Phase.SHARES, number=FIRST):
    """Check that the round ended well, without the bad agent, which got as far as `last`."""
    past = seen.past.rounds[number]
    assert past.outcome is Outcome.FINALIZED
    accounts = [agent.context.signer.address for agent in federation.agents]
    bad = accounts.pop(BAD)
    survivors = [item.agent for item in compute_survivors(past)]
    assert set(survivors) == set(accounts)
    place = seen.find_place(bad)
    for phase in (Phase.JOIN, Phase.SHARES, Phase.SUBMIT):
        assert (place in past.masked.get_set(phase)) == (phase <= last)
    assert (place in past.masked.get_set(Phase.CHECK)) == (last is Phase.SUBMIT)
    plain, _ = add_up(made, number, survivors)
    assert np.array_equal(read_aggregate(federation, past)[0]["delta"], plain["delta"])


def play(federation):
    made = listen_to_updates(federation)
    return made, federation.run(1)


def go_on_all_the_same(federation):
    """Let the bad agent share, and complain, as if the message it joined with were right."""
    part, good = federation.agents[BAD]._participant, []
    join, read = part._join, part._read_joined
    account = federation.agents[BAD].context.signer.address

    def join_well(seen):
        good.append(join(seen))
        return good[0]

    def read_well(seen):
        missing = read(seen)
        bound = part._origin(seen).bind(account)
        most = federation.terms.policy.update.w_max
        part._reader.refused.pop(account, None)
        part._reader.found[account] = decode_join(good[0], most, bound)
        return missing

    part._join, part._read_joined = join_well, read_well


JOINS = {
    "no message at all": lambda payload: b"",
    "one byte more": lambda payload: payload + b"\x00",
    "keys not proven": partial(flip, place=530),
    "weight out of range": partial(flip, place=-5),
    "of another round": lambda payload: flip(payload, 20),
}


@pytest.mark.parametrize("change", JOINS.values(), ids=JOINS)
def test_join__bad_message__is_left_out_and_the_round_goes_on(change):
    federation = make_secure(4)
    go_on_all_the_same(federation)
    make_all_of(federation, "_join", change)
    sent = listen(federation)
    check_left_out(federation, *play(federation))
    # It got no shares, and says nothing: what it gave to others would become public.
    assert not [call for _, call in sent if isinstance(call, Complain)]


def test_join__own_message_is_malformed__drops_out_before_it_shares():
    federation = make_secure(4)
    notices = collect_notices(federation.agents[BAD])
    make_all_of(federation, "_join", lambda payload: payload[:-1])
    check_left_out(federation, *play(federation), last=Phase.JOIN)
    assert "is not valid" in notices[-1].detail


SHARINGS = {
    "no message at all": lambda payload: b"",
    "one ciphertext less": lambda payload: payload[:-80],
    "of another sender": partial(flip, place=50),
    "point off the curve": partial(flip, place=70),
}


@pytest.mark.parametrize("change", SHARINGS.values(), ids=SHARINGS)
def test_sharing__bad_message__is_left_out_and_the_round_goes_on(change):
    federation = make_secure(4)
    make_all_of(federation, "_share", change)
    sent = listen(federation)
    check_left_out(federation, *play(federation))
    assert not [call for _, call in sent if isinstance(call, Complain)]


def test_sharing__one_share_is_wrong__its_holder_complains_and_the_sender_is_left_out():
    federation = make_secure(4)
    make_all_of(federation, "_share", partial(flip, place=-1))
    sent = listen(federation)
    check_left_out(federation, *play(federation))
    (complaint,) = [call for _, call in sent if isinstance(call, Complain)]
    bad = federation.agents[BAD].context.signer.address
    assert look(federation).past.holders[complaint.accused] == bad
    # Who complained with a reason pays nothing.
    assert look(federation).live.masked.missed == frozenset()


VECTORS = {
    "one word less": lambda payload: payload[:-4],
    "half a word more": lambda payload: payload + bytes(2),
}


@pytest.mark.parametrize("change", VECTORS.values(), ids=VECTORS)
def test_vector__wrong_size__is_left_out_and_the_round_goes_on(change):
    federation = make_secure(4)
    make_all_of(federation, "_submit", change)
    check_left_out(federation, *play(federation), last=Phase.SUBMIT)


@pytest.mark.parametrize(
    ("phase", "alter"),
    [
        (Phase.JOIN, flip_block),
        (Phase.SHARES, None),
        (Phase.SUBMIT, None),
        (Phase.SUBMIT, flip_block),
    ],
    ids=["join-altered", "sharing-missing", "vector-missing", "vector-altered"],
)
def test_blob__missing_or_altered__is_left_out_after_half_the_window(phase, alter):
    federation = make_secure(4)
    hide(federation, phase, alter)
    made = listen_to_updates(federation)
    seen = federation.run(1)
    last = {Phase.SUBMIT: Phase.SUBMIT}.get(phase, Phase.SHARES)
    check_left_out(federation, made, seen, last=last)


def test_blob__comes_late_but_in_time__counts():
    federation = make_secure(4)
    hidden = hide(federation, Phase.SUBMIT)
    sent = listen(federation)
    reach(federation, Phase.ATTEST)
    tick_all(federation, federation.validators)
    assert not [call for _, call in sent if is_attestation(call, Phase.ATTEST)]
    for cid, block in hidden.items():
        federation.store.blocks.replace_unverified(cid, block)
    seen = federation.run(1)
    assert len(compute_survivors(seen.live)) == 4
    attested = [call for _, call in sent if is_attestation(call, Phase.ATTEST)]
    assert [len(decode_bitmap(call.bitmap)) for call in attested] == [4, 4, 4]


def is_attestation(call, phase):
    return isinstance(call, AttestRecords) and call.phase is phase


@pytest.mark.parametrize("late", [True, False])
def test_join__shown_after_the_others_have_dealt__is_left_out_and_cannot_accuse(late):
    federation = make_secure(4)
    hidden = hide(federation, Phase.JOIN)
    seen = reach(federation, Phase.SHARES)
    bad = federation.agents[BAD]
    others = [*federation.agents[:BAD], *federation.agents[BAD + 1 :]]
    half = QUICK.schedule.masking.shares_window // 2
    if not late:
        show(federation, hidden)
    # Nobody deals before half of the window while a message is missing.
    while seen.phase is Phase.SHARES and seen.now < seen.masked.opens_at + half + 1:
        tick_all(federation, [*others, *federation.validators])
        seen = look(federation, 1)
    assert len(seen.name_records(Phase.SHARES)) == 3
    show(federation, hidden)
    sent = listen(federation)
    bad._participant._reader = None
    seen = federation.run(1)
    assert seen.live.outcome is Outcome.FINALIZED
    survivors = {item.agent for item in compute_survivors(seen.live)}
    honest = {agent.context.signer.address for agent in others}
    assert survivors == honest | (set() if late else {bad.context.signer.address})
    assert not [who for who, call in sent if isinstance(call, Complain)]


def test_shares__shown_after_complaints_have_closed__are_left_out_and_stop_nobody():
    federation = make_secure(4)
    make_all_of(federation, "_share", partial(flip, place=-1))
    hidden = hide(federation, Phase.SHARES)
    seen = reach(federation, Phase.CHECK)
    while seen.now < seen.masked.opens_at + QUICK.schedule.masking.forced_window:
        tick_all(federation, federation.roles)
        seen = look(federation, 1)
    show(federation, hidden)
    check_left_out(federation, *play(federation))
    seen = federation.watch.observe()
    # Nobody pays: who was never among the members missed no step.
    assert seen.masked_past.missed == frozenset()


@pytest.mark.parametrize(
    ("zeros", "blamed"),
    [
        ({}, set()),
        ({1: {0}}, set()),
        ({0: {3}, 1: {3}, 2: {3}}, {3}),
        ({0: {3}, 1: {3}}, {3}),
        ({0: {1, 2}}, {0}),
    ],
    ids=["none", "one pair", "from everybody", "from most", "to most"],
)
def test_undealt__zeros_for_shares__blame_who_has_them_from_or_to_most(zeros, blamed):
    party = make_party(4, 2)
    agents, graph = party.agents, party.roster.graph
    sharings = dict(party.sharings)
    for dealer, holders in zeros.items():
        ciphertexts = list(sharings[agents[dealer]].ciphertexts)
        for holder in holders:
            place = graph.get_index(agents[dealer], agents[holder])
            ciphertexts[place] = bytes(len(ciphertexts[place]))
        changed = replace(sharings[agents[dealer]], ciphertexts=tuple(ciphertexts))
        sharings[agents[dealer]] = changed
    assert find_undealt(party.roster, sharings) == {agents[number] for number in blamed}


def show(federation, hidden):
    for cid, block in hidden.items():
        federation.store.blocks.replace_unverified(cid, block)


def test_complaint__evidence_comes_late__is_waited_for():
    federation = make_secure(4)
    make_all_of(federation, "_share", partial(flip, place=-1))
    seen = reach(federation, Phase.CHECK)
    sent = listen(federation)
    tick_all(federation, federation.agents)
    ((_, complaint),) = [each for each in sent if isinstance(each[1], Complain)]
    cid = cid_from_digest(complaint.digest)
    evidence = federation.store.blocks.get(cid)
    federation.store.blocks.delete(cid)
    while look(federation).now < seen.masked.opens_at + federation.terms.task.forced_window:
        look(federation, 1)
    tick_all(federation, federation.validators)
    assert not [call for _, call in sent if is_attestation(call, Phase.CHECK)]
    federation.store.blocks.replace_unverified(cid, evidence)
    seen = federation.run(1)
    bad = seen.find_place(federation.agents[BAD].context.signer.address)
    assert bad not in seen.live.masked.get_set(Phase.CHECK)


def accuse_wrongly(federation, monkeypatch):
    """Let the bad agent complain about the first share that it gets, which is right."""
    open_shares, account = agents.open_shares, federation.agents[BAD].context.signer.address

    def open_and_lie(roster, holder, secrets, sharings):
        good, bad = open_shares(roster, holder, secrets, sharings)
        if holder == account:
            dealer = min(good)
            bad[dealer] = BadShare(str(good.pop(dealer)))
        return good, bad

    monkeypatch.setattr(agents, "open_shares", open_and_lie)


def test_complaint__without_a_reason__convicts_nobody_and_costs(monkeypatch):
    federation = make_secure(4)
    reach(federation, Phase.CHECK)
    accuse_wrongly(federation, monkeypatch)
    tick_all(federation, federation.agents)
    monkeypatch.undo()
    seen = federation.run(1)
    assert len(compute_survivors(seen.live)) == 4
    assert seen.live.masked.missed == {federation.agents[BAD].context.signer.address}


def test_cohort__agent_that_is_not_in_it__is_left_out():
    policies = (make_secure_policy(cohort_bps=bps) for bps in range(500, 10_000, 500))
    probe = make_secure(6)
    key = probe.agents[0].context.get_round_key(FIRST)
    accounts = [agent.context.signer.address for agent in probe.agents]
    policy = next(p for p in policies if sum(is_in_cohort(p, key, a) for a in accounts) >= 3)
    federation = make_secure(6, policy=policy)
    invited = {account for account in accounts if is_in_cohort(policy, key, account)}
    outside = next(a for a in federation.agents if a.context.signer.address not in invited)
    outside._participant.is_due = lambda seen: True
    seen = federation.run(1)
    assert seen.live.outcome is Outcome.FINALIZED
    assert {item.agent for item in compute_survivors(seen.live)} == invited
    assert outside.context.signer.address in seen.name_records(Phase.JOIN)
    assert len(seen.name_records(Phase.JOIN)) == len(invited) + 1


def test_keys__of_the_round_before__are_left_out():
    federation = make_secure(4, rounds=2)
    agent = federation.agents[BAD]
    part = agent._participant
    federation.run(1, claims=False)
    old = agent.context.get_origin(FIRST).bind(agent.context.signer.address)
    # What the account drew first of all.
    old_secrets = derive_secrets(make_entropy(old.agent)(32), old)

    def join_again(seen):
        secret = part.vault.begin(seen.round.round, 1)
        bound = part._origin(seen).bind(old.agent)
        keys = prove_keys(old_secrets, bound, derive_randomness(secret.seed, bound, "keys"))
        commitment, _ = agents.commit_weight(1, 2, bound, secret.seed)
        weight = agents.encode_weight(commitment, bound)
        return agents.join_messages(agents.encode_keys(keys, bound), weight)

    part._join = join_again
    part._secrets = lambda seen: (part.vault.begin(seen.round.round, 1), old_secrets)
    seen = federation.run(2)
    past = seen.past.rounds[RoundId(2)]
    assert past.outcome is Outcome.FINALIZED
    assert seen.find_place(old.agent) in past.masked.get_set(Phase.JOIN)
    assert seen.find_place(old.agent) not in past.masked.get_set(Phase.CHECK)
    assert len(compute_survivors(past)) == 3

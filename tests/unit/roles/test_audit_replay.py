"""Chains that are consistent in themselves, and of which the rules explain all, or not."""

from dataclasses import replace

import pytest

from flchain.chain.contracts import encode_call
from flchain.chain.proofs.decoding import decode_call
from flchain.protocol.calls import CastVote, Enrol, OpenRound, Settle, Submit
from flchain.protocol.events import (
    MemberEnrolled,
    RoundOpened,
    RoundSettled,
    UpdateSubmitted,
    VoteCast,
)
from flchain.protocol.records import Vote
from flchain.protocol.types import Outcome, RoundId, Verdict
from flchain.roles.audit import Status
from flchain.roles.audit.authenticity import ChainAudit
from flchain.roles.audit.report import Findings
from flchain.roles.audit.verification import ignore_progress
from flchain.storage.memory import make_memory_store
from tests.e2e.federation import QUICK, Clock, make_keys, start_federation
from tests.unit.roles.made_chain import MadeChain, RecordingLedger, make_creation, make_log

STRANGER = 15
ELSEWHERE = f"0x{'99' * 20}"


@pytest.fixture(scope="module")
def federation():
    """One finished round by the rules, and a second one that is open."""
    clock, keys = Clock(), make_keys(16)
    ledger = RecordingLedger(QUICK.network, clock, keys)
    built = start_federation(
        ledger, make_memory_store(), keys, idle=clock.pass_second, rounds=1, preset=QUICK
    )
    built.run(1)
    ledger.send(OpenRound(built.task_id), keys[0])
    return built


@pytest.fixture
def acts(federation):
    return [*federation.ledger.list_creations(), *federation.ledger.acts]


def prove(federation, acts, **options):
    findings = Findings()
    audit = ChainAudit(
        rpc=MadeChain(acts),
        ledger=federation.ledger,
        task_id=federation.task_id,
        first_block=0,
        anchor=None,
        findings=findings,
        progress=ignore_progress,
    )
    for name, value in options.items():
        setattr(audit, name, value)
    return audit.prove(), findings


def get_failure(federation, acts, **options):
    _, findings = prove(federation, acts, **options)
    (failure,) = [check for check in findings.checks if check.status is Status.FAILED]
    return failure


def find(federation, acts, kind):
    """Return the place of the last act that logged an event of a kind."""
    (topic,) = {
        log["topics"][0]
        for entry in federation.ledger.get_events(kinds=(kind,))
        for log in [make_log(federation.ledger.addresses, entry.event)]
    }
    return max(
        place
        for place, act in enumerate(acts)
        if any(log["topics"][0] == topic for log in act.logs)
    )


def append(federation, acts, number, call, *events):
    """Return the acts with one more call and the logs that the chain claims for it."""
    addresses = federation.ledger.addresses
    logs = tuple(make_log(addresses, event) for event in events)
    last = acts[-1]
    act = replace(
        last, number=number, to=addresses.round_manager, data=encode_call(call), logs=logs
    )
    return [*acts, act]


def test_replay__calls_by_the_rules__give_events_and_state(federation, acts):
    chain, findings = prove(federation, acts)
    assert [check.subject for check in findings.checks if check.status is Status.PASSED] == [
        *("blocks", "transactions", "deployment", "rules")
    ]
    expected = [entry.event for entry in federation.ledger.get_events()]
    assert [entry.event for entry in chain.events] == expected
    state, true = chain.replay.state, federation.ledger.state
    assert (state.agents, state.books, state.versions) == (true.agents, true.books, true.versions)
    assert (state.token, state.config) == (true.token, true.config)
    assert chain.replay.calls == len(federation.ledger.acts)


def test_replay__refused_call__changes_nothing(federation, acts):
    refused = replace(acts[-1], is_success=False)
    chain, findings = prove(federation, [*acts, refused])
    assert not [check for check in findings.checks if check.status is Status.FAILED]
    # Without a log its block need not be looked at.
    assert chain.replay.calls == len(federation.ledger.acts)


def test_replay__vote_of_a_stranger__is_refused_by_the_rules(federation, acts):
    place = find(federation, acts, VoteCast)
    voted = next(e.event for e in federation.ledger.get_events(kinds=(VoteCast,)))
    intruder = make_keys(16)[STRANGER].address
    claimed = make_log(federation.ledger.addresses, replace(voted, validator=intruder))
    acts[place] = replace(acts[place], number=STRANGER, logs=(claimed,))
    failure = get_failure(federation, acts)
    assert (failure.subject, failure.round) == ("rules", 1)
    assert "the rules refuse it" in failure.detail
    assert intruder in failure.detail


def test_replay__round_settled_without_a_quorum__is_refused_by_the_rules(federation, acts):
    settled = RoundSettled(federation.task_id, RoundId(2), Outcome.FINALIZED, 0)
    forged = append(federation, acts, 0, Settle(federation.task_id), settled)
    failure = get_failure(federation, forged)
    assert failure.round == 2
    assert "RoundManager.settle" in failure.detail
    assert "the rules refuse it" in failure.detail


@pytest.mark.parametrize("kind", [UpdateSubmitted, VoteCast, MemberEnrolled, RoundSettled])
def test_replay__other_event_than_the_rules_give__is_found(federation, acts, kind):
    place = find(federation, acts, kind)
    first, *rest = acts[place].logs
    data = bytearray.fromhex(first["data"][2:])
    data[31] ^= 1
    acts[place] = replace(acts[place], logs=({**first, "data": f"0x{data.hex()}"}, *rest))
    _, findings = prove(federation, acts)
    failures = [check for check in findings.checks if check.status is Status.FAILED]
    assert failures
    assert "the chain logged" in failures[0].detail or "not of this version" in failures[0].detail


def test_replay__missing_event__is_found(federation, acts):
    place = find(federation, acts, RoundSettled)
    acts[place] = replace(acts[place], logs=acts[place].logs[:-1])
    failure = get_failure(federation, acts)
    assert "logged nothing where the rules give" in failure.detail
    assert failure.round == 1


def test_replay__additional_event__is_found(federation, acts):
    place = find(federation, acts, RoundOpened)
    acts[place] = replace(acts[place], logs=acts[place].logs * 2)
    failure = get_failure(federation, acts)
    assert "the rules give nothing" in failure.detail
    assert failure.round == 2


def test_replay__hidden_call__shows_in_what_follows(federation, acts):
    # A member whose enrolment is left out submits all the same.
    del acts[find(federation, acts, MemberEnrolled)]
    _, findings = prove(federation, acts)
    (failure,) = [check for check in findings.checks if check.status is Status.FAILED]
    assert "the rules refuse it" in failure.detail


def test_replay__call_out_of_another_contract__is_said_to_be_unreadable(federation, acts):
    place = find(federation, acts, RoundOpened)
    acts[place] = replace(acts[place], to=ELSEWHERE)
    failure = get_failure(federation, acts)
    assert "called RoundManager from its own code" in failure.detail


def test_replay__unknown_function__is_no_traceback(federation, acts):
    place = find(federation, acts, RoundOpened)
    acts[place] = replace(acts[place], data=bytes.fromhex("deadbeef"))
    assert "has no function" in get_failure(federation, acts).detail


def test_replay__arguments_that_do_not_decode__are_no_traceback(federation, acts):
    place = find(federation, acts, RoundOpened)
    acts[place] = replace(acts[place], data=acts[place].data[:-3])
    assert "the rules refuse it" in get_failure(federation, acts).detail


def test_replay__transaction_for_another_chain__is_found(federation, acts):
    place = find(federation, acts, RoundOpened)
    acts[place] = replace(acts[place], chain_id=5)
    assert "signed for chain 5" in get_failure(federation, acts).detail


def test_replay__earlier_time__breaks_the_windows(federation, acts):
    """Whoever moves a block in time moves the phases: the rules notice."""
    place = find(federation, acts, VoteCast)
    later = acts[place].time + 10_000
    acts[place:] = [replace(act, time=later) for act in acts[place:]]
    assert "the rules refuse it" in get_failure(federation, acts).detail


def test_replay__other_task_breaks_the_rules__does_not_name_our_round(federation, acts):
    call = Submit(9, RoundId(1), bytes([1]) * 32, 1)
    event = UpdateSubmitted(9, RoundId(1), ELSEWHERE, 0, bytes([1]) * 32, 1)
    failure = get_failure(federation, append(federation, acts, 1, call, event))
    assert (failure.subject, failure.round) == ("rules (task 9)", None)


def test_deployment__other_code__is_found(federation, acts):
    creations = federation.ledger.list_creations()
    place = len(creations) - 1
    acts[place] = replace(acts[place], data=acts[place].data[:700] + b"\0" + acts[place].data[701:])
    failure = get_failure(federation, acts)
    assert "was created with other code" in failure.detail


def test_deployment__other_wiring__is_found(federation, acts):
    place = next(
        place
        for place, act in enumerate(acts)
        if act.data.startswith(make_creation("ModelRegistry", {}, (ELSEWHERE,))[:-32])
    )
    acts[place] = replace(acts[place], data=make_creation("ModelRegistry", {}, (ELSEWHERE,)))
    failure = get_failure(federation, acts)
    assert "ModelRegistry was created with roundManager = 0x9999" in failure.detail


def test_deployment__missing__is_said(federation, acts):
    failure = get_failure(federation, acts, first_block=len(acts) - 3)
    assert "no transaction from block" in failure.detail


def test_deployment__token_of_another_make__is_taken_at_its_word(federation, acts):
    place = next(
        place
        for place, act in enumerate(acts)
        if act.data == make_creation("LocalToken", {}, (10**24,))
    )
    acts[place] = replace(acts[place], data=b"\x60\x00")
    chain, findings = prove(federation, acts)
    assert not [check for check in findings.checks if check.status is Status.FAILED]
    assert chain.replay.deployment.mints is None


def test_anchor__on_the_chain__is_confirmed_and_later_blocks_noted(federation, acts):
    made = MadeChain(acts)
    anchor = bytes.fromhex(made.blocks[-4]["hash"][2:])
    _, findings = prove(federation, acts, anchor=anchor)
    found = [check for check in findings.checks if check.subject == "anchor"]
    assert [check.status for check in found] == [Status.PASSED, Status.NOTED]
    assert "3 later blocks" in found[1].detail


def test_vote__call_and_event__decode_to_what_was_encoded(federation):
    """The made chain is no better than its encoder: it must agree with the decoder."""
    vote = Vote(bytes([3]) * 32, Verdict.APPROVE)
    call = CastVote(federation.task_id, RoundId(1), vote)
    assert decode_call("RoundManager", encode_call(call)) == call
    assert decode_call("RoundManager", encode_call(Enrol(7, 2))) == Enrol(7, 2)

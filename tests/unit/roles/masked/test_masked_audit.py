"""The audit of masked rounds, and the execution tags of their votes."""

from dataclasses import replace

import pytest

from flchain.chain.spec import evidence
from flchain.protocol.calls import CastVote, Settle
from flchain.protocol.events import OffencePunished, VoteAudited
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.records import Vote
from flchain.protocol.types import Outcome, Phase, Reason, RoundId, Seconds, Verdict
from flchain.roles import tags
from flchain.roles.assembly import build_inputs
from flchain.roles.audit import Status, verify_task
from flchain.roles.tags import choose_half, compute_tag, get_seed
from flchain.storage.cid import cid_from_digest, decode_cid
from tests.e2e import forgeries
from tests.e2e.federation import Behaviour, LazyValidator
from tests.unit.roles.drawn import DRAWN, VALIDATORS
from tests.unit.roles.masked.scenes import (
    FIRST,
    flip_block,
    forge_unlisted,
    look,
    make_secure,
    read_record,
)

ALL = (0, 1, 2)


def audit(federation):
    return verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)


def describe(report):
    return {(check.round, check.subject): check.detail for check in report.failures}


def play_forged(forge):
    federation = make_secure(4, behaviour=Behaviour(forge={FIRST: forge}, colluders=ALL))
    seen = federation.run(1)
    assert seen.live.outcome is Outcome.FINALIZED
    return federation


@pytest.fixture(scope="module")
def honest():
    federation = make_secure(4)
    federation.run(1)
    return federation


def test_audit__honest_round__is_sound_and_says_what_was_added_up(honest):
    report = audit(honest)
    assert report.is_sound
    passed = {c.subject: c.detail for c in report.checks if c.status is Status.PASSED and c.round}
    assert passed.keys() == {"updates", "result", "claims"}
    assert "4 of 4 masked vectors add up" in passed["updates"]
    assert "sum of weight 6" in passed["result"]


@pytest.mark.parametrize(
    ("forge", "subjects", "subject", "detail"),
    [
        (
            forgeries.forge_sum,
            {"aggregate", "sum", "state"},
            "sum",
            "1 of 650 integers of section 'delta' differ, the first at 3",
        ),
        (
            forgeries.forge_state,
            {"state"},
            "state",
            "1 of 650 integers of section 'params' differ, the first at 5",
        ),
        (
            forgeries.forge_rewards,
            {"aggregate", "reward root", "claim"},
            "reward root",
            "wei instead of",
        ),
        (forgeries.forge_order, {"aggregate", "updates 0 and 1"}, "updates 0 and 1", "swapped"),
    ],
    ids=["sum", "state", "rewards", "order"],
)
def test_audit__forged_and_approved__names_what_is_wrong(forge, subjects, subject, detail):
    found = describe(audit(play_forged(forge)))
    assert {name for _, name in found} == subjects
    assert detail in found[FIRST, subject]


@pytest.mark.parametrize("which", ["manifest", "payload"])
def test_audit__flipped_byte_of_a_vector__names_it(which):
    federation = make_secure(4)
    seen = federation.run(1)
    item = seen.live.submissions[2]
    cid = cid_from_digest(item.digest)
    if which == "payload":
        cid = decode_cid(decode_manifest(federation.store.get_block(cid)).cid)
    flip_block(federation.store, cid)
    found = describe(audit(federation))
    assert set(found) == {(FIRST, f"update 2 of {item.agent}")}
    assert "does not match its CID" in found[FIRST, f"update 2 of {item.agent}"]


@pytest.mark.parametrize("phase", [Phase.JOIN, Phase.SHARES, Phase.UNMASK])
@pytest.mark.parametrize("alter", [None, flip_block], ids=["lost", "altered"])
def test_audit__message_behind_the_sum_is_gone__says_so(phase, alter):
    federation = make_secure(4)
    federation.run(1)
    cid = cid_from_digest(min(look(federation).name_records(phase).values()))
    if alter is None:
        federation.store.blocks.delete(cid)
    else:
        flip_block(federation.store, cid)
    found = describe(audit(federation))
    assert set(found) == {(FIRST, "masked sum")}
    assert "can't be unmasked here" in found[FIRST, "masked sum"]


PATIENT = replace(DRAWN, network=replace(DRAWN.network, unbonding_period=Seconds(2_000)))
"""Stakes stay long enough for the longer rounds of secure mode."""


def test_audit__right_proposal_with_a_list_of_its_own_was_slashed__is_found():
    federation = make_secure(4, behaviour=Behaviour(forge={FIRST: forge_unlisted}))
    seen = federation.run_roles(federation.roles, lambda seen: seen.phase is Phase.VOTE)
    proposal = seen.live.final_proposal
    vote = Vote(proposal.proposal_id, Verdict.WRONG, Reason.WRONG_MODEL, bytes([9]) * 32)
    for validator in federation.validators:
        call = CastVote(federation.task_id, FIRST, vote)
        federation.ledger.send(call, validator.context.signer)
    federation.ledger.send(Settle(federation.task_id), federation.sponsor)
    seen = federation.run(1)
    assert seen.live.outcome is Outcome.FINALIZED
    assert len(read_record(federation, seen.live)["releases"]) == 4
    found = describe(audit(federation))
    assert found.keys() == {(FIRST, f"slashed bond of {proposal.proposer}")}
    assert "was right" in found[FIRST, f"slashed bond of {proposal.proposer}"]


def make_drawn_secure(**options):
    return make_secure(4, preset=PATIENT, validators=VALIDATORS, **options)


@pytest.fixture(scope="module")
def drawn():
    federation = make_drawn_secure()
    seen = federation.run(1)
    return federation, seen.past, seen.live


def tag(drawn, number=0, **changes):
    federation, task, past = drawn
    context, terms = federation.validators[number].context, federation.terms
    inputs = build_inputs(context, terms, task, past)
    values = {
        "weights": (1,) * len(inputs.survivors),
        "proposal_id": past.final_proposal.proposal_id,
        "seed": get_seed(past, 0),
        "validator": context.signer.address,
        **changes,
    }
    return compute_tag(terms, inputs, context.archive, **values)


def test_tag__anybody_who_recomputes__finds_that_of_the_vote(drawn):
    _, _, past = drawn
    assert past.outcome is Outcome.FINALIZED
    assert len(past.votes) >= 4
    for vote in past.votes:
        for number in (0, 3):
            assert tag(drawn, number, validator=vote.validator) == vote.vote.exec_tag
    assert len({vote.vote.exec_tag for vote in past.votes}) == len(past.votes)


def test_tag__other_proposal_or_validator__is_another_and_weights_are_not_in_it(drawn):
    right = tag(drawn)
    other = drawn[0].validators[1].context.signer.address
    assert len({right, tag(drawn, proposal_id=bytes(32)), tag(drawn, validator=other)}) == 3
    assert tag(drawn, weights=(2, 1, 2, 1)) == right


def test_tag__one_word_of_a_vector_in_the_half__is_another(drawn, monkeypatch):
    _, _, past = drawn
    voter = drawn[0].validators[0].context.signer.address
    inside = choose_half(get_seed(past, 0), voter, 4)
    right, add = tag(drawn), tags.sum_vectors
    seen = []

    def list_vectors(messages, submissions):
        seen.extend(item.index for item in submissions)
        total = add(messages, submissions).copy()
        total[5] += 1
        return total

    monkeypatch.setattr(tags, "sum_vectors", list_vectors)
    assert tag(drawn) != right
    assert seen == list(inside)
    assert len(inside) == 2


def test_audit__vote_without_a_tag__is_punished_by_a_later_committee(drawn, monkeypatch):
    monkeypatch.setattr(evidence, "AUDITED_IN", 1)
    first = drawn[2].votes[0].validator
    accounts = [validator.context.signer.address for validator in drawn[0].validators]
    kinds = {accounts.index(first): LazyValidator}
    federation = make_drawn_secure(rounds=2, behaviour=Behaviour(kinds=kinds))
    seen = federation.run(2)
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    voted = {vote.validator for vote in seen.past.rounds[RoundId(1)].votes}
    assert first in voted
    punished = federation.ledger.get_events(kinds=(OffencePunished,))
    assert {each.event.validator for each in punished} == {first}
    audited = federation.ledger.get_events(kinds=(VoteAudited,))
    assert {each.event.validator for each in audited} == {first}

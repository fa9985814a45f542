"""Re-execution over the ledger in memory: honest rounds pass, every forgery is named."""

from dataclasses import replace

import pytest

from flchain.protocol.calls import CastVote, Settle
from flchain.protocol.errors import ConfigError
from flchain.protocol.manifest import decode_manifest
from flchain.protocol.records import Content, Vote
from flchain.protocol.types import Outcome, Phase, Reason, RoundId, TaskId, Verdict, Version
from flchain.roles.archive import seal_payload
from flchain.roles.audit import Status, verify_task
from flchain.storage.cid import cid_from_digest, decode_cid
from tests.e2e import forgeries
from tests.e2e.federation import Behaviour, make_memory_federation, make_policy

ALL = (0, 1, 2)


def audit(federation, **options):
    return verify_task(federation.ledger, federation.store, federation.task_id, rpc=None, **options)


def forged(forge, number=2, **options):
    behaviour = Behaviour(forge={number: forge}, colluders=ALL)
    federation = make_memory_federation(behaviour=behaviour, **options)
    seen = federation.run(2)
    # The wrong result is final: nothing on the ledger tells it from a right one.
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    return federation


def describe(report):
    """Return the failures as {(round, subject): detail}."""
    return {(check.round, check.subject): check.detail for check in report.failures}


@pytest.fixture(scope="module")
def honest():
    federation = make_memory_federation()
    federation.run(2)
    return federation


def flip(store, cid):
    block = bytearray(store.blocks.get(cid))
    block[len(block) // 2] ^= 1
    store.blocks.replace_unverified(cid, bytes(block))


def test_audit__honest_rounds__is_sound(honest):
    report = audit(honest)
    assert report.is_sound
    passed = {(c.round, c.subject) for c in report.checks if c.status is Status.PASSED}
    per_round = {(n, s) for n in (1, 2) for s in ("updates", "result", "claims")}
    assert passed == per_round | {(None, "policy"), (None, "version 0")}


def test_audit__honest_rounds__says_what_it_did_not_check(honest):
    noted = {c.subject: c.detail for c in audit(honest).checks if c.status is Status.NOTED}
    assert "judgements" in noted["quality"]
    assert "no chain" in noted["chain"]


def test_audit__one_round__takes_the_parent_as_published(honest):
    report = audit(honest, rounds=[RoundId(2)])
    assert report.is_sound
    noted = {c.subject: c for c in report.checks if c.status is Status.NOTED}
    assert "taken as published" in noted["version 1"].detail
    assert {c.round for c in report.checks} == {None, 2}


def test_audit__unknown_round__says_so(honest):
    with pytest.raises(ConfigError, match="has no round 9"):
        audit(honest, rounds=[RoundId(9)])


def test_audit__unknown_task__says_so(honest):
    with pytest.raises(ConfigError, match="no task 7"):
        verify_task(honest.ledger, honest.store, TaskId(7), rpc=None)


def test_audit__wrong_sum__names_the_integer():
    found = describe(audit(forged(forgeries.forge_sum)))
    assert {subject for _, subject in found} == {"aggregate", "sum", "state"}
    assert {number for number, _ in found} == {2}
    assert "1 of 650 integers of section 'delta' differ, the first at 3" in found[2, "sum"]
    assert "follows from the wrong sum" in found[2, "state"]


def test_audit__wrong_state__names_the_integer():
    found = describe(audit(forged(forgeries.forge_state)))
    assert set(found) == {(2, "state")}
    assert "1 of 650 integers of section 'params' differ, the first at 5" in found[2, "state"]


def test_audit__wrong_server_state__names_the_section():
    forge = forgeries.forge_section("server/momentum", 8)
    found = describe(audit(forged(forge, policy=make_policy("mimelite"))))
    assert set(found) == {(2, "state")}
    assert (
        "1 of 650 integers of section 'server/momentum' differ, the first at 8"
        in (found[2, "state"])
    )


def test_audit__wrong_reward_root__names_accounts_and_payments():
    found = describe(audit(forged(forgeries.forge_rewards)))
    assert {subject for _, subject in found} == {"aggregate", "reward root", "claim"}
    assert found[2, "reward root"].count(" wei instead of ") == 2


@pytest.mark.parametrize("forge", [forgeries.forge_parent, forgeries.forge_parent_silently])
def test_audit__wrong_parent__says_which_version_it_is(forge):
    found = describe(audit(forged(forge)))
    expected = "it is derived from version 0, the round's parent is version 1"
    assert expected in found[2, "state"]


def test_audit__swapped_in_the_record__names_both_updates():
    found = describe(audit(forged(forgeries.forge_order)))
    assert found[2, "updates 0 and 1"] == "they are swapped"


def test_audit__counted_with_each_others_weight__names_both_updates():
    found = describe(audit(forged(forgeries.forge_swap)))
    assert "updates 0 and 1 are swapped" in found[2, "sum"]


def test_audit__changed_weight__names_the_update():
    found = describe(audit(forged(forgeries.forge_weight)))
    assert "declared 15, counted 16" in found[2, "update 0"]
    assert "counted 16, should be 15" in found[2, "sum"]


def test_audit__changed_weight_that_the_record_denies__is_found_all_the_same():
    found = describe(audit(forged(forgeries.forge_weight_silently)))
    assert (2, "update 0") not in found
    assert "counted 16, should be 15" in found[2, "sum"]


def test_audit__wrong_round_one__audits_the_rest_on_what_was_published():
    report = audit(forged(forgeries.forge_state, number=1))
    assert {number for number, _ in describe(report)} == {1}
    assert any(c.subject == "version 1" and "see above" in c.detail for c in report.checks)


def test_audit__content_that_nobody_published__is_wrong_without_a_diagnosis():
    def invent(_context, _terms, _inputs, result):
        content = Content(
            bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, result.content.reward_total
        )
        return replace(result, content=content)

    federation = make_memory_federation(
        rounds=1, behaviour=Behaviour(forge={1: invent}, colluders=ALL)
    )
    federation.run(1, claims=False)
    found = describe(audit(federation))
    assert {subject for _, subject in found} == {"aggregate", "record", "state", "reward root"}
    assert "can't be read" in found[1, "state"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rewards":[["0x', b'"rewards":[["zz'),
        (b'"rewards":[', b'"rewards":[["0x", "1"],'),
        (b'"updates":[', b'"updates":[1,'),
        (b'"parent_state":', b'"parent":'),
        (b"flchain-round-v1", b"flchain-round-v2"),
    ],
)
def test_audit__malformed_record__is_a_finding_not_a_traceback(old, new):
    def forge(_context, _terms, inputs, result):
        text = result.record.payload.replace(old, new, 1).replace(b'", "', b'","')
        record = seal_payload(text, kind="report", dtype="json", round_key=inputs.round_key)
        content = replace(result.content, aggregate_root=record.digest)
        return replace(result, record=record, content=content)

    federation = make_memory_federation(
        rounds=1, behaviour=Behaviour(forge={1: forge}, colluders=ALL)
    )
    federation.run(1, claims=False)
    found = describe(audit(federation))
    assert {subject for _, subject in found} == {"aggregate", "record"}
    assert "can't be read" in found[1, "record"]


@pytest.mark.parametrize("which", ["manifest", "payload"])
def test_audit__flipped_byte_of_an_update__names_round_and_update(which):
    federation = make_memory_federation()
    seen = federation.run(2)
    update = seen.past.rounds[RoundId(2)].submissions[1]
    cid = cid_from_digest(update.digest)
    if which == "payload":
        cid = decode_cid(decode_manifest(federation.store.get_block(cid)).cid)
    flip(federation.store, cid)
    found = describe(audit(federation))
    assert set(found) == {(2, f"update 1 of {update.agent}")}
    assert update.digest.hex() in found[2, f"update 1 of {update.agent}"]
    assert "does not match its CID" in found[2, f"update 1 of {update.agent}"]


def test_audit__lost_update__names_it():
    federation = make_memory_federation()
    seen = federation.run(2)
    update = seen.past.rounds[RoundId(1)].submissions[0]
    federation.store.blocks.delete(cid_from_digest(update.digest))
    found = describe(audit(federation))
    assert set(found) == {(1, f"update 0 of {update.agent}")}


def test_audit__flipped_byte_of_the_policy__says_that_nothing_can_be_executed():
    federation = make_memory_federation(rounds=1)
    federation.run(1)
    flip(federation.store, cid_from_digest(federation.terms.task.policy_digest))
    assert set(describe(audit(federation))) == {(None, "policy")}


def test_audit__malformed_update__counts_for_nothing_and_is_sound():
    federation = make_memory_federation(rounds=1)
    agent = federation.agents[0]
    make = agent._make_update
    agent._make_update = lambda seen: agent._seal(make(seen).payload[:-1], seen.round.round)
    federation.run(1)
    report = audit(federation)
    assert report.is_sound
    result = next(c for c in report.checks if c.subject == "result")
    # With two left, neither may count for more than the other.
    assert result.detail.startswith("sum of weight 2,")
    noted = [c for c in report.checks if "counts for nothing" in c.detail]
    assert [c.subject for c in noted] == [f"update 0 of {agent.context.signer.address}"]


def find_worse(found):
    return replace(found, vote=replace(found.vote, verdict=Verdict.WORSE))


def test_audit__round_rejected_for_quality__is_executed_again():
    policy = make_policy(**{"quality.tolerance_bps": 0})
    federation = make_memory_federation(rounds=1, policy=policy)
    for validator in federation.validators:
        judge = validator._judge
        validator._judge = lambda seen, proposal, judge=judge: find_worse(judge(seen, proposal))
    seen = federation.run(1)
    assert seen.past.rounds[RoundId(1)].outcome is Outcome.REJECTED_QUALITY
    report = audit(federation)
    assert report.is_sound
    assert any(c.round == 1 and c.subject == "result" for c in report.checks)


def test_audit__aborted_round__is_noted():
    federation = make_memory_federation(
        rounds=1, behaviour=Behaviour(absent={0: [RoundId(1)], 1: [RoundId(1)]})
    )
    seen = federation.run(1)
    assert seen.past.rounds[RoundId(1)].outcome is Outcome.ABORTED_TOO_FEW
    report = audit(federation)
    assert report.is_sound
    assert any("ABORTED_TOO_FEW" in c.detail for c in report.checks)


def run_until_vote(federation):
    roles = [federation.orchestrator, *federation.agents, *federation.validators]
    return federation.run_roles(roles, lambda seen: seen.phase is Phase.VOTE)


def test_audit__right_proposal_slashed_by_a_bought_committee__is_found():
    federation = make_memory_federation(rounds=1)
    seen = run_until_vote(federation)
    proposal = seen.live.final_proposal
    vote = Vote(proposal.proposal_id, Verdict.WRONG, Reason.WRONG_MODEL, bytes([9]) * 32)
    for validator in federation.validators:
        call = CastVote(federation.task_id, RoundId(1), vote)
        federation.ledger.send(call, validator.context.signer)
    federation.ledger.send(Settle(federation.task_id), federation.sponsor)
    federation.run(1)
    found = describe(audit(federation))
    assert "was right" in found[1, f"slashed bond of {proposal.proposer}"]


def test_audit__wrong_proposal_slashed_by_an_honest_committee__is_confirmed():
    behaviour = Behaviour(forge={1: forgeries.forge_state})
    federation = make_memory_federation(rounds=1, behaviour=behaviour)
    seen = federation.run(1)
    assert len(seen.past.rounds[RoundId(1)].proposals) == 2
    report = audit(federation)
    assert report.is_sound
    boss = federation.orchestrator.upkeep.context.signer.address
    slashed = next(c for c in report.checks if c.subject == f"slashed bond of {boss}")
    assert "was wrong indeed" in slashed.detail


def test_audit__replaced_digest_of_version_zero__is_found():
    federation = make_memory_federation(rounds=1)
    federation.run(1)
    # As if the ledger had been started with another initial state.
    for place, logged in enumerate(federation.ledger._log):
        if getattr(logged.event, "version", None) == Version(0):
            other = replace(logged.event, state_digest=bytes([5]) * 32)
            federation.ledger._log[place] = replace(logged, event=other)
    found = describe(audit(federation))
    assert "the policy gives" in found[None, "version 0"]

"""What follows from releases: the sum, who is paid, and what a proposal may not claim."""

from dataclasses import replace

import pytest

from flchain.protocol.canonical import decode_canonical, encode_canonical
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Outcome, Phase, Reason, Verdict, Version
from flchain.roles.archive import seal_payload
from flchain.roles.assembly import assemble_round, build_inputs, publish_result
from flchain.roles.audit import verify_task
from flchain.roles.execution import compute_survivors
from flchain.roles.masked.checking import Checked
from flchain.roles.masked.inputs import (
    UnlistedReleases,
    build_masked_inputs,
    gather_releases,
    name_releases,
    read_listed_releases,
)
from flchain.roles.masked.unmasking import BLOB_FAULT, WEIGHT_FAULT, decode_listed
from flchain.roles.upkeep import is_over
from flchain.roles.validator import Validator, compare_content
from flchain.storage.cid import cid_from_digest
from flchain.storage.errors import ContentUnavailable
from tests.e2e import forgeries
from tests.e2e.federation import Behaviour
from tests.unit.roles.masked.scenes import (
    FIRST,
    collect_notices,
    flip,
    forge_unlisted,
    look,
    make_secure,
    read_record,
    send_away,
    tick_all,
)

STRANGER = "0x" + "11" * 20


def forge_releases(change):
    """Return a forgery of which releases count; everything else stays."""

    def forge(context, terms, inputs, result):
        releases = change(dict(inputs.masked.releases))
        other = replace(inputs, masked=replace(inputs.masked, releases=releases))
        return forgeries.rebuild(
            context,
            terms,
            other,
            result.counted,
            next_state=result.next_state,
            rewards=result.rewards,
        )

    return forge


def forge_rows(change):
    """Return a forgery of the list of releases in the record."""

    def forge(context, terms, inputs, result):
        document = decode_canonical(result.record.payload, max_size=1 << 20)
        assert isinstance(document, dict)
        document["releases"] = change(document["releases"])
        record = seal_payload(
            encode_canonical(document),
            kind="report",
            dtype="json",
            round_key=inputs.round_key,
            policy_digest=terms.task.policy_digest,
        )
        content = replace(result.content, aggregate_root=record.digest)
        return replace(result, record=record, content=content)

    return forge


def drop(number):
    return lambda releases: dict(sorted(releases.items())[number:])


LIES = {
    "release that nobody posted": forge_releases(lambda found: found | {STRANGER: b"\x01" * 32}),
    "another digest": forge_releases(lambda found: found | {min(found): b"\x01" * 32}),
    "too few": forge_releases(drop(3)),
    "none": forge_releases(drop(4)),
    "wrong order": forge_rows(lambda rows: rows[::-1]),
    "one twice": forge_rows(lambda rows: [rows[0], *rows]),
    "no list": forge_rows(lambda rows: {"all": 1}),
    "paid without a release": forge_releases(drop(2)),
}


@pytest.fixture(scope="module")
def played():
    """A federation after a round in which somebody sent no vector."""
    federation = make_secure(4)
    seen = federation.run_roles(
        send_away(federation, {2: [Phase.SUBMIT]}), lambda seen: is_over(seen, 1)
    )
    return federation, seen


@pytest.mark.parametrize("forge", LIES.values(), ids=LIES)
def test_proposal__wrong_list_of_releases__is_told_from_the_true_result(played, forge):
    federation, seen = played
    context, terms, past = federation.validators[0].context, federation.terms, seen.live
    right = past.final_proposal
    inputs = build_inputs(context, terms, seen.past, past)
    true = assemble_round(context, terms, seen.past, past, right)
    assert true.content == right.content
    forged = forge(context, terms, inputs, true)
    publish_result(context, forged, Version(1))
    assert forged.content != right.content
    found = assemble_round(context, terms, seen.past, past, replace(right, content=forged.content))
    assert found.content == right.content
    assert compare_content(found.content, forged.content) is Reason.WRONG_AGGREGATE


def test_proposal__wrong_list_of_releases__is_slashed_and_the_next_is_right():
    federation = make_secure(4, behaviour=Behaviour(forge={FIRST: LIES["too few"]}))
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    assert len(past.proposals) == 2
    verdicts = {vote.vote.verdict for vote in past.votes if vote.attempt == 0}
    assert verdicts == {Verdict.WRONG}
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound
    assert any("was wrong indeed" in check.detail for check in report.checks)


def test_proposal__leaves_out_a_release__is_right_but_its_agent_is_not_paid():
    federation = make_secure(4, behaviour=Behaviour(forge={FIRST: forge_unlisted}))
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    assert len(past.proposals) == 1
    assert {vote.vote.verdict for vote in past.votes} == {Verdict.APPROVE}
    accounts = sorted(agent.context.signer.address for agent in federation.agents)
    listed = [account for account, _ in read_record(federation, past)["releases"]]
    assert listed == accounts[1:]
    assert get_paid(federation, past) == set(accounts[1:])
    # The sum is the same one: that of all four.
    assert len(compute_survivors(past)) == 4
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound


def get_paid(federation, past):
    """Return the agents that a round's record pays."""
    agents = {agent.context.signer.address for agent in federation.agents}
    return agents & {account for account, _ in read_record(federation, past)["rewards"]}


def test_proposal__listed_release_is_withheld__validators_say_that_data_are_missing():
    federation = make_secure(4)
    seen = federation.run_roles(federation.roles, lambda seen: seen.phase is Phase.VOTE)
    digest = seen.name_records(Phase.UNMASK)[federation.agents[0].context.signer.address]
    federation.store.blocks.delete(cid_from_digest(digest))
    roles = federation.validators
    seen = federation.run_roles(roles, lambda seen: bool(seen.live.votes))
    assert {vote.vote.verdict for vote in seen.live.votes} == {Verdict.DATA_MISSING}


def test_proposal__release_is_missing_everywhere__goes_on_without_it():
    federation = make_secure(4)
    seen = federation.run_roles(federation.roles, lambda seen: seen.phase is Phase.SETTLE)
    lost = federation.agents[0].context.signer.address
    federation.store.blocks.delete(cid_from_digest(seen.name_records(Phase.UNMASK)[lost]))
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    assert lost not in {account for account, _ in read_record(federation, past)["releases"]}
    assert lost not in get_paid(federation, past)
    assert lost in {item.agent for item in compute_survivors(past)}


RELEASES = {
    "no release at all": lambda payload: b"",
    "cut short": lambda payload: payload[:-1],
    "one share is wrong": lambda payload: flip(payload, -1),
    "both shares of one owner": lambda payload: payload[:60] + payload[60:113] * 3,
    "of the other secret": lambda payload: payload[:80] + b"\x02" + payload[81:],
}


@pytest.mark.parametrize("change", RELEASES.values(), ids=RELEASES)
def test_release__wrong__counts_for_nothing_and_pays_nothing(change):
    federation = make_secure(4)
    part = federation.agents[0]._participant
    release = part._release
    part._release = lambda seen: change(release(seen))
    seen = federation.run(1)
    past, liar = seen.live, federation.agents[0].context.signer.address
    assert past.outcome is Outcome.FINALIZED
    assert liar in {account for account, _ in read_record(federation, past)["releases"]}
    others = {agent.context.signer.address for agent in federation.agents[1:]}
    assert get_paid(federation, past) == others
    assert len(compute_survivors(past)) == 4
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound


def test_sum__weight_that_was_not_committed_to__is_void_and_nobody_is_slashed():
    federation = make_secure(4, rounds=2)
    part = federation.agents[0]._participant
    submit = part._submit
    part._submit = lambda seen: flip(submit(seen), -17 * 4)
    stakes = get_stakes(federation)
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.REJECTED_QUALITY
    assert {vote.vote.verdict for vote in past.votes} == {Verdict.WORSE}
    record = read_record(federation, past)
    assert (record["fault"], record["weight"]) == (WEIGHT_FAULT, 0)
    assert get_paid(federation, past) == set()
    assert get_stakes(federation) == stakes
    report = verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)
    assert report.is_sound
    assert any(check.detail == WEIGHT_FAULT for check in report.checks)
    # The next round starts from the same version, and is a good one.
    part._submit = submit
    seen = federation.run(2)
    assert seen.live.outcome is Outcome.FINALIZED
    assert seen.live.opened.parent_version == 0


def test_weights__wrong_in_two_rounds_of_a_version__end_the_task_which_is_said_once():
    federation = make_secure(4, rounds=4)
    notices = collect_notices(federation.orchestrator.upkeep)
    part = federation.agents[0]._participant
    submit = part._submit
    part._submit = lambda seen: flip(submit(seen), -17 * 4)
    seen = federation.run(2)
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.REJECTED_QUALITY] * 2
    assert seen.is_revealed(0)
    for _ in range(30):
        tick_all(federation, federation.roles)
        seen = look(federation, 1)
    assert seen.round.round == 2
    (said,) = (note.detail for note in notices if note.action == "task-at-its-end")
    assert "two sums of version 0 are known" in said


def get_stakes(federation):
    roles = [*federation.agents, *federation.validators, federation.orchestrator.upkeep]
    accounts = [role.context.signer.address for role in roles]
    return [federation.ledger.get_agent(account).stake for account in accounts]


class CarelessValidator(Validator):
    """A validator that attests every vector without a look."""

    def _check(self, seen):
        acted = super()._check(seen)
        self._checker._check_vectors = lambda seen: Checked(
            frozenset(item.index for item in seen.live.submissions), missing=False
        )
        return acted


def test_sum__majority_attests_what_is_no_vector__is_void():
    federation = make_secure(
        4, behaviour=Behaviour(kinds=dict.fromkeys(range(3), CarelessValidator))
    )
    part = federation.agents[0]._participant
    submit = part._submit
    part._submit = lambda seen: submit(seen)[:-4]
    seen = federation.run(1)
    assert len(compute_survivors(seen.live)) == 4
    assert seen.live.outcome is Outcome.REJECTED_QUALITY
    assert read_record(federation, seen.live)["fault"] == BLOB_FAULT


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"releases": None},
        {"releases": {}},
        {"releases": [1]},
        {"releases": [["0x1"]]},
        {"releases": [["0x1", "00"]]},
        {"releases": [["0x1", "0" * 63 + "G"]]},
        {"releases": [["0x1", "0" * 64, "0x2"]]},
        {"releases": [[1, "0" * 64]]},
        {"releases": [["0x2", "0" * 64], ["0x1", "0" * 64]]},
        {"releases": [["0x1", "0" * 64], ["0x1", "0" * 64]]},
    ],
    ids=str,
)
def test_listed__malformed__is_refused(document):
    with pytest.raises(EncodingError, match="round record"):
        decode_listed(document)


def test_listed__well_formed__is_read():
    rows = [["0x1", "00" * 32], ["0x2", "ff" * 32]]
    assert decode_listed({"releases": rows}) == {"0x1": bytes(32), "0x2": b"\xff" * 32}
    assert decode_listed({"releases": []}) == {}


def test_inputs__a_round__have_members_sharings_and_posted_releases(played):
    federation, seen = played
    origin = federation.agents[0].context.get_origin(FIRST)
    policy, task = federation.terms.policy, seen.past
    inputs = build_masked_inputs(origin, policy, task, seen.live)
    assert inputs.joined.keys() == inputs.sharings.keys() == set(seen.past.holders)
    assert inputs.seed == seen.masked_past.anchors[Phase.SHARES]
    assert inputs.releases == name_releases(seen.live, seen.past.holders)
    assert len(inputs.releases) == 4
    some = dict(list(inputs.releases.items())[:2])
    assert build_masked_inputs(origin, policy, task, seen.live, some).releases == some
    assert inputs.grouping.groups == (frozenset(seen.past.holders),)


def test_inputs__plain_round__are_none(played):
    federation, seen = played
    plain = replace(seen.live, masked=None)
    assert build_masked_inputs(None, federation.terms.policy, seen.past, plain) is None
    assert name_releases(plain, seen.past.holders) == {}
    proposal = seen.live.final_proposal
    assert read_listed_releases(None, seen.past.holders, plain, proposal) is None


def test_listed_releases__record__are_those_of_the_proposal(played):
    federation, seen = played
    context, holders = federation.validators[0].context, seen.past.holders
    proposal = seen.live.final_proposal
    listed = read_listed_releases(context.archive, holders, seen.live, proposal)
    assert listed == gather_releases(context, federation.terms, seen.past, seen.live)
    other = replace(proposal, content=replace(proposal.content, aggregate_root=b"\x02" * 32))
    with pytest.raises(ContentUnavailable):
        read_listed_releases(context.archive, holders, seen.live, other)
    # What is there but no record of a round.
    wrong = replace(
        proposal, content=replace(proposal.content, aggregate_root=proposal.content.state_digest)
    )
    with pytest.raises(UnlistedReleases):
        read_listed_releases(context.archive, holders, seen.live, wrong)


def test_releases__of_a_result__are_kept_by_who_executed_it(played):
    federation, _ = played
    digests = look(federation).name_records(Phase.UNMASK).values()
    for role in federation.validators:
        pins = federation.store.pins(f"task/{federation.task_id}/round/1/")
        mine = {pin.cid for pin in pins if pin.name.endswith(role.context.signer.address)}
        assert {cid_from_digest(digest) for digest in digests} <= mine

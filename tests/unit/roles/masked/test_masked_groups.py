"""Rounds that are divided: each group has a sum of its own, and a cheat spoils that alone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flchain.cli.records import list_records
from flchain.cli.summary import _list_groups
from flchain.crypto.secagg.errors import TooFewShares
from flchain.crypto.secagg.releases import decode_release
from flchain.protocol.records import Vote
from flchain.protocol.types import Outcome, Phase, Reason, RoundId, Verdict, Version
from flchain.roles.assembly import assemble_round, build_inputs, publish_result
from flchain.roles.audit import verify_task
from flchain.roles.execution import compute_aggregate
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.groups import group_round
from flchain.roles.masked.inputs import build_masked_inputs
from flchain.roles.masked.unmasking import (
    RELEASE_FAULT,
    SIZE_FAULT,
    WEIGHT_FAULT,
    read_round,
)
from flchain.roles.reports import Findings, read_reports
from flchain.roles.validator import compare_content
from tests.e2e import forgeries
from tests.e2e.federation import make_keys
from tests.unit.roles.masked.scenes import (
    FIRST,
    add_up,
    flip,
    listen_to_updates,
    make_secure,
    read_aggregate,
    read_record,
    send_away,
)

SECOND = RoundId(2)
TWO = {"masking": {"threshold": 2, "max_corrupt": 0, "groups": 2}}


def mask_other_weight(federation, number, rounds):
    """Let an agent mask another weight than it committed to, in these rounds."""
    part = federation.agents[number]._participant
    submit = part._submit

    def lie(seen):
        payload = submit(seen)
        return flip(payload, -17 * 4) if payload and seen.round.round in rounds else payload

    part._submit = lie
    return part._account


def get_stakes(federation):
    roles = [*federation.agents, *federation.validators, federation.orchestrator.upkeep]
    accounts = [role.context.signer.address for role in roles]
    return [federation.ledger.get_agent(account).stake for account in accounts]


def get_paid(federation, past):
    agents = {agent.context.signer.address for agent in federation.agents}
    return agents & {account for account, _ in read_record(federation, past)["rewards"]}


def verify(federation):
    return verify_task(federation.ledger, federation.store, federation.task_id, rpc=None)


def test_retry__after_a_wrong_weight__goes_on_without_the_cheats_group():
    federation = make_secure(7, rounds=2)
    made = listen_to_updates(federation)
    cheat = mask_other_weight(federation, 0, {FIRST, SECOND})
    stakes = get_stakes(federation)
    seen = federation.run(2)
    first, second = seen.past.rounds[FIRST], seen.past.rounds[SECOND]
    assert [first.outcome, second.outcome] == [Outcome.REJECTED_QUALITY, Outcome.FINALIZED]
    assert "groups" not in read_record(federation, first)
    record = read_record(federation, second)
    bad, good = sorted(record["groups"], key=lambda group: group["fault"], reverse=True)
    assert cheat in bad["agents"]
    assert (bad["fault"], bad["weight"], good["fault"]) == (WEIGHT_FAULT, 0, "")
    assert record["fault"] == ""
    # The version is that of the good group alone, and so is the pay; nobody is slashed.
    expected, weight = add_up(made, SECOND, good["survivors"])
    sections, total = read_aggregate(federation, second)
    assert total == weight == record["weight"] == good["weight"]
    for name, section in expected.items():
        assert np.array_equal(sections[name], section)
    assert get_paid(federation, second) == set(good["survivors"])
    assert get_stakes(federation) == stakes
    report = verify(federation)
    assert report.is_sound, [str(check) for check in report.failures]


def get_grouping(federation, past):
    seed = past.masked.anchors[Phase.SHARES]
    task = federation.watch.observe().past
    return group_round(federation.terms.policy, task, past.opened.round, seed)


def number_agents(federation):
    return {a.context.signer.address: n for n, a in enumerate(federation.agents)}


def test_round__divided_by_the_policy__sum_is_that_of_one_group():
    federation = make_secure(7, overrides=TWO)
    made = listen_to_updates(federation)
    seen = federation.run(1)
    record = read_record(federation, seen.live)
    assert seen.live.outcome is Outcome.FINALIZED
    assert sorted(len(group["agents"]) for group in record["groups"]) == [3, 4]
    accounts = number_agents(federation)
    expected, weight = add_up(made, FIRST, accounts)
    sections, total = read_aggregate(federation, seen.live)
    assert total == weight == record["weight"]
    for name, section in expected.items():
        assert np.array_equal(sections[name], section)
    assert get_paid(federation, seen.live) == accounts.keys()
    assert verify(federation).is_sound


def lose_from_a_group(federation, phase, *, left):
    """Return roles of which agents of the first group, all but `left`, are away from a phase."""
    lost = {}

    def find(seen):
        if seen.round.round and seen.live.masked and Phase.SHARES in seen.live.masked.anchors:
            grouping = get_grouping(federation, seen.live)
            small = min(grouping.groups, key=lambda group: (len(group), min(group)))
            lost["group"], lost["names"] = small, sorted(small)[left:]
        return lost.get("names", ())

    names = {number: name for name, number in number_agents(federation).items()}
    phases = {number: [phase] for number in names}
    roles = send_away(federation, phases)
    for number, role in enumerate(roles[1 : 1 + len(names)]):
        role._is_away = lambda seen, name=names[number]: seen.phase is phase and name in find(seen)
    return roles, lost


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.SUBMIT])
def test_group__drops_below_the_fewest__is_not_opened_and_its_members_tell_nothing(phase):
    federation = make_secure(7, overrides=TWO)
    made = listen_to_updates(federation)
    # One of the smaller group's three is lost before the set is fixed that counts.
    find_phase = Phase.CHECK if phase is Phase.SHARES else phase
    roles, lost = lose_from_a_group(federation, find_phase, left=2)
    if phase is Phase.SHARES:
        leave_out_of_check(federation, lost)
    stakes = get_stakes(federation)
    seen = federation.run_roles(roles, lambda seen: seen.round.outcome is not Outcome.NONE)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    record = read_record(federation, past)
    closed, opened = sorted(record["groups"], key=lambda group: group["fault"], reverse=True)
    assert set(closed["agents"]) == lost["group"]
    assert (closed["fault"], closed["weight"], closed["survivors"]) == (SIZE_FAULT, 0, [])
    expected, weight = add_up(made, FIRST, opened["survivors"])
    sections, total = read_aggregate(federation, past)
    assert total == weight
    assert all(np.array_equal(sections[name], part) for name, part in expected.items())
    assert get_paid(federation, past) == set(opened["survivors"])
    # Known early enough, nobody trains in vain.
    trained = {account for _, account in made}
    assert trained.isdisjoint(lost["group"]) == (phase is Phase.SHARES)
    # Whoever is left in it has posted a release, without a share.
    left = sorted(lost["group"])[:2]
    told = read_told(federation, past)
    assert all(told[agent] == () for agent in left)
    assert all(told[agent] for agent in opened["survivors"])
    assert verify(federation).is_sound
    changed = [b for a, b in zip(stakes, get_stakes(federation), strict=True) if a != b]
    assert len(changed) == (phase is Phase.SUBMIT)


def leave_out_of_check(federation, lost):
    """Let validators attest nobody's shares who is lost."""
    for validator in federation.validators:
        check = validator._check

        def narrow(seen, validator=validator, check=check):
            acted = check(seen)
            checker = validator._checker
            if checker is not None and not hasattr(checker, "is_narrow"):
                checker.is_narrow = True
                whole = checker._check_shares
                checker._check_shares = lambda seen: narrow_places(seen, whole(seen), lost)
            return acted

        validator._check = narrow


def narrow_places(seen, checked, lost):
    out = {seen.find_place(name) for name in lost.get("names", ())}
    return type(checked)(checked.good - out, checked.missing)


def read_told(federation, past):
    """Return the shares in every release of a round, by agent."""
    context = federation.validators[0].context
    task = federation.watch.observe().past
    inputs = build_masked_inputs(
        context.get_origin(past.opened.round), federation.terms.policy, task, past
    )
    messages = Messages(federation.terms, context.archive, inputs.origin)
    roster = read_round(messages, inputs, frozenset(inputs.joined)).roster
    return {
        agent: decode_release(roster, agent, messages.fetch(agent, Phase.UNMASK, digest)).shares
        for agent, digest in inputs.posted.items()
    }


def test_round__no_group_can_be_opened__ends_at_once_without_a_version():
    federation = make_secure(7, rounds=2, overrides=TWO)
    lost = {}

    def is_away(seen, name):
        if "names" not in lost:
            groups = get_grouping(federation, seen.live).groups
            lost["names"] = {n for g in groups for n in sorted(g)[2:]}
        return name in lost["names"]

    roles = send_away(federation, {number: [Phase.SUBMIT] for number in range(7)})
    for name, number in number_agents(federation).items():
        roles[1 + number]._is_away = lambda seen, name=name: (
            seen.phase is Phase.SUBMIT and is_away(seen, name)
        )
    seen = federation.run_roles(roles, lambda seen: seen.round.outcome is not Outcome.NONE)
    past = seen.live
    assert past.outcome is Outcome.REJECTED_QUALITY
    assert len(past.proposals) == 1
    assert {vote.vote.verdict for vote in past.votes} == {Verdict.WORSE}
    record = read_record(federation, past)
    assert (record["fault"], record["weight"]) == (SIZE_FAULT, 0)
    assert get_paid(federation, past) == set()
    assert set(read_told(federation, past).values()) == {()}
    # Nothing is known of the version: the next round has one sum, which dropouts spoil less.
    seen = federation.run(2)
    assert seen.live.outcome is Outcome.FINALIZED
    assert "groups" not in read_record(federation, seen.live)
    assert verify(federation).is_sound


def test_second_sum__after_a_refused_model__keeps_the_groups_of_the_first():
    federation = make_secure(7, rounds=2, overrides=TWO)
    for validator in federation.validators:
        judge = validator._judge_quality
        validator._judge_quality = lambda seen, proposal, result, judge=judge: (
            Findings(Vote(proposal.proposal_id, Verdict.WORSE), result)
            if seen.round.round == FIRST
            else judge(seen, proposal, result)
        )
    seen = federation.run(2)
    first, second = (read_record(federation, seen.past.rounds[n]) for n in (FIRST, SECOND))
    assert seen.past.rounds[FIRST].outcome is Outcome.REJECTED_QUALITY
    assert seen.live.outcome is Outcome.FINALIZED
    groups = [{tuple(g["agents"]) for g in record["groups"]} for record in (first, second)]
    assert groups[0] == groups[1]
    assert [g["fault"] for g in second["groups"]] == ["", ""]
    assert verify(federation).is_sound


def test_release__wrong_in_a_group_without_one_to_spare__loses_that_group_alone():
    federation = make_secure(7, overrides=TWO)
    grouping = {}
    for agent in federation.agents:
        part = agent._participant
        release = part._release

        def lie(seen, part=part, release=release):
            groups = get_grouping(federation, seen.live).groups
            small = min(groups, key=len)
            grouping["small"] = small
            payload = release(seen)
            return flip(payload, -1) if part._account == min(small) else payload

        part._release = lie
    seen = federation.run(1)
    past = seen.live
    assert past.outcome is Outcome.FINALIZED
    record = read_record(federation, past)
    (lost,) = (group for group in record["groups"] if group["fault"])
    assert (set(lost["agents"]), lost["fault"]) == (grouping["small"], RELEASE_FAULT)
    assert get_paid(federation, past).isdisjoint(grouping["small"])
    assert verify(federation).is_sound


def test_proposal__leaves_out_a_groups_releases__is_told_from_the_true_result():
    federation = make_secure(7, overrides=TWO)
    seen = federation.run(1)
    context, terms, past = federation.validators[0].context, federation.terms, seen.live
    inputs = build_inputs(context, terms, seen.past, past)
    assert inputs.masked is not None
    group = min(inputs.masked.grouping.groups, key=len)
    some = {a: d for a, d in inputs.masked.releases.items() if a not in sorted(group)[:1]}
    other = replace(inputs, masked=replace(inputs.masked, releases=some))
    # One of three releases is missing, and two do not restore what the third has not shares of.
    with pytest.raises(TooFewShares):
        compute_aggregate(terms, other, context.archive)
    true = assemble_round(context, terms, seen.past, past)
    forged = forgeries.rebuild(
        context, terms, other, true.counted, next_state=true.next_state, rewards=true.rewards
    )
    publish_result(context, forged, Version(1))
    proposal = replace(past.final_proposal, content=forged.content)
    found = assemble_round(context, terms, seen.past, past, proposal)
    assert found.content == true.content != forged.content
    assert compare_content(found.content, forged.content) is Reason.WRONG_AGGREGATE


@pytest.mark.parametrize("key", ["agents", "survivors", "weight", "fault"])
def test_record__another_group__is_told_from_the_true_result(key):
    federation = make_secure(7, overrides=TWO)
    seen = federation.run(1)
    context, terms, past = federation.validators[0].context, federation.terms, seen.live
    true = assemble_round(context, terms, seen.past, past, past.final_proposal)
    first, *rest = true.counted.groups
    value = {"agents": (), "survivors": (), "weight": 9, "fault": WEIGHT_FAULT}[key]
    counted = replace(true.counted, groups=(replace(first, **{key: value}), *rest))
    inputs = build_inputs(context, terms, seen.past, past)
    forged = forgeries.rebuild(context, terms, inputs, counted, next_state=true.next_state)
    assert compare_content(true.content, forged.content) is Reason.WRONG_AGGREGATE


def test_robust_rule__one_member_sends_its_update_backwards__does_not_matter():
    robust = {
        "masking": {"threshold": 2, "max_corrupt": 0, "groups": 5},
        "aggregator": {"name": "median", "parameters": {"f": 1}},
    }
    models = {}
    for rule in (robust, {"masking": robust["masking"]}):
        federation = make_secure(15, overrides=rule, keys=make_keys(20))
        made = listen_to_updates(federation)
        liar = federation.agents[0]._participant
        make = liar.make_update

        def turn(seen, make=make):
            update = make(seen)
            sections = {
                name: np.clip(-100 * part.astype(np.int64), -(2**27), 2**27).astype(np.int32)
                for name, part in update.sections.items()
            }
            return replace(update, sections=sections)

        liar.make_update = turn
        seen = federation.run_roles(
            federation.roles, lambda seen: bool(seen.round.round and seen.live.proposals)
        )
        sections, total = read_aggregate(federation, seen.live)
        others = [a.context.signer.address for a in federation.agents[1:]]
        honest, weight = add_up(made, FIRST, others)
        step = np.concatenate([sections[name] / total for name in sorted(sections)])
        right = np.concatenate([honest[name] / weight for name in sorted(honest)])
        models[rule.get("aggregator", {}).get("name")] = (
            float(step @ right / np.linalg.norm(step) / np.linalg.norm(right)),
            float(np.linalg.norm(step - right) / np.linalg.norm(right)),
        )
    assert models["median"][0] > 0.8
    assert models["median"][1] < models[None][1] / 2


def test_display__round_in_groups__shows_them():
    federation = make_secure(7, overrides=TWO)
    seen = federation.run(1)
    ledger, store, task_id = federation.ledger, federation.store, federation.task_id
    session = SimpleNamespace(ledger=ledger, store=store, get_task_id=lambda: task_id)
    grouping = get_grouping(federation, seen.live)
    rows = list_records(session, None)
    assert len(rows) == 4 * 7
    for row in rows:
        assert row["agent"] in grouping.groups[row["group"] - 1]
    counted = _list_groups(seen.live, store)
    assert [group["agents"] for group in counted] == [len(each) for each in grouping.groups]
    assert sum(group["weight"] for group in counted) == read_record(federation, seen.live)["weight"]
    reports = [document for _, document in read_reports(store, task_id, FIRST)]
    assert reports
    assert all(each["groups"] == read_record(federation, seen.live)["groups"] for each in reports)
    result = next(c for c in verify(federation).checks if "2 of 2 groups" in c.detail)
    assert "TooFew" not in result.detail


def test_releases__too_many_wrong_ones_of_one_sum__end_the_round_at_once_and_the_retry_is_divided():
    federation = make_secure(7, rounds=2)
    for agent in federation.agents[:5]:
        part = agent._participant
        release = part._release

        def lie(seen, release=release):
            payload = release(seen)
            return payload[:-1] if seen.round.round == FIRST else payload

        part._release = lie
    seen = federation.run(2)
    first, second = seen.past.rounds[FIRST], seen.past.rounds[SECOND]
    assert first.outcome is Outcome.REJECTED_QUALITY
    record = read_record(federation, first)
    assert (record["fault"], len(record["releases"])) == (RELEASE_FAULT, 7)
    assert get_paid(federation, first) == set()
    assert second.outcome is Outcome.FINALIZED
    assert len(read_record(federation, second)["groups"]) == 2
    assert verify(federation).is_sound

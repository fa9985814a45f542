"""Who spoils groups again and again is left out, and nobody else but by a luck that is computed."""

import random
from dataclasses import replace

import pytest

from flchain.learning.aggregation import CountedGroup
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import Vote
from flchain.protocol.types import Address, Outcome, Phase, RoundId, Verdict
from flchain.roles.audit import verify_task
from flchain.roles.execution import compute_survivors
from flchain.roles.masked import standing
from flchain.roles.masked.groups import Grouping
from flchain.roles.masked.standing import choose_left_out, compute_products
from flchain.roles.masked.unmasking import SIZE_FAULT, WEIGHT_FAULT, decode_groups
from flchain.roles.reports import Findings
from flchain.storage.cid import cid_from_digest
from flchain.storage.errors import ContentUnavailable
from tests.unit.roles.masked.scenes import collect_notices, make_secure, read_record
from tests.unit.roles.masked.test_masked_groups import (
    get_grouping,
    get_stakes,
    mask_other_weight,
    number_agents,
    send_away,
)


def make_group(agents, fault=""):
    return CountedGroup(tuple(agents), tuple(agents), 0 if fault else 9, fault)


BAD, GOOD = make_group("abc", WEIGHT_FAULT), make_group("defg")


def test_products__failing_again_and_again__multiply():
    assert compute_products([]) == {}
    assert compute_products([(GOOD, make_group("abc"))]) == {}
    assert compute_products([(BAD, GOOD)]) == dict.fromkeys("abc", 2)
    other = (make_group("ade", WEIGHT_FAULT), make_group("bcfg"))
    # (7 / 3) squared for the one that is in both.
    assert compute_products([(BAD, GOOD), other]) == {"a": 5, "d": 2, "e": 2}


def test_products__a_group_with_a_sum__clears_its_survivors():
    cleared = (make_group("abcdefg"), make_group("hij", WEIGHT_FAULT))
    assert compute_products([(BAD, GOOD), cleared]) == dict.fromkeys("hij", 3)


def test_products__all_groups_fail__say_nothing():
    assert compute_products([(BAD, make_group("defg", WEIGHT_FAULT))] * 9) == {}


def test_products__who_was_away__stay_what_they_were():
    assert compute_products([(BAD, GOOD), (make_group("bc"), make_group("de"))]) == {"a": 2}


@pytest.mark.parametrize(
    ("parts", "fewest", "expected"),
    [
        (["abcdefg"], 3, "abc"),
        (["abcdefg"], 5, "ab"),
        (["abcdefg"], 7, ""),
        (["abcdefg"], 9, ""),
        (["adefg"], 3, "a"),
        (["bdefg"], 4, "b"),
        (["cdef", "abg"], 3, "c"),
        (["cdef", "abgh"], 3, "ac"),
        (["xyz", "defg"], 3, ""),
    ],
)
def test_left_out__suspects__worst_first_while_enough_of_a_group_are_left(parts, fewest, expected):
    suspects = {"a": 100, "b": 50, "c": 40}
    assert choose_left_out(suspects, list(map(frozenset, parts)), fewest, most=3) == frozenset(
        expected
    )


def test_luck__one_cheat_in_many_tasks__takes_few_others_along():
    """A cheat among twenty agents in four groups, until it is left out, in 300 tasks."""
    draw, taken, rounds = random.Random(5), 0, []
    for _ in range(300):
        agents, results = list(range(20)), []
        while True:
            draw.shuffle(agents)
            parts = [agents[start::4] for start in range(4)]
            results.append(
                tuple(make_group(part, WEIGHT_FAULT if 0 in part else "") for part in parts)
            )
            found = [a for a, p in compute_products(results).items() if p >= 4 * 20]
            if found:
                break
        assert 0 in found
        taken += len(found) - 1
        rounds.append(len(results))
    assert set(rounds) == {4}
    assert taken / 300 < 0.25


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"groups": 1},
        {"groups": {}},
        {"groups": [1]},
        {"groups": [{}]},
        {"groups": [{"agents": [], "survivors": [], "weight": 1}]},
        {"groups": [{"agents": [1], "survivors": [], "weight": 1, "fault": ""}]},
        {"groups": [{"agents": [], "survivors": [[]], "weight": 1, "fault": ""}]},
        {"groups": [{"agents": [], "survivors": [], "weight": "1", "fault": ""}]},
        {"groups": [{"agents": [], "survivors": [], "weight": 1, "fault": None}]},
    ],
    ids=str,
)
def test_groups__malformed_record__is_refused(document):
    with pytest.raises(EncodingError, match="round record"):
        decode_groups(document)


def test_groups__record__are_read():
    row = {"agents": ["0x1", "0x2"], "survivors": ["0x1"], "weight": 3, "fault": ""}
    assert decode_groups({"groups": [row]}) == (CountedGroup(("0x1", "0x2"), ("0x1",), 3),)
    assert decode_groups({"fault": ""}) == ()


def test_unfit__too_few_newcomers__are_left_out():
    agents, first = frozenset("abcdefg"), frozenset("abcd")
    grouping = Grouping((agents,), 3, (first,), first)
    assert grouping.find_unfit(frozenset("abcde")) == frozenset("e")
    assert grouping.find_unfit(frozenset("abcdefg")) == frozenset()
    assert grouping.find_unfit(first) == frozenset()
    assert Grouping((agents,), 3).find_unfit(agents) == frozenset()


def test_unfit__too_few_are_missing__a_whole_group_goes_with_them():
    agents, groups = frozenset("abcdefgh"), (frozenset("abcd"), frozenset("efg"))
    grouping = Grouping(groups, 3, (agents,), agents)
    assert grouping.find_unfit(frozenset("abcdefg")) == frozenset("efg")
    assert grouping.find_unfit(agents) == frozenset()
    # Of a set that is known by itself, the group within it: it could not be opened any more.
    parts = (frozenset("abcd"), frozenset("efgh"))
    apart = Grouping(parts, 3, parts, agents)
    assert apart.find_unfit(agents - {"a"}) == frozenset("bcd")
    # Where no other group is left, nobody: the contract ends the round.
    assert Grouping((agents,), 3, (agents,), agents).find_unfit(agents - {"a"}) == frozenset()


def test_cheat__spoils_group_after_group__is_left_out_and_told_so(monkeypatch):
    # Two results in a row, instead of the six that nine agents take.
    monkeypatch.setattr(standing, "_CAUTION", 0.3)
    federation = make_secure(9, rounds=6)
    # Of those who are as unlikely the one with the lowest account goes, where one may.
    _, number = min(number_agents(federation).items())
    part = federation.agents[number]._participant
    notices = collect_notices(part)
    rounds = {RoundId(number) for number in range(1, 7)}
    cheat, stakes = mask_other_weight(federation, number, rounds), get_stakes(federation)
    seen = federation.run(5)
    # The whole sum fails, the retry makes a version; then the whole sum is one without the cheat.
    refused, good = Outcome.REJECTED_QUALITY, Outcome.FINALIZED
    found = [past.outcome for past in seen.past.rounds.values()]
    assert found == [refused, good, refused, good, good]
    assert cheat not in {item.agent for item in compute_survivors(seen.live)}
    assert len(compute_survivors(seen.live)) >= 3
    (said,) = (note.detail for note in notices if note.action == "left-out")
    assert "failed again and again" in said
    assert "your stake is not touched" in said
    assert get_stakes(federation) == stakes
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound


def test_newcomer__in_the_second_sum_of_a_version__is_left_out_and_the_task_goes_on():
    federation = make_secure(7, rounds=2)
    mask_other_weight(federation, 0, {RoundId(1)})
    roles = send_away(federation, {})
    roles[7]._is_away = lambda seen: seen.round.round == 1
    notices = collect_notices(federation.agents[6]._participant)
    seen = federation.run_roles(
        roles, lambda seen: seen.round.round == 2 and seen.round.outcome is not Outcome.NONE
    )
    assert [past.outcome for past in seen.past.rounds.values()] == [
        Outcome.REJECTED_QUALITY,
        Outcome.FINALIZED,
    ]
    newcomer = federation.agents[6].context.signer.address
    assert newcomer in {seen.past.holders[p] for p in seen.masked_past.get_set(2)}
    groups = read_record(federation, seen.live)["groups"]
    assert all(newcomer not in group["survivors"] for group in groups)
    assert [group["fault"] for group in groups].count(SIZE_FAULT) == 0
    (said,) = (note.detail for note in notices if note.action == "left-out")
    assert "validators left you out" in said


@pytest.mark.parametrize("phase", [Phase.JOIN, Phase.SUBMIT])
def test_cheat__spoils_a_sum_and_stays_away__does_not_stop_the_task(phase):
    federation = make_secure(7, rounds=2)
    mask_other_weight(federation, 0, {RoundId(1)})
    roles = send_away(federation, {})
    roles[1]._is_away = lambda seen: seen.round.round > 1 and seen.phase is phase
    seen = play_two(federation, roles)
    assert [len(past.masked.get_set(phase)) for past in seen.past.rounds.values()] == [7, 6]
    assert verify_task(federation.ledger, federation.store, federation.task_id, rpc=None).is_sound


def test_member__of_a_closed_group_comes_back__does_not_stop_the_task():
    groups = {"masking": {"threshold": 2, "max_corrupt": 0, "groups": 3}}
    federation = make_secure(10, rounds=2, overrides=groups)
    for validator in federation.validators:
        judge = validator._judge_quality
        validator._judge_quality = lambda seen, proposal, result, judge=judge: (
            Findings(Vote(proposal.proposal_id, Verdict.WORSE), result)
            if seen.round.round == 1
            else judge(seen, proposal, result)
        )
    roles = send_away(federation, {})

    def is_lost(seen, name):
        if seen.round.round > 1 or seen.phase is not Phase.SUBMIT:
            return False
        return name == min(min(get_grouping(federation, seen.live).groups, key=len))

    for name, number in number_agents(federation).items():
        roles[1 + number]._is_away = lambda seen, name=name: is_lost(seen, name)
    play_two(federation, roles)


def play_two(federation, roles):
    """Play a round whose model is refused and one that makes a version."""
    seen = federation.run_roles(
        roles, lambda seen: seen.round.round == 2 and seen.round.outcome is not Outcome.NONE
    )
    found = [past.outcome for past in seen.past.rounds.values()]
    assert found == [Outcome.REJECTED_QUALITY, Outcome.FINALIZED]
    return seen


def test_standing__records_are_gone__asks_for_one_of_them_once_a_round(monkeypatch):
    """A store may take a minute to say that it finds nothing, and CHECK is short."""
    federation = make_secure(4, rounds=4)
    seen = federation.run(3)
    asked = []

    def fetch(_archive, root):
        asked.append(root)
        raise ContentUnavailable(cid_from_digest(root), "nowhere")

    monkeypatch.setattr(standing, "fetch_groups", fetch)
    other = standing.Standing(federation.validators[0].context)
    later = replace(seen, round=replace(seen.round, round=RoundId(4)))
    rounds = {**seen.past.rounds, RoundId(4): seen.live}
    later = replace(later, past=replace(seen.past, rounds=rounds))
    for _ in range(3):
        assert other.find_suspects(later) == {}
    assert len(asked) == 1


def test_left_out__more_suspects_than_may_collude__only_the_worst():
    """Whoever spoils only the groups that a victim is in makes a suspect of it."""
    suspects = {Address("a"): 100, Address("b"): 50, Address("c"): 40}
    parts = [frozenset(map(Address, names)) for names in ("adefg", "bchij")]
    assert choose_left_out(suspects, parts, 3, most=2) == frozenset("ab")
    assert choose_left_out(suspects, parts, 5, most=2) == frozenset()
    assert choose_left_out(suspects, [parts[1], parts[0]], 3, most=1) == frozenset("a")

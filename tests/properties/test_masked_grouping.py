"""Whoever joins, the groups are fair, and what is opened never tells about too few."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.crypto.secagg.graph import build_graph, join_graphs, split_agents
from flchain.protocol.errors import EncodingError
from flchain.protocol.policy import MaskingSpec
from flchain.protocol.types import Address
from flchain.roles.masked.groups import Grouping, count_groups, divide, refine
from flchain.roles.masked.rosters import choose_graphs
from tests.unit.crypto.secagg_round import address, digest
from tests.unit.roles.masked.scenes import make_secure_policy

AGENTS = [address(number) for number in range(200)]
POLICY = make_secure_policy(max_agents=400)
SMALL = [address(number) for number in range(9)]
SUBSETS = st.frozensets(st.sampled_from(SMALL), min_size=1)


@given(st.integers(1, 200), st.integers(1, 200), st.integers())
def test_split__any_count__is_balanced_and_the_same_in_any_order(size, count, seed):
    count = min(size, count)
    groups = split_agents(AGENTS[:size], count, digest(seed))
    assert len(groups) == count
    assert sorted(agent for group in groups for agent in group) == sorted(AGENTS[:size])
    sizes = [len(group) for group in groups]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    assert split_agents(AGENTS[:size][::-1], count, digest(seed)) == groups


def test_split__other_seeds__give_other_groups_all_alike():
    found = [split_agents(AGENTS[:4], 2, digest(seed)) for seed in range(600)]
    counts = [found.count(each) for each in set(found)]
    # Six ways to choose the first two of four.
    assert len(counts) == 6
    assert all(60 < count < 145 for count in counts)


@pytest.mark.parametrize("count", [0, -1, 5])
def test_split__impossible_count__is_refused(count):
    with pytest.raises(EncodingError):
        split_agents(AGENTS[:4], count, digest(0))


def test_split__short_seed_or_a_double__is_refused():
    with pytest.raises(EncodingError):
        split_agents(AGENTS[:4], 2, b"short")
    with pytest.raises(EncodingError):
        split_agents([*AGENTS[:4], AGENTS[0]], 2, digest(0))


@given(st.integers(6, 150), st.integers(1, 5), st.integers())
def test_graphs__joined__have_no_edge_between_groups_and_the_places_of_one(size, count, seed):
    groups = split_agents(AGENTS[:size], count, digest(seed))
    key = digest("round")
    graph = join_graphs(build_graph(g, len(g) - 1, key, digest(seed)) for g in groups)
    whole = build_graph(AGENTS[:size], size - 1, key, digest(seed))
    assert graph.places == whole.places
    assert graph.agents == whole.agents
    for group in groups:
        for agent in group:
            assert set(graph.neighbours[agent]) == group - {agent}


def test_graphs__an_agent_in_two__are_refused():
    key = digest("round")
    graphs = [build_graph(AGENTS[start : start + 4], 3, key, digest(0)) for start in (0, 3)]
    with pytest.raises(EncodingError):
        join_graphs(graphs)


@given(st.lists(st.integers(3, 300), min_size=1, max_size=4), st.integers(3, 40), st.data())
def test_graphs__any_sizes__keep_the_bounds_of_each(sizes, fewest, data):
    corrupt = data.draw(st.integers(0, fewest - 3))
    masking = {"threshold": fewest - 1, "max_corrupt": min(corrupt, fewest - 2)}
    policy = make_secure_policy(
        min_survivors=fewest, min_agents=fewest, max_agents=400, masking=masking
    )
    sizes = [max(size, fewest) for size in sizes]
    degrees, threshold = choose_graphs(policy, sizes)
    assert degrees.keys() == set(sizes)
    for size, degree in degrees.items():
        assert corrupt < threshold <= degree < size
        assert degree % 2 == 0 or degree == size - 1
        assert size > 64 or degree == size - 1


@pytest.mark.parametrize(
    ("groups", "joined", "usual", "retry"),
    [
        (1, 3, 1, 1),
        (1, 5, 1, 1),
        (1, 6, 1, 2),
        (1, 9, 1, 2),
        (1, 12, 1, 3),
        (1, 100, 1, 25),
        (2, 5, 1, 1),
        (2, 6, 2, 2),
        (4, 11, 3, 3),
        (4, 100, 4, 25),
        (30, 100, 30, 30),
    ],
)
def test_count__joined__follows_policy_and_what_came_before(groups, joined, usual, retry):
    policy = make_secure_policy(
        max_agents=100,
        masking={"threshold": 2, "max_corrupt": 0, **({"groups": groups} if groups > 1 else {})},
    )
    assert count_groups(policy, joined, is_retry=False) == usual
    assert count_groups(policy, joined, is_retry=True) == retry


@given(st.integers(3, 120), st.lists(st.frozensets(st.sampled_from(AGENTS[:120]))), st.booleans())
def test_divide__anything_known__gives_groups_of_enough_who_all_joined(size, known, is_retry):
    joined = AGENTS[:size]
    groups = divide(POLICY, joined, digest(1), known=known, is_retry=is_retry)
    assert sorted(agent for group in groups for agent in group) == sorted(joined)
    assert all(len(group) >= POLICY.min_survivors for group in groups)
    assert divide(POLICY, joined[::-1], digest(1), known=known, is_retry=is_retry) == groups


@given(st.integers(12, 60), st.integers(2, 4), st.booleans())
def test_divide__the_same_agents_again__keeps_to_the_sets_that_are_known(size, count, is_retry):
    known = split_agents(AGENTS[:size], count, digest("first"))
    groups = divide(POLICY, AGENTS[:size], digest("second"), known=known, is_retry=is_retry)
    assert all(any(group <= each for each in known) for group in groups)
    opened = Grouping(groups, POLICY.min_survivors, known).list_opened(frozenset(AGENTS[:size]))
    assert opened == groups


def can_isolate_few(sets, fewest):
    """Return whether some rational combination of the sets' sums weighs 1 to fewest - 1 agents.

    For each such group of agents: is a combination zero outside and not all zero inside?
    """
    everybody = sorted(frozenset().union(*sets))
    rows = [[Fraction(agent in each) for agent in everybody] for each in sets]
    for count in range(1, fewest):
        for few in combinations(range(len(everybody)), count):
            outside = [[row[p] for p in range(len(everybody)) if p not in few] for row in rows]
            # More combinations vanish outside than vanish everywhere: one of them is inside.
            if rank(outside) < rank(rows):
                return True
    return False


def rank(rows):
    rows, found = [list(row) for row in rows], 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for r in range(len(rows)):
            if r != found and rows[r][column]:
                factor = rows[r][column] / rows[found][column]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found


@given(
    st.lists(SUBSETS, max_size=3),
    st.integers(1, 3),
    st.integers(),
    st.frozensets(st.sampled_from(SMALL)),
    st.integers(2, 4),
)
def test_opened__whatever_is_known__no_combination_tells_about_fewer(
    known, count, seed, survivors, fewest
):
    known = [each for each in known if not can_isolate_few([each], fewest)]
    if can_isolate_few(known, fewest) or (count == 1 and len(known) == 1):
        return
    grouping = Grouping(split_agents(SMALL, count, digest(seed)), fewest, tuple(known))
    opened = [part for part in grouping.list_opened(survivors) if part]
    assert all(part <= survivors and len(part) >= fewest for part in opened)
    assert not opened or not can_isolate_few([*known, *opened], fewest)


def test_opened__sets_that_cross__none_is():
    first, second = frozenset(SMALL[:6]), frozenset(SMALL[3:])
    crossing = Grouping((frozenset(SMALL[:5]), frozenset(SMALL[5:])), 3, (first, second))
    assert crossing.list_opened(frozenset(SMALL)) == (frozenset(), frozenset())
    # Cells of three each.
    parts = tuple(frozenset(SMALL[start : start + 3]) for start in (0, 3, 6))
    assert Grouping(parts, 3, (first, second)).list_opened(frozenset(SMALL)) == parts


def test_opened__single_group_after_a_single_sum__is_left_to_the_contract():
    first, second = frozenset(SMALL[:6]), frozenset(SMALL[1:])
    grouping = Grouping((frozenset(SMALL),), 3, (first,), first)
    assert grouping.list_opened(second) == (second,)
    assert grouping.list_opened(frozenset(SMALL[:2])) == (frozenset(),)


def test_opened__single_group_after_one_group_of_several__is_not_left_to_the_contract():
    """The contract knows all survivors of the first sum, also those whose group was closed."""
    first, told = frozenset(SMALL[:5]), frozenset(SMALL[:3])
    grouping = Grouping((first,), 3, (told,), first)
    assert grouping.list_opened(first) == (frozenset(),)
    assert grouping.list_opened(told) == (told,)


def test_opened__one_group_lost_too_few__others_still_are():
    """Of one known set a member is missing: the group within it would tell about that member."""
    known = (frozenset(SMALL[:5]), frozenset(SMALL[5:]))
    grouping = Grouping(known, 3, known, frozenset(SMALL))
    assert grouping.list_opened(frozenset(SMALL[1:])) == (frozenset(), known[1])


def is_refused(first, survivors, fewest):
    """Return whether the contract ends a second round for differencing."""
    sizes = (len(survivors - first), len(first - survivors))
    return not all(size == 0 or size >= fewest for size in sizes)


@given(
    st.integers(2, 3),
    st.integers(1, 4),
    st.tuples(SUBSETS, SUBSETS, SUBSETS, SUBSETS),
    st.booleans(),
    st.integers(),
)
def test_opened__two_rounds_as_the_contract_allows__tell_about_no_fewer(
    fewest, groups, sets, is_retry, seed
):
    masking = {"threshold": fewest - 1, "max_corrupt": 0}
    masking |= {"groups": groups} if groups > 1 else {}
    spec = MaskingSpec(**masking)
    policy = replace(POLICY, min_survivors=fewest, masking=spec)
    known: tuple[frozenset[Address], ...] = ()
    first: frozenset[Address] = frozenset()
    for number, (joined, kept) in enumerate((sets[:2], sets[2:])):
        survivors = joined & kept
        if len(survivors) < fewest or (first and is_refused(first, survivors, fewest)):
            return
        again = is_retry and number > 0
        parts = divide(policy, joined, digest((seed, number)), known=known, is_retry=again)
        grouping = Grouping(parts, fewest, known, first)
        known += tuple(filter(None, grouping.list_opened(survivors)))
        first = survivors
    assert not can_isolate_few(known, fewest)


@given(st.integers(6, 40), st.integers(3, 6), st.integers(1, 4), st.data())
def test_unfit__few_of_the_first_sum_are_away__others_make_a_sum(size, fewest, groups, data):
    agents = frozenset(AGENTS[:size])
    spec = MaskingSpec(fewest - 1, 0, groups)
    policy = replace(POLICY, min_survivors=fewest, masking=spec)
    away = data.draw(st.frozensets(st.sampled_from(sorted(agents)), max_size=fewest - 1))
    parts = divide(policy, agents, digest("first"))
    opened = Grouping(parts, fewest).list_opened(agents)
    late = data.draw(st.frozensets(st.sampled_from(sorted(away)))) if away else frozenset()
    again = divide(policy, agents - away | late, digest("again"), known=opened, is_retry=True)
    grouping = Grouping(again, fewest, opened, agents)
    present = agents - away
    survivors = present - grouping.find_unfit(present)
    if len(opened) == 1 and len(present) >= 2 * fewest and not late:
        assert not is_refused(agents, survivors, fewest)
        assert any(grouping.list_opened(survivors))
    if len(survivors) >= fewest and not is_refused(agents, survivors, fewest):
        told = [part for part in grouping.list_opened(survivors) if part]
        assert not can_tell_few([*opened, *told], fewest)


def can_tell_few(sets, fewest):
    """Return whether some agents are in exactly the same of the sets, and too few."""
    return any(len(cell) < fewest for cell in refine(sets))


@given(st.lists(SUBSETS, min_size=1, max_size=4))
def test_refine__sets__are_unions_of_cells_that_do_not_meet(sets):
    cells = refine(sets)
    assert all(cells)
    assert sum(map(len, cells)) == len(frozenset().union(*sets))
    for each in sets:
        assert each == frozenset().union(*(cell for cell in cells if cell <= each))
        assert all(cell <= each or cell.isdisjoint(each) for cell in cells)


def test_group__a_stranger__has_none():
    grouping = Grouping((frozenset(SMALL[:5]), frozenset(SMALL[5:])), 3)
    assert grouping.find_group(SMALL[6]) == frozenset(SMALL[5:])
    assert grouping.find_group(AGENTS[100]) == frozenset()
    assert grouping.find_opened(SMALL[6], frozenset(SMALL)) == frozenset(SMALL[5:])
    assert grouping.find_opened(AGENTS[100], frozenset(SMALL)) == frozenset()
    assert grouping.is_divided

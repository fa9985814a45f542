"""Who is summed up with whom: the groups of a masked round, and which of their sums are opened.

All of it follows from the chain and the policy, so that agents, validators and whoever verifies get
the same. After a round whose model was refused, the next one from the same version is divided even
if the policy does not ask for it: a member that spoils the sum then spoils that of its group alone.

Two sums of a version tell their difference. Agents whose sums are known are therefore divided along
the sets of those sums, and no group is opened that would tell, together with all that may be known,
anything about fewer than the fewest survivors.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from flchain.crypto.secagg.graph import SEED_SIZE, split_agents
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Digest, Outcome, Phase, RoundId, Version
from flchain.roles.history import RoundPast, TaskPast

Agents = frozenset[Address]
NOBODY: Agents = frozenset()


@dataclass(frozen=True)
class Grouping:
    """How all who joined a round are divided; `fewest` is how many a sum hides at least."""

    groups: tuple[Agents, ...]
    fewest: int
    known: tuple[Agents, ...] = ()
    """Whose sums of the same model version may be known already, each together."""
    first: Agents = NOBODY
    """All survivors of the version's first sum, with whom the contract compares those of this."""

    @property
    def is_divided(self) -> bool:
        """Whether there is more than one group."""
        return len(self.groups) > 1

    def find_group(self, agent: Address) -> Agents:
        """Return the group of an agent; nobody if it has not joined."""
        return next((group for group in self.groups if agent in group), NOBODY)

    def find_unfit(self, present: AbstractSet[Address]) -> Agents:
        """Return whom to leave out of the survivors; else the contract would end the round.

        Who was not in the version's first sum, if they are fewer than a sum may tell about. If as
        few of the first sum are missing, whole groups besides, until they are enough.
        """
        if not self.first:
            return NOBODY
        new, gone = frozenset(present - self.first), frozenset(self.first - present)
        out = new if len(new) < self.fewest else NOBODY
        if 0 < len(gone) < self.fewest:
            hurt = frozenset().union(*(each for each in self.known if each & gone))
            parts = [group & self.first & present for group in self.groups]
            for part in sorted(filter(None, parts), key=lambda p: (not p & hurt, len(p), min(p))):
                if len(gone) < self.fewest:
                    out, gone = out | part, gone | part
        return out if len(present - out) >= self.fewest else NOBODY

    def list_opened(self, survivors: AbstractSet[Address]) -> tuple[Agents, ...]:
        """Return for each group the survivors whose sum is opened; nobody where none is."""
        parts = [group & survivors for group in self.groups]
        large = [part if len(part) >= self.fewest else NOBODY for part in parts]
        if len(self.groups) == 1 and self.known == (self.first,):
            # The contract has compared these two sets already, by a rule that allows more.
            return tuple(large)
        while small := self._find_small_cells(large):
            closed = self._choose_closed(large, small)
            if not closed:
                return (NOBODY,) * len(large)
            large = [NOBODY if place in closed else part for place, part in enumerate(large)]
        return tuple(large)

    def _find_small_cells(self, parts: Sequence[Agents]) -> list[Agents]:
        """Return the sets of agents about whom the sums would tell, though they are too few."""
        cells = refine([*self.known, *filter(None, parts)])
        return [cell for cell in cells if len(cell) < self.fewest]

    def _choose_closed(self, parts: Sequence[Agents], small: Sequence[Agents]) -> set[int]:
        """Return which parts not to open, so that less is told; none if that does not help.

        For each small cell the part that it is in, else the smallest of those within a known set
        that it is in; but none where another, closed as well, may have helped already.
        """
        closed: set[int] = set()
        for cell in small:
            around = cell.union(*(each for each in self.known if cell <= each))
            near = [place for place, part in enumerate(parts) if part & around]
            if near and closed.isdisjoint(near):
                closed.add(min(near, key=lambda p: (not cell <= parts[p], len(parts[p]), p)))
        return closed

    def find_opened(self, agent: Address, survivors: AbstractSet[Address]) -> Agents:
        """Return the survivors in an agent's group if their sum is opened, else nobody."""
        opened = self.list_opened(survivors)
        pairs = zip(self.groups, opened, strict=True)
        return next((part for group, part in pairs if agent in group), NOBODY)


def refine(sets: Sequence[Agents]) -> tuple[Agents, ...]:
    """Return the cells of the sets: agents who are in exactly the same of them, and in some.

    Whatever is computed from sums over the sets weighs all agents of a cell alike.
    """
    return _split_by(sets, frozenset().union(*sets))


def count_groups(policy: Policy, joined: int, *, is_retry: bool) -> int:
    """Return how many groups so many agents make, before any is known to have been summed up."""
    fewest = policy.min_survivors
    usual = max(1, min(policy.masking.groups, joined // fewest))
    if not is_retry or joined < 2 * fewest:
        return usual
    # A quarter more than needed in each, for who drops out.
    return max(2, usual, joined // (fewest + -(-fewest // 4)))


def divide(
    policy: Policy,
    joined: Iterable[Address],
    seed: Digest,
    *,
    known: Sequence[Agents] = (),
    is_retry: bool = False,
) -> tuple[Agents, ...]:
    """Return the groups; `seed` is the anchor of SHARES, which nobody chose.

    Every group has the fewest survivors at least if so many agents joined.
    """
    everybody = frozenset(joined)
    total = count_groups(policy, len(everybody), is_retry=is_retry)
    found: list[Agents] = []
    for part in _list_parts(everybody, known, policy.min_survivors):
        share = min(len(part) // policy.min_survivors, total * len(part) // len(everybody))
        found.extend(split_agents(part, share, seed[:SEED_SIZE]) if share > 1 else [part])
    return tuple(found)


@dataclass(frozen=True)
class Before:
    """What came of earlier rounds of a version: sets with known sums, and whether one had none."""

    known: tuple[Agents, ...] = ()
    has_failed: bool = False
    """Whether a round had no group that could be opened."""
    first: Agents = NOBODY
    """All survivors of the first of them."""


NOTHING_BEFORE = Before()


def group_round(policy: Policy, task: TaskPast, number: RoundId, seed: Digest) -> Grouping:
    """Return how a round is divided, once it is known who has joined."""
    past, before = task.rounds[number], NOTHING_BEFORE
    for earlier in list_revealed(task, past):
        before = _note_sums(policy, task, earlier, before)
    return _group(policy, task, past, seed, before)


def list_revealed(task: TaskPast, past: RoundPast) -> list[RoundPast]:
    """Return the earlier rounds from the same version whose sums may be known, in order."""
    version, number = past.opened.parent_version, past.opened.round
    return [
        each
        for each in task.rounds.values()
        if each.opened.round < number
        and each.opened.parent_version == version
        and each.masked is not None
        and each.masked.has_closed(Phase.ATTEST)
    ]


def is_retry(task: TaskPast, version: Version, number: RoundId) -> bool:
    """Return whether a model from this version was refused before a round."""
    return any(
        each.outcome is Outcome.REJECTED_QUALITY
        for each in task.rounds.values()
        if each.opened.round < number and each.opened.parent_version == version
    )


def _note_sums(policy: Policy, task: TaskPast, past: RoundPast, before: Before) -> Before:
    """Return what is known after one more round that may have told its sums."""
    if past.masked is None:
        return before
    grouping = _group(policy, task, past, past.masked.anchors[Phase.SHARES], before)
    survivors = _name(task, past.masked.get_set(Phase.ATTEST))
    opened = tuple(filter(None, grouping.list_opened(survivors)))
    return Before(before.known + opened, before.has_failed or not opened, before.first or survivors)


def _group(
    policy: Policy, task: TaskPast, past: RoundPast, seed: Digest, before: Before
) -> Grouping:
    joined = NOBODY if past.masked is None else _name(task, past.masked.get_set(Phase.JOIN))
    if before.has_failed and not before.known:
        # Groups were too small for who dropped out, and there is no sum to tell this one from.
        return Grouping((joined,), policy.min_survivors, first=before.first)
    again = is_retry(task, past.opened.parent_version, past.opened.round)
    groups = divide(policy, joined, seed, known=before.known, is_retry=again)
    return Grouping(groups, policy.min_survivors, before.known, before.first)


def _list_parts(everybody: Agents, known: Sequence[Agents], fewest: int) -> list[Agents]:
    """Return the agents along the sets that are known; what is too small goes to the largest."""
    parts = sorted(_split_by(known, everybody), key=len, reverse=True)
    large = [part for part in parts if len(part) >= fewest] or [parts[0]]
    rest = everybody.difference(*large)
    return [large[0] | rest, *large[1:]]


def _split_by(sets: Sequence[Agents], agents: Agents) -> tuple[Agents, ...]:
    """Return the agents by which of the sets they are in, in the order of these answers."""
    found: dict[tuple[bool, ...], set[Address]] = {}
    for agent in agents:
        found.setdefault(tuple(agent in each for each in sets), set()).add(agent)
    return tuple(frozenset(found[key]) for key in sorted(found, reverse=True))


def _name(task: TaskPast, places: Iterable[int]) -> Agents:
    return frozenset(task.holders[place] for place in places)

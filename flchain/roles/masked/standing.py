"""Who was in failing groups again and again: validators leave out whom chance cannot explain.

A group's sum that does not open its commitments names nobody. But groups are drawn anew for each
model version, and who spoils them is in every one that fails: an agent that spoils none shares its
group again and again only by a luck that can be computed. Nothing is taken from whom they leave
out, and nobody is if the task could not go on without it.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction

from flchain.learning.aggregation import CountedGroup
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.types import ZERO_DIGEST, Address, Digest, Outcome, Phase, RoundId, Version
from flchain.roles.context import Context
from flchain.roles.history import RoundPast, TaskPast
from flchain.roles.masked.inputs import fetch_groups
from flchain.roles.observation import Observation

_CAUTION = 4
"""By how many times the product must exceed the agents. While somebody spoils group after group,
bad luck then does the same to one other agent in one of four such tasks at most."""
_SURE = Fraction(1)
_WITH_RESULT = (Outcome.FINALIZED, Outcome.REJECTED_QUALITY)
_NO_ROUND = RoundId(0)

Groups = tuple[CountedGroup, ...]


@dataclass
class Standing:
    """Reads the records of one task's settled rounds, each once."""

    context: Context
    _found: dict[RoundId, tuple[Digest, Groups]] = field(default_factory=dict)
    _gone: tuple[RoundId, Digest] = (_NO_ROUND, ZERO_DIGEST)
    """The newest round in which a record could not be had, and that record."""
    _told: RoundId = _NO_ROUND
    """The newest round for which this agent was told whether it is left out."""

    def find_suspects(self, seen: Observation) -> dict[Address, int]:
        """Return the agents that are left out of the newest round, worst first."""
        products = compute_products(self._list_results(seen.past, seen.round.round))
        joined = len(seen.masked_past.get_set(Phase.JOIN))
        found = {a: product for a, product in products.items() if product >= _CAUTION * joined}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def explain_absence(self, seen: Observation) -> None:
        """Tell an agent, once, that its shares were left out, and why if it is known."""
        number, account, past = seen.round.round, self.context.signer.address, seen.masked_past
        if self._told == number or not past.has_closed(Phase.CHECK):
            return
        self._told = number
        if seen.find_place(account) not in past.get_set(Phase.SHARES) - past.get_set(Phase.CHECK):
            return
        product = self.find_suspects(seen).get(account)
        text = (
            "validators left you out of this round: your keys or shares came late or wrong, or a "
            "second sum of this version would tell about you; you can join the next round"
        )
        if product is not None:
            text = (
                "validators leave you out of this task: the groups that you were in failed again "
                f"and again, by bad luck with a chance of 1 in {product}; your stake is not touched"
            )
        self.context.notify("left-out", number, 0.0, detail=text)

    def _list_results(self, task: TaskPast, number: RoundId) -> Iterable[Groups]:
        """Yield the groups of each version's first result in groups, before a round.

        As far back as records can be had: what is older than one that is gone is gone as well.
        """
        found: list[tuple[Version, Groups]] = []
        for past in reversed(task.rounds.values()):
            if past.opened.round >= number:
                continue
            groups = self._read(past, number)
            if groups is None:
                break
            found.append((past.opened.parent_version, groups))
        drawn: set[Version] = set()
        for version, groups in reversed(found):
            if len(groups) > 1 and version not in drawn:
                # The next result of this version keeps its groups, and shows nothing new.
                drawn.add(version)
                yield groups

    def _read(self, past: RoundPast, number: RoundId) -> Groups | None:
        """Return the groups that a round's result opened; None if its record can't be had.

        Stores take their time to find nothing: for each newest round they are asked once.
        """
        if past.outcome not in _WITH_RESULT or past.masked is None or not past.proposals:
            return ()
        root = past.final_proposal.content.aggregate_root
        known = self._found.get(past.opened.round)
        if known is not None and known[0] == root:
            return known[1]
        if self._gone == (number, root):
            return None
        try:
            groups = fetch_groups(self.context.archive, root)
        except (AdapterError, EncodingError, ProofError):
            self._gone = (number, root)
            return None
        opened = tuple(group for group in groups if group.survivors)
        self._found[past.opened.round] = (root, opened)
        return opened


def compute_products(results: Iterable[Groups]) -> dict[Address, int]:
    """Return, for each agent in failing groups, the inverse of the chance that it had bad luck.

    The chance of one result is the share of the agents whose groups failed. A group with a sum
    clears its survivors of what was before.
    """
    chances: dict[Address, Fraction] = {}
    for groups in results:
        part = _compute_part(groups)
        for group in groups:
            for agent in map(Address, group.survivors):
                before = chances.get(agent, _SURE)
                chances[agent] = before * part if group.fault else _SURE
    return {agent: int(1 / chance) for agent, chance in chances.items() if chance < 1}


def _compute_part(groups: Groups) -> Fraction:
    """Return which part of all survivors is in groups that failed."""
    sizes = [(len(group.survivors), bool(group.fault)) for group in groups]
    return Fraction(sum(size for size, failed in sizes if failed), sum(size for size, _ in sizes))


def choose_left_out(
    suspects: Mapping[Address, int],
    parts: Iterable[AbstractSet[Address]],
    fewest: int,
    *,
    most: int,
) -> frozenset[Address]:
    """Return up to `most` suspects to leave out, worst first, while enough of their group are left.

    `parts` are the groups without whom else is left out. A group never fails for want of a suspect.
    """
    spare = {part: len(part) - fewest for part in map(frozenset, parts)}
    chosen: list[Address] = []
    for agent in suspects:
        part = next((each for each in spare if agent in each), None)
        if part is not None and spare[part] > 0 and len(chosen) < most:
            spare[part] -= 1
            chosen.append(agent)
    return frozenset(chosen)

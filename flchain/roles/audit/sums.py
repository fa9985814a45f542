"""A published sum against the true one: which update was counted wrongly, if only one was."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from flchain.learning.aggregation import Aggregate, verify_update
from flchain.learning.parameters import Int64
from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.events import UpdateSubmitted
from flchain.roles.archive import Archive
from flchain.roles.execution import fetch_update
from flchain.roles.terms import Terms

Sections = Mapping[str, Int64]

PAIRS_LIMIT = 32
"""Most updates for which every pair is tried."""


@dataclass(frozen=True)
class Counted:
    """A valid update of a round, and the weight that it counted for."""

    item: UpdateSubmitted
    weight: int
    sections: Sections


def explain_sum(expected: Aggregate, found: Aggregate, updates: Sequence[Counted]) -> str:
    """Return in words what a published sum is instead of the true one."""
    difference = {
        name: found.sections[name] - section for name, section in expected.sections.items()
    }
    text = compare_sections(found.sections, expected.sections)
    if found.total_weight != expected.total_weight:
        text += f"; its weight is {found.total_weight} instead of {expected.total_weight}"
    reason = _find_weight(difference, updates) or _find_swap(difference, updates)
    return f"{text}{reason}"


def compare_sections(found: Sections, expected: Sections) -> str:
    """Return how many integers differ, and the first of them."""
    for name, section in expected.items():
        differing = np.flatnonzero(found[name] != section)
        if len(differing):
            first = int(differing[0])
            return (
                f"{len(differing)} of {len(section)} integers of section {name!r} differ, the "
                f"first at {first}: {int(found[name][first])} instead of {int(section[first])}"
            )
    return "every integer is the same"


def read_updates(
    terms: Terms,
    archive: Archive,
    key: bytes,
    survivors: Sequence[UpdateSubmitted],
    weights: Sequence[int],
) -> Iterator[Counted]:
    """Yield the updates that count, as integers, with what each counted for."""
    for item, counted in zip(survivors, weights, strict=True):
        try:
            data = fetch_update(terms, key, item, archive)
            update = verify_update(
                data, terms.policy, round_key=key, agent=item.agent, weight=item.weight
            )
        except (EncodingError, ProofError):
            continue
        sections = {name: s.astype(np.int64) for name, s in update.sections.items()}
        yield Counted(item, counted, sections)


def _find_weight(difference: Sections, updates: Sequence[Counted]) -> str:
    for update in updates:
        factor = _divide(difference, update.sections)
        if factor:
            return (
                f": update {update.item.index} of {update.item.agent} counted "
                f"{update.weight + factor}, should be {update.weight}"
            )
    return ""


def _find_swap(difference: Sections, updates: Sequence[Counted]) -> str:
    if len(updates) > PAIRS_LIMIT:
        return ""
    for first, second in combinations(updates, 2):
        change = second.weight - first.weight
        gap = {name: section - second.sections[name] for name, section in first.sections.items()}
        if change and _divide(difference, gap) == change:
            return (
                f": updates {first.item.index} and {second.item.index} are swapped, "
                "each counted with the other's weight"
            )
    return ""


def _divide(difference: Sections, unit: Sections) -> int:
    """Return k if `difference` is k times `unit`; 0 if it is no multiple."""
    for name, section in unit.items():
        places = np.flatnonzero(section)
        if len(places):
            factor = int(difference[name][places[0]]) // int(section[places[0]])
            is_multiple = all(
                np.array_equal(difference[other], factor * values) for other, values in unit.items()
            )
            return factor if is_multiple else 0
    return 0

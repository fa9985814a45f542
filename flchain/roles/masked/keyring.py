"""The keys that a validator has seen: one that comes back is refused.

A key that is used twice masks two vectors alike. The round key is part of how honest agents derive
theirs, so only somebody who wants to bring one back does.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from flchain.protocol.types import Address, RoundId
from flchain.roles.context import Context
from flchain.roles.masked.rosters import Joined

_SIZE = 16
_COORDINATE = 32


@dataclass
class Keyring:
    """Digests of all keys by round, in the validator's journal."""

    context: Context
    _known: dict[RoundId, frozenset[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.context.journal.names():
            if name.startswith(self._prefix):
                data = self.context.journal.read(name) or b""
                marks = (data[at : at + _SIZE] for at in range(0, len(data), _SIZE))
                self._known[RoundId(int(name.removeprefix(self._prefix)))] = frozenset(marks)

    def find_used(self, number: RoundId, joined: Mapping[Address, Joined]) -> frozenset[Address]:
        """Return who brings a key of an earlier round, or one that occurs twice in this one.

        The round's keys are remembered.
        """
        marks = {agent: _mark(each) for agent, each in joined.items()}
        earlier = frozenset().union(*(m for n, m in self._known.items() if n != number))
        counts = Counter(mark for each in marks.values() for mark in each)
        twice = {mark for mark, count in counts.items() if count > 1}
        self._keep(number, frozenset(counts))
        return frozenset(
            agent for agent, each in marks.items() if not (earlier | twice).isdisjoint(each)
        )

    def _keep(self, number: RoundId, marks: frozenset[bytes]) -> None:
        if self._known.get(number) != marks:
            self._known[number] = marks
            self.context.journal.write(f"{self._prefix}{number:08d}", b"".join(sorted(marks)))

    @property
    def _prefix(self) -> str:
        """What entries of this task begin with; round 0 stands for the task."""
        return f"keyring-{self.context.get_round_key(RoundId(0))[:8].hex()}-"


def _mark(joined: Joined) -> list[bytes]:
    """Return what identifies each key: a key and its negative have the same x."""
    keys = joined.keys
    points = (keys.encryption, keys.masking, keys.self_mask)
    return [sha256(p.x.to_bytes(_COORDINATE, "big")).digest()[:_SIZE] for p in points]

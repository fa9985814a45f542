"""What masked rounds leave behind in storage, beyond what the contract still needs.

Words of sets, attestations and counters carry the round that wrote them and stay until another
round writes them again; so do batches and complaints. They are kept here, call by call, in the
way of `MaskedRounds.sol`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flchain.chain.proofs.lanes import ATTESTERS_SHIFT, add_lanes
from flchain.chain.spec.masked_state import ATTESTED, Batch, MaskedBook
from flchain.chain.spec.state import State
from flchain.protocol.digests import LANES, WORD, pack_bits
from flchain.protocol.events import (
    ComplaintPosted,
    Event,
    PhaseClosed,
    RecordsAttested,
    RecordsRelayed,
    RecordVoided,
)
from flchain.protocol.types import Address, Phase, TaskId

_WORDS = 8
"""Room for one phase's words of 224 places."""
_GROUPS = 64
"""Room for one phase's words of 32 places."""
_LANE_MASK = (1 << LANES) - 1
_WORD_MASK = (1 << WORD) - 1


@dataclass
class MaskedTraces:
    """The words of the masked rounds that depend on history, by task."""

    sets: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    relayed: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    counters: dict[tuple[TaskId, int], int] = field(default_factory=dict)
    attested: dict[tuple[TaskId, Address, int], int] = field(default_factory=dict)
    batches: dict[tuple[TaskId, int], Batch] = field(default_factory=dict)
    complaints: dict[tuple[TaskId, int], int] = field(default_factory=dict)

    def apply(self, state: State, events: Sequence[Event]) -> None:
        """Follow the events of one call; `state` is the state after it."""
        for task_id in {getattr(event, "task_id", None) for event in events}:
            if task_id is not None and (masked := state.masked.get(task_id)):
                self._follow_sets(task_id, masked)
        for event in events:
            if isinstance(event, RecordsAttested):
                self._attest(event)
            elif isinstance(event, ComplaintPosted):
                accuser = state.masked[event.task_id].holders.index(event.agent)
                self.complaints[event.task_id, accuser << 16 | event.accused] = event.round
            elif isinstance(event, RecordsRelayed | RecordVoided):
                batch = state.masked[event.task_id].batches[event.batch]
                kept = Batch(batch.phase, batch.root, batch.relayer)
                self.batches[event.task_id, event.batch] = kept

    def _follow_sets(self, task_id: TaskId, masked: MaskedBook) -> None:
        """Keep the words of all sets of the newest round; a closed check has written each."""
        sets = masked.sets | {Phase.NONE: frozenset(masked.punished)}
        for phase, places in sets.items():
            words = pack_bits(places, len(masked.holders), WORD)
            for number, bits in enumerate(words):
                key = (task_id, _WORDS * phase + number)
                self._keep(self.sets, key, masked.round, bits, is_written=phase in ATTESTED)
        for phase, places in masked.relayed.items():
            for number, bits in enumerate(pack_bits(places, len(masked.holders), WORD)):
                key = (task_id, _WORDS * phase + number)
                self._keep(self.relayed, key, masked.round, bits, is_written=False)

    @staticmethod
    def _keep(
        words: dict[tuple[TaskId, int], int],
        key: tuple[TaskId, int],
        tag: int,
        bits: int,
        *,
        is_written: bool,
    ) -> None:
        if bits or is_written or words.get(key, 0) >> WORD == tag:
            words[key] = tag << WORD | bits

    def _attest(self, event: RecordsAttested) -> None:
        tag = int(event.round)
        for number, bits in enumerate(event.bitmap):
            key = (event.task_id, event.validator, _WORDS * event.phase + number)
            stored = self.attested.get(key, 0)
            is_tagged = stored >> WORD == tag
            is_first = not is_tagged and number == 0
            if not bits and not is_first:
                continue
            self.attested[key] = tag << WORD | (stored & _WORD_MASK if is_tagged else 0) | bits
            group = _GROUPS * event.phase + number * (WORD // LANES)
            self._count((event.task_id, group), tag, bits, is_first=is_first)

    def _count(self, key: tuple[TaskId, int], tag: int, bits: int, *, is_first: bool) -> None:
        """Raise the counters of the places in `bits`, group by group up to the last."""
        task_id, group = key
        while True:
            word = add_lanes(self.counters.get((task_id, group), 0), tag, bits & _LANE_MASK)
            self.counters[task_id, group] = word + (int(is_first) << ATTESTERS_SHIFT)
            is_first, bits, group = False, bits >> LANES, group + 1
            if not bits:
                return


def is_adoption(event: Event) -> bool:
    """Return whether an event hands the survivors over to the round manager."""
    return isinstance(event, PhaseClosed) and event.phase == Phase.UNMASK

"""Every storage slot of the masked rounds; the slots follow `contracts/types/MaskedBook.sol`."""

from collections.abc import Iterator

from flchain.chain.proofs.layout import locate, pack
from flchain.chain.proofs.masked_traces import MaskedTraces
from flchain.chain.proofs.slots import Slot
from flchain.chain.spec.masked_state import MaskedBook
from flchain.chain.spec.state import Book, State
from flchain.protocol.types import TaskId

# After EIP-712's two strings.
_PAGES, _OFFENCES = 2, 3
# Members of `MaskedPage`, in slots from its start.
_CLOCK, _ANCHOR, _RECORDS, _TERMS, _BOUNDS = 0, 1, 2, 3, 4
_SETS, _RELAYED, _COUNTERS, _ATTESTED, _BATCHES = 5, 6, 7, 8, 9
_PLACES, _HOLDERS, _COMPLAINTS, _REVEALED_SET = 10, 11, 12, 13
_CLOCK_TYPES = (
    *("uint32", "uint8", "uint8", "uint40", "uint40", "uint40", "uint40"),
    *("uint16", "uint8", "bool", "uint16"),
)
_TERMS_TYPES = ("uint192", "uint32", "uint16", "uint16")
_BOUNDS_TYPES = ("uint16", "uint16", "uint16", "uint40", "uint32", "uint32", "uint8", "uint32")
_WINDOW_BITS = 32
_COUNT_SHIFT = 240
_WORD = 224


def list_masked(state: State, traces: MaskedTraces) -> Iterator[tuple[int, Slot]]:
    """Yield every slot that the contract has written, with what it holds."""
    for offence in state.masked_offences:
        yield locate(_OFFENCES, offence), Slot(1, f"offences[{offence.hex()}]")
    for task_id, masked in state.masked.items():
        page = locate(_PAGES, task_id)
        for place, slot in _list_page(task_id, state.books[task_id], masked):
            yield page + place, slot
        yield from _list_places(page, task_id, masked)
        yield from _list_traces(page, task_id, traces)


def _list_page(task_id: TaskId, book: Book, masked: MaskedBook) -> Iterator[tuple[int, Slot]]:
    name, number = f"pages[{task_id}]", masked.round
    clock = (
        *(masked.round, masked.phase, masked.closed, masked.opens_at, masked.closes_at),
        *(masked.close_block, masked.relayed_at or 0, masked.expected, book.round.validators),
        *(masked.is_pinned, len(masked.batches)),
    )
    task = book.task
    windows = (
        *(task.join_window, task.shares_window, task.check_window),
        *(task.submit_window, task.attest_window, task.unmask_window),
    )
    packed = sum(window << _WINDOW_BITS * place for place, window in enumerate(windows))
    terms = (packed, task.forced_window, task.finality_delay, task.min_survivors)
    bounds = (
        *(task.min_agents, task.threshold, len(masked.holders), book.round.opened_at),
        *(book.round.parent_version, masked.revealed_version, masked.revealed, masked.spent),
    )
    yield _CLOCK, Slot(pack(_CLOCK_TYPES, clock)[0], f"{name}.clock", task_id, number)
    anchor = int.from_bytes(masked.anchor, "big")
    yield _ANCHOR, Slot(anchor, f"{name}.anchor", task_id, number)
    records = masked.count << _COUNT_SHIFT | masked.commitment
    yield _RECORDS, Slot(records, f"{name}.records", task_id, number)
    yield _TERMS, Slot(pack(_TERMS_TYPES, terms)[0], f"{name}.terms", task_id)
    yield _BOUNDS, Slot(pack(_BOUNDS_TYPES, bounds)[0], f"{name}.bounds", task_id, number)


def _list_places(page: int, task_id: TaskId, masked: MaskedBook) -> Iterator[tuple[int, Slot]]:
    name = f"pages[{task_id}]"
    for place, holder in enumerate(masked.holders):
        slot = Slot(place + 1, f"{name}.places[{holder}]", task_id)
        yield locate(page + _PLACES, holder), slot
        slot = Slot(int(holder, 16), f"{name}.holders[{place}]", task_id)
        yield locate(page + _HOLDERS, place), slot
    for word in range(-(-len(masked.holders) // _WORD)):
        first = word * _WORD
        bits = sum(1 << p - first for p in masked.revealed_set if first <= p < first + _WORD)
        slot = Slot(bits, f"{name}.revealedSet[{word}]", task_id)
        yield locate(page + _REVEALED_SET, word), slot


def _list_traces(page: int, task_id: TaskId, traces: MaskedTraces) -> Iterator[tuple[int, Slot]]:
    name = f"pages[{task_id}]"
    words = {
        (_SETS, "sets"): traces.sets,
        (_RELAYED, "relayed"): traces.relayed,
        (_COUNTERS, "counters"): traces.counters,
        (_COMPLAINTS, "complaints"): traces.complaints,
    }
    for (member, label), values in words.items():
        for (owner, key), value in values.items():
            if owner == task_id:
                yield locate(page + member, key), Slot(value, f"{name}.{label}[{key}]", task_id)
    for (owner, validator, key), value in traces.attested.items():
        if owner == task_id:
            slot = Slot(value, f"{name}.attested[{validator}][{key}]", task_id)
            yield locate(page + _ATTESTED, validator, key), slot
    for (owner, number), batch in traces.batches.items():
        if owner == task_id:
            first = locate(page + _BATCHES, number)
            root = int.from_bytes(batch.root, "big")
            yield first, Slot(root, f"{name}.batches[{number}].root", task_id)
            (word,) = pack(("address", "uint8"), (batch.relayer, batch.phase))
            yield first + 1, Slot(word, f"{name}.batches[{number}].relayer", task_id)

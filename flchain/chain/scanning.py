"""Following the chain's events across restarts and reorganisations.

A scan is a function of an explicit state, which a role can keep on disk: it returns the events
that are new and, after a reorganisation, the block behind which everything seen before is void.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flchain.chain.base import BlockRef, LoggedEvent
from flchain.chain.events import LogFilter, get_logged_events
from flchain.chain.rpc import Rpc, decode_block
from flchain.protocol.errors import AdapterError, EncodingError

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A block that was the end of a scan."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far a scan has come.

    Every event up to and including block `scanned` was returned. `trail` has the ends of earlier
    scans, oldest first: one final block, then those that a reorganisation may still remove.
    """

    scanned: int = -1
    trail: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan found.

    If `rewound_to` is not None, events of later blocks that were returned before are void; those
    of them that are still on the chain are among `events` again.
    """

    state: ScanState
    events: tuple[LoggedEvent, ...]
    head: BlockRef
    finalized: BlockRef
    rewound_to: int | None = None


class EventScanner:
    """Reads one deployment's events from `first_block` on."""

    def __init__(self, rpc: Rpc, wanted: LogFilter, first_block: int = 0) -> None:
        """Read nothing yet."""
        self._rpc = rpc
        self._wanted = wanted
        self._start = ScanState(scanned=first_block - 1)

    def scan(self, state: ScanState | None = None) -> Scan:
        """Return what is new since `state`; None starts from the first block.

        Raises AdapterError, worth trying again, if the chain keeps changing while it is read.
        """
        for _ in range(_ATTEMPTS):
            before = state or self._start
            head, finalized = self._get_ends()
            if before.trail[-1:] == (Mark(head.number, head.hash),):
                return Scan(before, (), head, finalized)
            kept = self._rewind(before)
            events = get_logged_events(self._rpc, self._wanted, kept.scanned + 1, head.number)
            if self._is_canonical(Mark(head.number, head.hash)):
                after = _extend(kept, head, finalized)
                rewound = None if kept == before else kept.scanned
                return Scan(after, tuple(events), head, finalized, rewound)
        raise AdapterError("the chain changed while it was read: try again", is_retryable=True)

    def _get_ends(self) -> tuple[BlockRef, BlockRef]:
        """Return the newest block and the newest final one."""
        blocks = self._rpc.call_all(
            [("eth_getBlockByNumber", (tag, False)) for tag in ("latest", "finalized")]
        )
        head, finalized = (decode_block(block) for block in blocks)
        return head, finalized

    def _rewind(self, state: ScanState) -> ScanState:
        """Return the state as of the newest block of its trail that is still on the chain."""
        trail = state.trail
        while trail and not self._is_canonical(trail[-1]):
            trail = trail[:-1]
        if trail == state.trail:
            return state
        return ScanState(trail[-1].number, trail) if trail else self._start

    def _is_canonical(self, mark: Mark) -> bool:
        block = self._rpc.call("eth_getBlockByNumber", hex(mark.number), False)
        return block is not None and decode_block(block).hash == mark.hash


def encode_scan_state(state: ScanState) -> dict[str, Any]:
    """Return a JSON document for `decode_scan_state`."""
    trail = [[mark.number, mark.hash.hex()] for mark in state.trail]
    return {"scanned": state.scanned, "trail": trail}


def decode_scan_state(document: Mapping[str, Any]) -> ScanState:
    """Return a state that was kept. Raises EncodingError; starting anew loses nothing."""
    try:
        trail = tuple(Mark(int(number), bytes.fromhex(text)) for number, text in document["trail"])
        return ScanState(int(document["scanned"]), trail)
    except (KeyError, TypeError, ValueError) as error:
        raise EncodingError("the kept scan state is damaged: scan from the start") from error


def _extend(state: ScanState, head: BlockRef, finalized: BlockRef) -> ScanState:
    """Return the state after reading up to `head`, without marks that are no longer needed."""
    mark = Mark(head.number, head.hash)
    trail = state.trail if mark in state.trail[-1:] else (*state.trail, mark)
    final = sum(item.number <= finalized.number for item in trail)
    return replace(state, scanned=head.number, trail=trail[max(final - 1, 0) :])

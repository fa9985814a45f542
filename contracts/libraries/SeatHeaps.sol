// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice The lowest of all candidate seats, at most 64, four to a word; made by `SeatHeaps`.
struct SeatHeap {
    uint256[17] words;
}

/// @title SeatHeaps
/// @notice Keeps the c lowest seats of a draw in storage that every draw reuses.
/// @dev A heap of four children per node whose first seat is the highest, the next to go. Node 0 is in the lowest 64
/// bits of word 0, beside `note 176 | capacity 8 | count 8`; the children of node i, 4i + 1 to 4i + 4, are the four
/// lanes of word i + 1. So an insertion touches one word per level: two for c = 5, at most four for c = 64. Many in
/// one transaction touch each word once at the full price. Lanes from `count` on are left over from earlier draws.
library SeatHeaps {
    uint256 internal constant LIMIT = 64;
    uint256 private constant LANE = 64;
    uint256 private constant LANE_MASK = type(uint64).max;
    uint256 private constant COUNT_SHIFT = 64;
    uint256 private constant CAPACITY_SHIFT = 72;
    uint256 private constant NOTE_SHIFT = 80;
    uint256 private constant MEMBER_MASK = type(uint16).max;

    /// @notice Empty the heap.
    /// @param capacity Number of seats to keep, at most 64.
    /// @param note What the caller wants to find beside it, such as the draw's tag.
    function start(SeatHeap storage heap, uint8 capacity, uint176 note) internal {
        heap.words[0] = (uint256(note) << NOTE_SHIFT) | (uint256(capacity) << CAPACITY_SHIFT);
    }

    /// @notice Replace the caller's note.
    function setNote(SeatHeap storage heap, uint176 note) internal {
        heap.words[0] = uint80(heap.words[0]) | (uint256(note) << NOTE_SHIFT);
    }

    /// @notice Insert a seat if it is among the lowest, and return whether it is.
    function insert(SeatHeap storage heap, uint256 seat) internal returns (bool isSeated) {
        uint256 head = heap.words[0];
        uint256 count = getCount(head);
        if (count < getCapacity(head)) {
            _siftUp(heap, head + (1 << COUNT_SHIFT), count, seat);
            return true;
        }
        if (count == 0 || seat >= head & LANE_MASK) return false;
        _siftDown(heap, head, count, seat);
        return true;
    }

    /// @notice Return whether every node of `nodes`, a bitmap, is a seat of this member; false if it is empty.
    function isHeldBy(SeatHeap storage heap, uint256 nodes, uint256 member) internal view returns (bool) {
        if (nodes == 0 || nodes >> getCount(heap.words[0]) != 0) return false;
        for (uint256 node = 0; nodes != 0; ++node) {
            if (nodes & 1 != 0 && getSeat(heap, node) & MEMBER_MASK != member) return false;
            nodes >>= 1;
        }
        return true;
    }

    /// @notice Return the seat at a node.
    function getSeat(SeatHeap storage heap, uint256 node) internal view returns (uint256) {
        (uint256 word, uint256 shift) = _locate(node);
        return (_load(heap, word) >> shift) & LANE_MASK;
    }

    /// @notice Return whether a seat would be inserted, given word 0.
    function canEnter(uint256 head, uint256 seat) internal pure returns (bool) {
        uint256 count = getCount(head);
        return count < getCapacity(head) || (count != 0 && seat < head & LANE_MASK);
    }

    /// @notice Return the number of seats, given word 0.
    function getCount(uint256 head) internal pure returns (uint256) {
        return uint8(head >> COUNT_SHIFT);
    }

    /// @notice Return the number of seats to keep, given word 0.
    function getCapacity(uint256 head) internal pure returns (uint256) {
        return uint8(head >> CAPACITY_SHIFT);
    }

    /// @notice Return the caller's note, given word 0.
    function getNote(uint256 head) internal pure returns (uint176) {
        return uint176(head >> NOTE_SHIFT);
    }

    /// @notice Put `seat` into the free node, or above it; `head` already counts it.
    function _siftUp(SeatHeap storage heap, uint256 head, uint256 node, uint256 seat) private {
        (uint256 word, uint256 shift) = _locate(node);
        uint256 value = word == 0 ? head : _load(heap, word);
        while (word != 0) {
            // The parent of the four nodes in word i + 1 is node i.
            (uint256 wordAbove, uint256 shiftAbove) = _locate(word - 1);
            uint256 valueAbove = wordAbove == 0 ? head : _load(heap, wordAbove);
            uint256 above = (valueAbove >> shiftAbove) & LANE_MASK;
            if (above >= seat) break;
            _store(heap, word, _place(value, shift, above));
            (word, shift, value) = (wordAbove, shiftAbove, valueAbove);
        }
        if (word != 0) _store(heap, 0, head);
        _store(heap, word, _place(value, shift, seat));
    }

    /// @notice Put `seat` into the place of node 0, or below it.
    function _siftDown(SeatHeap storage heap, uint256 head, uint256 count, uint256 seat) private {
        uint256 word = 0;
        uint256 shift = 0;
        uint256 value = head;
        unchecked {
            for (uint256 first = 1; first < count;) {
                uint256 wordBelow = first / 4 + 1;
                uint256 valueBelow = _load(heap, wordBelow);
                (uint256 lane, uint256 largest) = _findLargest(valueBelow, count - first);
                if (largest <= seat) break;
                _store(heap, word, _place(value, shift, largest));
                (word, shift, value) = (wordBelow, lane * LANE, valueBelow);
                first = 4 * (first + lane) + 1;
            }
        }
        _store(heap, word, _place(value, shift, seat));
    }

    function _store(SeatHeap storage heap, uint256 word, uint256 value) private {
        // Nodes are below 64, so words are below 17: no need for a bounds check.
        assembly ("memory-safe") {
            sstore(add(heap.slot, word), value)
        }
    }

    function _load(SeatHeap storage heap, uint256 word) private view returns (uint256 value) {
        assembly ("memory-safe") {
            value := sload(add(heap.slot, word))
        }
    }

    /// @notice Return the lane with the highest seat among the first `lanes` of a word, and that seat.
    function _findLargest(uint256 word, uint256 lanes) private pure returns (uint256 lane, uint256 largest) {
        largest = word & LANE_MASK;
        unchecked {
            for (uint256 i = 1; i < 4 && i < lanes; ++i) {
                word >>= LANE;
                uint256 seat = word & LANE_MASK;
                if (seat > largest) (lane, largest) = (i, seat);
            }
        }
    }

    /// @notice Return a word with one lane replaced.
    function _place(uint256 value, uint256 shift, uint256 seat) private pure returns (uint256) {
        return (value & ~(LANE_MASK << shift)) | (seat << shift);
    }

    /// @notice Return the word of a node and its lane's place in it.
    function _locate(uint256 node) private pure returns (uint256 word, uint256 shift) {
        unchecked {
            if (node != 0) (word, shift) = ((node + 3) / 4, ((node - 1) % 4) * LANE);
        }
    }
}

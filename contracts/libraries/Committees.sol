// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Page} from "../types/Book.sol";
import {Sortition} from "./Sortition.sol";

/// @title Committees
/// @notice The seats of a draw: a list in the order of their scores, eight seats per word, and who sits.
/// @dev The list is longer than the committee, so that silent seats can be replaced without a new draw. A committee
/// is one word with four bits for each of 64 places: the seats that a validator's vote counts for.
library Committees {
    uint256 private constant LANES = 8;
    uint256 private constant SEAT_BITS = 32;
    uint256 private constant SEAT = type(uint32).max;
    uint256 private constant PLACE_BITS = 6;
    /// @dev What a seat of `Sortition` has below the 26 bits of its score that are kept.
    uint256 private constant DROPPED_BITS = 38;
    uint256 private constant COUNT_BITS = 4;
    uint256 private constant COUNT = 15;
    uint256 internal constant PLACES = 64;
    /// @notice A committee in which every place holds one seat.
    uint256 internal constant EVERYBODY = type(uint256).max / COUNT;

    /// @notice Record the first `count` seats of a list.
    function store(Page storage page, uint256[] memory list, uint256 count) internal {
        unchecked {
            for (uint256 start = 0; start < count; start += LANES) {
                uint256 end = count - start < LANES ? count : start + LANES;
                uint256 word = 0;
                for (uint256 i = end; i != start; --i) {
                    word = (word << SEAT_BITS) | _at(list, i - 1);
                }
                page.seats[start / LANES] = word;
            }
        }
    }

    /// @notice Return the newest draw's list, with room for `length` seats.
    function load(Page storage page, uint256 count, uint256 length) internal view returns (uint256[] memory list) {
        list = new uint256[](length);
        uint256 word = 0;
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                if (i % LANES == 0) word = page.seats[i / LANES];
                list[i] = word & SEAT;
                word >>= SEAT_BITS;
            }
        }
    }

    /// @notice Return the length of the list for a committee of `seats`: half as many again are in reserve.
    function capacity(uint256 seats) internal pure returns (uint256) {
        return seats + (seats + 1) / 2;
    }

    /// @notice Return the most seats that one validator may hold: below c / 3 and what four bits hold, but one.
    function cap(uint256 seats) internal pure returns (uint256) {
        uint256 third = Sortition.computeCap(seats);
        return third < COUNT ? third : COUNT;
    }

    /// @notice Return the seats that the validator at `place` holds.
    function weightOf(uint256 committee, uint256 place) internal pure returns (uint256) {
        return (committee >> (COUNT_BITS * place)) & COUNT;
    }

    /// @notice Return the committee with one more seat for `place`.
    function add(uint256 committee, uint256 place) internal pure returns (uint256) {
        unchecked {
            return committee + (1 << (COUNT_BITS * place));
        }
    }

    /// @notice Return the committee without the seats of `place`.
    function remove(uint256 committee, uint256 place) internal pure returns (uint256) {
        return committee & ~(COUNT << (COUNT_BITS * place));
    }

    /// @notice Return who sits: the holders of the `seats` lowest of the first `count` seats of the list.
    function seat(uint256[] memory list, uint256 count, uint256 seats) internal pure returns (uint256 committee) {
        unchecked {
            uint256 last = count < seats ? count : seats;
            for (uint256 i = 0; i < last; ++i) {
                committee = add(committee, placeOf(_at(list, i)));
            }
        }
    }

    /// @notice Return a seat of `Sortition` as the list has it: the 26 highest bits of its score, then the place.
    /// @dev Two scores may share them; the lower place is first then.
    function toEntry(uint256 drawn, uint256 place) internal pure returns (uint256) {
        return ((drawn >> DROPPED_BITS) << PLACE_BITS) | place;
    }

    /// @notice Return the place of a seat's holder.
    function placeOf(uint256 entry) internal pure returns (uint256) {
        return entry & (PLACES - 1);
    }

    /// @notice Put a seat where its score belongs; a list that is full loses its highest seat.
    /// @param list With room for its capacity.
    /// @param count Number of seats on it.
    /// @return The new number of seats.
    /// @return Whether the seat is new on the list.
    function insert(uint256[] memory list, uint256 count, uint256 entry) internal pure returns (uint256, bool) {
        unchecked {
            uint256 position = 0;
            uint256 end = count;
            while (position != end) {
                uint256 middle = (position + end) / 2;
                if (_at(list, middle) < entry) position = middle + 1;
                else end = middle;
            }
            if (position == list.length || (position != count && _at(list, position) == entry)) return (count, false);
            if (count != list.length) ++count;
            assembly ("memory-safe") {
                let here := add(add(list, 0x20), shl(5, position))
                mcopy(add(here, 0x20), here, shl(5, sub(sub(count, 1), position)))
                mstore(here, entry)
            }
            return (count, true);
        }
    }

    /// @notice Return the first three holders on a list, each as its place plus one, eight bits each; zero for none.
    function leaders(uint256[] memory list, uint256 count) internal pure returns (uint24 found) {
        uint256 number = 0;
        for (uint256 i = 0; i < count && number < 3; ++i) {
            uint256 holder = placeOf(list[i]) + 1;
            bool isKnown = uint8(found) == holder || uint8(found >> 8) == holder;
            if (isKnown) continue;
            found |= uint24(holder << (8 * number));
            ++number;
        }
    }

    /// @dev An item of a list without a check of its index, which would cost as much as all else that is done with it.
    function _at(uint256[] memory list, uint256 index) private pure returns (uint256 entry) {
        assembly ("memory-safe") {
            entry := mload(add(add(list, 0x20), shl(5, index)))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Committees} from "../../../contracts/libraries/Committees.sol";
import {Cheats} from "../Cheats.sol";

/// @notice The list and the committee word against plain references.
contract CommitteesTest is Cheats {
    function test_insert__random_seats__equals_sorting(uint256 seed, uint8 capacity_, uint8 count_) external pure {
        uint256 capacity = bound(capacity_, 1, 96);
        uint256 candidates = bound(count_, 0, 130);
        uint256[] memory list = new uint256[](capacity);
        uint256[] memory plain = new uint256[](candidates);
        uint256 count = 0;
        uint256 known = 0;
        for (uint256 i = 0; i < candidates; ++i) {
            // Few scores, so that some come twice.
            uint256 entry = uint256(keccak256(abi.encode(seed, i))) % (seed % 2 == 0 ? 200 : 1 << 32);
            uint256 before = count;
            bool isNew;
            (count, isNew) = Committees.insert(list, count, entry);
            bool expected = !_contains(plain, known, entry) && (before < capacity || entry < plain[capacity - 1]);
            assertTrue(isNew == expected, "new");
            if (!_contains(plain, known, entry)) known = _insort(plain, known, entry);
            assertEq(count, known < capacity ? known : capacity, "count");
        }
        for (uint256 i = 0; i < count; ++i) {
            assertEq(list[i], plain[i], "entry");
        }
        assertEq(list.length, capacity, "the list's own length");
    }

    function test_leaders__any_list__are_the_first_three_holders(uint256 seed, uint8 count_) external pure {
        uint256 count = bound(count_, 0, 40);
        uint256[] memory list = new uint256[](40);
        uint24 expected = 0;
        uint256 known = 0;
        uint256 found = 0;
        for (uint256 i = 0; i < 40; ++i) {
            list[i] = uint32(uint256(keccak256(abi.encode(seed, i)))) & (seed % 2 == 0 ? 0xffffffc3 : 0xffffffff);
            uint256 place = list[i] % 64;
            if (i >= count || found == 3 || (known >> place) & 1 != 0) continue;
            (known, expected) = (known | (1 << place), expected | uint24((place + 1) << (8 * found++)));
        }
        assertEq(Committees.leaders(list, count), expected, "leaders");
    }

    function test_word__seats_added_and_removed__are_their_places_alone(uint256 seed) external pure {
        uint256 committee = 0;
        uint256[64] memory plain;
        for (uint256 i = 0; i < 200; ++i) {
            uint256 draw = uint256(keccak256(abi.encode(seed, i)));
            uint256 place = draw % 64;
            if (plain[place] == 15 || (draw >> 8) % 4 == 0) {
                (committee, plain[place]) = (Committees.remove(committee, place), 0);
            } else {
                (committee, plain[place]) = (Committees.add(committee, place), plain[place] + 1);
            }
        }
        for (uint256 place = 0; place < 64; ++place) {
            assertEq(Committees.weightOf(committee, place), plain[place], "seats");
        }
    }

    function test_cap__every_size__is_below_a_third_and_fits_four_bits() external pure {
        for (uint256 seats = 1; seats <= 64; ++seats) {
            uint256 cap = Committees.cap(seats);
            uint256 third = seats < 4 ? 1 : (seats - 1) / 3;
            assertEq(cap, third < 15 ? third : 15, "cap");
            assertEq(Committees.capacity(seats), seats + (seats + 1) / 2, "capacity");
        }
    }

    function _contains(uint256[] memory list, uint256 count, uint256 entry) private pure returns (bool) {
        for (uint256 i = 0; i < count; ++i) {
            if (list[i] == entry) return true;
        }
        return false;
    }

    function _insort(uint256[] memory list, uint256 count, uint256 entry) private pure returns (uint256) {
        uint256 position = count;
        for (; position != 0 && list[position - 1] > entry; --position) {
            list[position] = list[position - 1];
        }
        list[position] = entry;
        return count + 1;
    }
}

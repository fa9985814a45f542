// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Committees} from "../../../contracts/libraries/Committees.sol";
import {Page} from "../../../contracts/types/Book.sol";
import {Cheats} from "../Cheats.sol";

/// @notice The list and the committee word against plain references.
contract CommitteesTest is Cheats {
    Page private _page;

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

    function test_store__any_list__is_loaded_again_beside_older_words(uint256 seed, uint8 count_, uint8 older_)
        external
    {
        uint256 count = bound(count_, 0, 96);
        uint256 older = bound(older_, 0, 96);
        Committees.store(_page, _makeList(~seed, older), older);
        uint256[] memory list = _makeList(seed, count);
        Committees.store(_page, list, count);
        uint256[] memory loaded = Committees.load(_page, count, 96);
        assertEq(loaded.length, 96, "length");
        for (uint256 i = 0; i < 96; ++i) {
            assertEq(loaded[i], i < count ? list[i] : 0, "entry");
        }
        uint256 words = (count + 7) / 8;
        for (uint256 word = 0; word < words; ++word) {
            uint256 rest = count - 8 * word;
            assertTrue(rest >= 8 || _page.seats[word] >> (32 * rest) == 0, "nothing above the last");
        }
    }

    function test_seat__any_list__adds_up_the_lowest(uint256 seed, uint8 count_, uint8 seats_) external pure {
        uint256 count = bound(count_, 0, 96);
        uint256 seats = bound(seats_, 1, 64);
        uint256[] memory list = _makeList(seed, count);
        uint256[64] memory plain;
        for (uint256 i = 0; i < count && i < seats; ++i) {
            // Fifteen are the most that one place may hold.
            if (plain[list[i] % 64] == 15) return;
            ++plain[list[i] % 64];
        }
        uint256 committee = Committees.seat(list, count, seats);
        for (uint256 place = 0; place < 64; ++place) {
            assertEq(Committees.weightOf(committee, place), plain[place], "seats");
        }
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

    function _makeList(uint256 seed, uint256 count) private pure returns (uint256[] memory list) {
        list = new uint256[](96);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = uint32(uint256(keccak256(abi.encode(seed, i))));
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

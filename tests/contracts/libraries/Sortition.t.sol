// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Electorate, Sortition} from "../../../contracts/libraries/Sortition.sol";
import {Cheats} from "../Cheats.sol";

/// @notice Sortition against the Python implementation and its own rules.
contract SortitionTest is Cheats {
    string private _vectors;

    function setUp() external {
        _vectors = vm.readFile(string.concat(vm.projectRoot(), "/tests/vectors/sortition.json"));
    }

    function test_draws__ten_thousand_cases__equal_python() external view {
        uint256 cases = vm.parseJsonUint(_vectors, ".cases");
        assertEq(cases, 10_000, "cases");
        uint256[] memory results = new uint256[](3 * cases);
        for (uint256 i = 0; i < cases; ++i) {
            uint256 free;
            assembly ("memory-safe") {
                free := mload(0x40)
            }
            (results[3 * i], results[3 * i + 1], results[3 * i + 2]) = _compute(i);
            // Each case's memory is used again, since its price grows with the square.
            assembly {
                mstore(0x40, free)
            }
        }
        bytes32 digest = keccak256(abi.encodePacked(results));
        assertEq(digest, vm.parseJsonBytes32(_vectors, ".digest"), "digest of all cases");
    }

    function test_messages__vector__are_pythons() external {
        vm.chainId(31_337);
        address registry = 0x5FbDB2315678afecb367f032d93F642f64180aa3;
        address account = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;
        bytes32 seed = bytes32(uint256(0x0505050505050505050505050505050505050505050505050505050505050505));
        bytes32 draw = Sortition.drawMessage({registry: registry, taskId: 1, round: 2, role: 3, attempt: 4, seed: seed});
        assertEq(draw, vm.parseJsonBytes32(_vectors, ".draw_message"), "draw");
        bytes32 possession = Sortition.possessionMessage(registry, account);
        assertEq(possession, vm.parseJsonBytes32(_vectors, ".possession_message"), "possession");
    }

    function test_count_seats__higher_level__never_takes_a_seat(
        uint96 weight,
        uint96 others,
        uint8 expected,
        uint8 cap,
        bytes32 output
    ) external pure {
        Electorate memory electorate = Electorate(uint256(weight) + others, 100, bound(expected, 1, 128), cap);
        uint256 before = 0;
        for (uint256 level = 0; level < 5; ++level) {
            uint256 seats = Sortition.countSeats(electorate, weight, output, level);
            assertLe(before, seats, "seats only grow");
            assertLe(seats, cap == 0 ? 1 : cap, "seats are within the cap");
            before = seats;
        }
        assertTrue(before > 0 || (weight == 0 && others > 0), "everybody has a seat in the end");
    }

    function test_count_seats__extreme_inputs__do_not_overflow() external pure {
        uint256 most = type(uint128).max;
        bytes32 highest = bytes32(type(uint256).max);
        Electorate memory electorate = Electorate(most, type(uint32).max, 1 << 14, 21);
        assertEq(Sortition.countSeats(electorate, most, 0, 3), 21, "the largest stake");
        assertEq(Sortition.countSeats(electorate, 0, highest, 2), 0, "no stake, highest output");
        assertEq(Sortition.countSeats(electorate, 1, highest, 2), 0, "a stake whose rate rounds to zero");
        assertEq(Sortition.countSeats(electorate, 1, highest, 3), 1, "the same when everybody sits");
        electorate.total = 0;
        assertEq(Sortition.countSeats(electorate, 0, highest, 2), 0, "unweighted, highest output");
        assertEq(Sortition.countSeats(electorate, 0, 0, 0), 1, "unweighted, lowest output");
        assertEq(Sortition.computeExp(0), 1 << 128, "exp(0)");
        assertEq(Sortition.computeExp((1 << 80) - 1), 0, "exp(-65536)");
    }

    function test_compute_cap__any_seats__is_below_a_third_but_one() external pure {
        for (uint256 seats = 0; seats <= 64; ++seats) {
            uint256 cap = Sortition.computeCap(seats);
            assertTrue(cap == 1 || (3 * cap < seats && 3 * (cap + 1) >= seats), "cap");
        }
    }

    function _compute(uint256 number) private pure returns (uint256 seats, uint256 exponential, uint256 seat) {
        bytes32 hashed = keccak256(abi.encode(number));
        uint256 random = uint256(hashed);
        bytes32 output = keccak256(abi.encode(hashed));
        uint256 weight = uint96(random) >> (random % 89);
        uint256 others = uint96(random >> 96) >> ((random >> 8) % 89);
        Electorate memory electorate = Electorate({
            total: number % 8 == 0 ? 0 : weight + others + 1,
            members: 1 + ((random >> 224) % 500),
            expected: 1 + ((random >> 192) % 128),
            cap: 1 + ((random >> 208) % 21)
        });
        seats = Sortition.countSeats(electorate, weight, output, (random >> 240) % 5);
        uint256 rate = ((electorate.expected * weight) << 64) / (electorate.total == 0 ? 1 : electorate.total);
        exponential = Sortition.computeExp(rate % (1 << 80));
        seat = Sortition.computeSeat(output, number % 7, number % (1 << 16));
    }
}

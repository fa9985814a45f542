// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SeatHeap, SeatHeaps} from "../../contracts/libraries/SeatHeaps.sol";
import {Electorate, Sortition} from "../../contracts/libraries/Sortition.sol";
import {VRF, VrfKey, VrfProof} from "../../contracts/libraries/VRF.sol";
import {Cheats} from "./Cheats.sol";

/// @notice One member's proof of one draw.
struct Ticket {
    address member;
    VrfKey key;
    VrfProof proof;
}

/// @notice The least contract that draws a committee: what a draw costs before phases and roles.
contract Drawing {
    using SeatHeaps for SeatHeap;

    /// @notice A registered member.
    struct Entry {
        uint96 weight;
        uint16 number;
        bytes32 keyDigest;
    }

    uint256 private constant TAG_BITS = 112;

    mapping(address member => Entry) public entries;
    SeatHeap internal heap;

    error Duplicate(address member);
    error NoSeat(address member);
    error WrongKey(address member);

    function register(address member, uint96 weight, uint16 number, VrfKey calldata key) external {
        entries[member] = Entry(weight, number, VRF.hashKey(key));
    }

    function start(uint8 capacity, uint112 tag) external {
        heap.start(capacity, tag);
    }

    /// @dev In a bundle a ticket that came too late is left out, so that it does not spoil the others.
    function draw(bytes32 alpha, Electorate memory electorate, Ticket[] calldata tickets)
        external
        returns (uint256 accepted)
    {
        for (uint256 i = 0; i < tickets.length; ++i) {
            if (_admit(alpha, electorate, tickets[i])) ++accepted;
            else if (tickets.length == 1) revert NoSeat(tickets[i].member);
        }
    }

    function listSeats() external view returns (uint256[] memory seats) {
        seats = new uint256[](SeatHeaps.getCount(heap.words[0]));
        for (uint256 node = 0; node < seats.length; ++node) {
            seats[node] = heap.getSeat(node);
        }
    }

    /// @dev Whether a seat could be won is asked before the proof is verified: a late one costs little.
    function _admit(bytes32 alpha, Electorate memory electorate, Ticket calldata ticket) private returns (bool) {
        Entry storage entry = entries[ticket.member];
        uint256 number = entry.number;
        uint256 head = heap.words[0];
        uint176 proved = uint176(1 << (TAG_BITS + number));
        if (SeatHeaps.getNote(head) & proved != 0) revert Duplicate(ticket.member);
        bytes32 output = VRF.computeOutput(ticket.proof);
        uint256 won = Sortition.countSeats(electorate, entry.weight, output, 0);
        bool hasSeat = false;
        for (uint256 index = 0; index < won; ++index) {
            hasSeat = hasSeat || SeatHeaps.canEnter(head, Sortition.computeSeat(output, index, number));
        }
        if (!hasSeat) return false;
        if (entry.keyDigest != VRF.hashKey(ticket.key)) revert WrongKey(ticket.member);
        VRF.verify(ticket.key, alpha, ticket.proof);
        heap.setNote(SeatHeaps.getNote(head) | proved);
        for (uint256 index = 0; index < won; ++index) {
            heap.insert(Sortition.computeSeat(output, index, number));
        }
        return true;
    }
}

/// @notice A draw from proofs to seats, and its gas.
contract DrawsTest is Cheats {
    uint256 private constant INTRINSIC = 21_000;
    uint256 private constant PER_DRAW = 51_000;
    uint256 private constant PER_PROOF = 32_000;
    uint256 private constant PER_SECOND_SEAT = 3000;
    uint256 private constant PER_REFUSAL = 15_000;
    // The message of zeros under three keys of the vectors; each wins a seat where two are expected.
    uint256 private constant FIRST = 0;
    uint256 private constant STEP = 5;
    uint256 private constant KEYS = 3;

    Drawing private _drawing;
    string private _vectors;
    bytes32 private _alpha;

    function setUp() external {
        _vectors = vm.readFile(string.concat(vm.projectRoot(), "/tests/vectors/vrf.json"));
        _drawing = new Drawing();
    }

    function test_gas__draws_of_one_seat_a_proof__are_within_the_budget() external {
        _checkBudget(1, PER_PROOF);
    }

    function test_gas__draws_of_two_seats_a_proof__are_within_the_budget() external {
        _checkBudget(2, PER_PROOF + PER_SECOND_SEAT);
    }

    function test_gas__proof_that_cannot_enter__reverts_before_it_is_verified() external {
        Ticket[] memory tickets = _buildTickets(8);
        Electorate memory electorate = Electorate(8, 8, 16, 2);
        _drawing.start(1, 1);
        uint256 refused = 0;
        for (uint256 i = 0; i < 8; ++i) {
            Ticket[] memory one = new Ticket[](1);
            one[0] = tickets[i];
            uint256 before = gasleft();
            try _drawing.draw(_alpha, electorate, one) {}
            catch (bytes memory reason) {
                ++refused;
                assertEq(bytes32(bytes4(reason)), bytes32(Drawing.NoSeat.selector), "reason");
                assertLe(before - gasleft(), 15_000, "gas of a refusal");
            }
        }
        assertTrue(refused > 0 && refused < 8, "some enter, some do not");
    }

    function test_draw__same_member_twice__is_refused() external {
        Ticket[] memory tickets = _buildTickets(2);
        Electorate memory electorate = Electorate(2, 2, 16, 2);
        _drawing.start(9, 1);
        _drawing.draw(_alpha, electorate, tickets);
        vm.expectRevert(abi.encodeWithSelector(Drawing.Duplicate.selector, tickets[0].member));
        _drawing.draw(_alpha, electorate, tickets);
    }

    function test_draw__anothers_key__is_refused() external {
        Ticket[] memory tickets = _buildTickets(2);
        (tickets[0].key, tickets[0].proof) = (tickets[1].key, tickets[1].proof);
        _drawing.start(9, 1);
        vm.expectRevert(abi.encodeWithSelector(Drawing.WrongKey.selector, tickets[0].member));
        _drawing.draw(_alpha, Electorate(2, 2, 16, 2), tickets);
    }

    function _checkBudget(uint256 cap, uint256 perProof) private {
        uint256[5] memory capacities = [uint256(5), 9, 21, 32, 64];
        uint256[5] memory proofs = [uint256(1), 5, 10, 32, 64];
        for (uint256 i = 0; i < 5; ++i) {
            for (uint256 j = 0; j < 5; ++j) {
                (uint256 used, uint256 accepted) = _measure(capacities[i], proofs[j], cap);
                uint256 budget = PER_DRAW + perProof * accepted + PER_REFUSAL * (proofs[j] - accepted);
                assertLe(used, budget, "gas of a draw");
                string memory name = string.concat("c = ", vm.toString(capacities[i]), ", seats a proof = ");
                name = string.concat(name, vm.toString(cap), ", proofs = ", vm.toString(proofs[j]));
                vm.snapshotValue("Draws", string.concat(name, ", seated = ", vm.toString(accepted)), used);
            }
        }
    }

    function _measure(uint256 capacity, uint256 proofs, uint256 cap) private returns (uint256 used, uint256 accepted) {
        Ticket[] memory tickets = _buildTickets(proofs);
        // Two seats are expected of each member.
        Electorate memory electorate = Electorate(proofs, proofs, 2 * proofs, cap);
        _drawing.start(uint8(capacity), 0);
        _drawing.draw(_alpha, electorate, _buildTickets(1));
        _fill();
        _drawing.start(uint8(capacity), 1);
        bytes memory call = abi.encodeCall(Drawing.draw, (_alpha, electorate, tickets));
        vm.cool(address(_drawing));
        uint256 before = gasleft();
        (bool isDone, bytes memory answer) = address(_drawing).call(call);
        // A transaction pays for access to its target within the intrinsic gas.
        used = before - gasleft() - 2600 + INTRINSIC + _priceCalldata(call);
        assertTrue(isDone, "drawn");
        accepted = abi.decode(answer, (uint256));
    }

    /// @notice Write into every word of the heap, as earlier draws have.
    function _fill() private {
        // The heap follows the mapping of entries.
        for (uint256 word = 1; word <= 17; ++word) {
            vm.store(address(_drawing), bytes32(word), bytes32(type(uint256).max));
        }
    }

    function _buildTickets(uint256 count) private returns (Ticket[] memory tickets) {
        tickets = new Ticket[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 index = FIRST + STEP * (i % KEYS);
            Ticket memory ticket = tickets[i];
            (ticket.key, _alpha, ticket.proof) = _load(index);
            ticket.member = address(uint160(uint256(keccak256(abi.encode("member", i)))));
            _drawing.register(ticket.member, 1, uint16(i), ticket.key);
        }
    }

    function _load(uint256 index) private view returns (VrfKey memory key, bytes32 alpha, VrfProof memory proof) {
        string memory place = string.concat(".valid[", vm.toString(index), "].call");
        return abi.decode(vm.parseJsonBytes(_vectors, place), (VrfKey, bytes32, VrfProof));
    }

    function _priceCalldata(bytes memory call) private pure returns (uint256 gas) {
        for (uint256 i = 0; i < call.length; ++i) {
            gas += call[i] == 0 ? 4 : 16;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Verdict} from "../../../contracts/types/Types.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice What whole transactions with proofs of seats cost, from a task's second draw on.
contract DrawGasTest is DrawSuite {
    uint256 private constant INTRINSIC = 21_000;
    /// @dev What a draw should cost: so much, and so much for each proof that wins a seat.
    uint256 private constant PER_DRAW = 51_000;
    uint256 private constant PER_PROOF = 32_000;
    uint256 private constant VALIDATORS = 32;
    /// @dev The most that a transaction may use (EIP-7825).
    uint256 private constant MOST = 16_777_216;

    address private _drawBook;

    /* BEFORE A TEST, EACH AS A TRANSACTION OF ITS OWN: A SLOT WRITTEN TWICE IN ONE COSTS LESS */

    function beforeTestSetup(bytes4 test) external view returns (bytes[] memory calls) {
        bool isLater = test == this.test_gas__later_bundle_of_nine_seats__is_on_record.selector;
        calls = new bytes[](isLater ? 2 : 1);
        uint8 size = 64;
        if (test == this.test_gas__five_seats__is_on_record.selector) size = 5;
        else if (isLater || test == this.test_gas__nine_seats__is_on_record.selector) size = 9;
        else if (test == this.test_gas__twenty_one_seats__is_on_record.selector) size = 21;
        else if (test == this.test_gas__thirty_two_seats__is_on_record.selector) size = 32;
        calls[0] = abi.encodeCall(this.openSecond, (size));
        if (isLater) calls[1] = abi.encodeCall(this.sendFirst, (5));
    }

    /// @notice Fill every word with a first draw, and bring a second one to its first stage.
    function openSecond(uint8 size) external {
        deployDrawn(size, VALIDATORS);
        _drawBook = _findDrawBook();
        openSeeded("first");
        advance(3 * WINDOW);
        sendAll(0, VALIDATORS);
        vm.warp(manager.getBallot(taskId).openedAt);
        voteSeated(0, VALIDATORS, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        // A seed under which ten validators win seats in the first stage.
        for (uint256 seed = 1;; ++seed) {
            uint256 id = vm.snapshotState();
            fixSeed(bytes32(seed));
            if (_countWinners() >= 10) return;
            vm.revertToState(id);
        }
    }

    /// @notice Send the first proofs of the second draw.
    function sendFirst(uint256 count) external {
        send(_proveWinners(0, count));
    }

    /* MEASURED */

    function test_gas__five_seats__is_on_record() external {
        _measureSize();
    }

    function test_gas__nine_seats__is_on_record() external {
        _measureSize();
    }

    function test_gas__twenty_one_seats__is_on_record() external {
        _measureSize();
    }

    function test_gas__thirty_two_seats__is_on_record() external {
        _measureSize();
    }

    function test_gas__later_bundle_of_nine_seats__is_on_record() external {
        _record("c = 9, accepted = 5 after 5", _measure(_proveWinners(5, 5)), 5);
    }

    function test_gas__largest_bundle_and_committee__fits_a_transaction() external {
        advance(2 * WINDOW);
        uint256 used = _measure(proveAll(0, VALIDATORS));
        assertEq(listOf().length, 96, "the list is full");
        vm.snapshotValue("DrawGas", "c = 64, proofs = 32, third stage", used);
        assertLe(used, MOST, "gas of a transaction");
    }

    /* INTERNAL */

    function _measureSize() private {
        uint256[3] memory counts = [uint256(1), 5, 10];
        for (uint256 i = 0; i < 3; ++i) {
            uint256 id = vm.snapshotState();
            string memory name = string.concat("c = ", vm.toString(uint256(committeeSize)), ", accepted = ");
            _record(string.concat(name, vm.toString(counts[i])), _measure(_proveWinners(0, counts[i])), counts[i]);
            vm.revertToState(id);
        }
    }

    function _record(string memory name, uint256 used, uint256 accepted) private {
        vm.snapshotValue("DrawGas", name, used);
        vm.snapshotValue("DrawGas", string.concat(name, ", meant"), PER_DRAW + PER_PROOF * accepted);
    }

    function _countWinners() private view returns (uint256 winners) {
        for (uint256 i = 0; i < VALIDATORS && winners < 10; ++i) {
            if (countWon(validators[i], 0) != 0) ++winners;
        }
    }

    /// @dev Of ten winners, the highest first: each one's best seat is below all before it, so each is accepted.
    function _proveWinners(uint256 first, uint256 count) private view returns (SeatProof[] memory proofs) {
        uint256[] memory seats = listWon(type(uint256).max, 0);
        uint256[10] memory places;
        uint256 known = 0;
        uint256 free = 10;
        for (uint256 i = 0; free != 0; ++i) {
            uint256 place = seats[i] % 64;
            if ((known >> place) & 1 != 0) continue;
            known |= 1 << place;
            places[--free] = place;
        }
        proofs = new SeatProof[](count);
        for (uint256 i = 0; i < count; ++i) {
            proofs[i] = proveFor(validators[places[first + i]]);
        }
    }

    function _measure(SeatProof[] memory proofs) private returns (uint256 used) {
        bytes memory call = abi.encodeCall(IRoundManager.proveSeats, (taskId, currentRound(), proofs));
        vm.cool(address(manager));
        vm.cool(_drawBook);
        (bool isDone,) = address(manager).call(call);
        // The frame's own gas: this contract's memory, and access to the target, which is intrinsic, are not in it.
        used = INTRINSIC + _priceCalldata(call) + vm.lastCallGas().gasTotalUsed;
        assertTrue(isDone, "accepted");
    }

    /// @dev The library's address stands in the manager's code, where the artifact says.
    function _findDrawBook() private view returns (address library_) {
        string memory artifact = vm.readFile("build/forge-out/RoundManager.sol/RoundManager.json");
        string memory references = ".deployedBytecode.linkReferences['contracts/libraries/DrawBook.sol'].DrawBook[0]";
        uint256 start = vm.parseJsonUint(artifact, string.concat(references, ".start"));
        bytes memory code = address(manager).code;
        assembly ("memory-safe") {
            library_ := shr(96, mload(add(add(code, 0x20), start)))
        }
        assertTrue(library_.code.length != 0, "the library's code");
    }

    function _priceCalldata(bytes memory call) private pure returns (uint256 gas) {
        for (uint256 i = 0; i < call.length; ++i) {
            gas += call[i] == 0 ? 4 : 16;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Ballot} from "../../../contracts/types/VoteTypes.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice A list that overflows: more validators than it has room for, one seat each.
contract CrowdedDrawTest is DrawSuite {
    function setUp() external {
        deployDrawn(5, 12);
    }

    function test_list__full__keeps_the_lowest_and_forgets_the_rest() external {
        openSeeded("seed");
        advance(3 * WINDOW);
        uint256[] memory all = listWon(4095, 3);
        assertEq(all.length, 12, "one seat each");
        // From the highest score down: each one enters and throws another out.
        for (uint256 i = 12; i != 0; --i) {
            send(one(proveFor(validators[all[i - 1] % 64])));
            assertEq(listOf()[0], all[i - 1], "first");
        }
        uint256[] memory list = listOf();
        assertEq(list.length, 8, "five and three in reserve");
        for (uint256 i = 0; i < 8; ++i) {
            assertEq(list[i], all[i], "lowest");
        }
        uint8 out = uint8(all[8] % 64);
        SeatProof[] memory proofs = one(proveFor(validators[out]));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NoSeat.selector, out));
        this.sendFrom(proofs);
        for (uint256 i = 0; i < 12; ++i) {
            assertEq(seatsOf(validators[all[i] % 64]), i < 5 ? 1 : 0, "the five lowest sit");
        }
    }

    function test_bundle__one_that_cannot_enter__is_skipped_unverified() external {
        openSeeded("seed");
        advance(3 * WINDOW);
        uint256[] memory all = listWon(4095, 3);
        for (uint256 i = 1; i < 9; ++i) {
            send(one(proveFor(validators[all[i] % 64])));
        }
        SeatProof[] memory proofs = new SeatProof[](2);
        (proofs[0], proofs[1]) = (proveFor(validators[all[11] % 64]), proveFor(validators[all[0] % 64]));
        // What is not looked at may be wrong.
        proofs[0].proof.s ^= 1;
        send(proofs);
        assertEq(listOf()[0], all[0], "entered");
        assertEq(listOf()[7], all[7], "evicted");
        Ballot memory ballot = manager.getBallot(taskId);
        assertEq(ballot.voteClose - ballot.openedAt, 30, "vote");
    }

    function test_bundle__skipped_beside_a_real_one__leaves_no_output() external {
        openSeeded("seed");
        advance(3 * WINDOW);
        uint256[] memory all = listWon(4095, 3);
        for (uint256 i = 1; i < 9; ++i) {
            send(one(proveFor(validators[all[i] % 64])));
        }
        address winner = validators[all[0] % 64];
        SeatProof[] memory proofs = new SeatProof[](4);
        (proofs[0], proofs[1]) = (_forge(validators[all[11] % 64]), proveFor(winner));
        // Neither one on the list already nor an honest one that comes too late is looked at.
        (proofs[2], proofs[3]) = (proveFor(winner), proveFor(validators[all[10] % 64]));
        uint8[] memory places = new uint8[](4);
        for (uint256 i = 0; i < 4; ++i) {
            places[i] = proofs[i].place;
        }
        bytes32[] memory outputs = new bytes32[](4);
        outputs[1] = prover.computeOutput(secretOf(winner), alpha());
        uint256 committee;
        for (uint256 i = 0; i < 5; ++i) {
            committee += 1 << (4 * (all[i] % 64));
        }
        vm.expectEmit(address(manager));
        emit IRoundManager.SeatsProven(taskId, 1, 0, places, outputs, committee);
        send(proofs);
    }

    /// @dev A proof that nobody made, of an output whose score is too high for the list.
    function _forge(address validator) private returns (SeatProof memory forged) {
        forged = proveFor(validator);
        bytes4 reason;
        while (reason != IRoundManager.NoSeat.selector) {
            ++forged.proof.gammaX;
            try this.sendFrom(one(forged)) {}
            catch (bytes memory data) {
                reason = bytes4(data);
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {DrawKey, SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Outcome, Phase, Verdict} from "../../../contracts/types/Types.sol";
import {SignedVote, Vote} from "../../../contracts/types/VoteTypes.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice Votes of a drawn committee: weights, quorum, and what silence costs.
contract DrawnVotesTest is DrawSuite {
    uint96 private constant PENALTY = 0.2 ether;

    function setUp() external {
        deployDrawn(9, 10);
    }

    /* WEIGHTS */

    function test_vote__of_a_holder__weighs_its_seats() external {
        openDrawnVote("seed");
        uint256 cast = 0;
        for (uint256 i = 0; i < 10; ++i) {
            uint256 seats = seatsOf(validators[i]);
            Vote memory paper = makeVote(Verdict.Approve);
            if (seats == 0) {
                vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[i]));
                this.voteFrom(validators[i], paper);
                continue;
            }
            voteAs(validators[i], paper);
            cast += seats;
            assertEq(manager.getBallot(taskId).approvals, cast, "approvals");
            assertEq(manager.getBallot(taskId).cast, cast, "cast");
            assertTrue((phase() == Phase.Settle) == (cast >= 7), "a quorum of nine seats is seven");
            if (cast >= 7) break;
        }
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
    }

    function test_vote_bundle__holders__weigh_their_seats_once() external {
        openDrawnVote("seed");
        SignedVote[] memory bundle = new SignedVote[](2);
        uint256 count = 0;
        uint256 seats = 0;
        for (uint256 i = 0; count < 2; ++i) {
            if (seatsOf(validators[i]) == 0) continue;
            seats += seatsOf(validators[i]);
            bundle[count++] = signVote(validators[i], 1, 0, makeVote(Verdict.DataMissing));
        }
        manager.voteBundle(taskId, 1, bundle);
        manager.voteBundle(taskId, 1, bundle);
        assertEq(manager.getBallot(taskId).missing, seats, "missing");
        uint256 out = 0;
        while (seatsOf(validators[out]) != 0) ++out;
        bundle[1] = signVote(validators[out], 1, 0, makeVote(Verdict.DataMissing));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[out]));
        manager.voteBundle(taskId, 1, bundle);
    }

    function test_vote__seven_seats_object_alike__prove_the_proposal_wrong() external {
        openDrawnVote("seed");
        voteSeated(0, 10, Verdict.Wrong);
        assertLe(7, manager.getBallot(taskId).topReject, "seats, not voters");
        manager.settle(taskId);
        assertEq(stakeOf(proposers[0]), STAKE - BOND, "bond is gone");
        assertTrue(phase() == Phase.Propose, "next attempt");
        proposeNext();
        assertTrue(phase() == Phase.Seat && drawOf().attempt == 1, "with a draw of its own");
        assertTrue(drawOf().beacons != 0, "led by the last");
        fixSeed("second");
        sendAll(0, 10);
        assertLe(7, countSeated(), "nobody rests, for nobody was silent");
    }

    function test_vote__majority_at_the_close__is_final_and_the_silent_pay() external {
        openDrawnVote("seed");
        address silent = _find(2);
        uint256 worse = 0;
        for (uint256 i = 0; i < 10; ++i) {
            uint256 seats = seatsOf(validators[i]);
            if (seats == 0 || validators[i] == silent) continue;
            bool isWorse = worse + seats <= 4;
            voteAs(validators[i], makeVote(isWorse ? Verdict.Worse : Verdict.Approve));
            if (isWorse) worse += seats;
        }
        assertTrue(phase() == Phase.Vote, "the last two seats could still make it worse");
        advance(30);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        for (uint256 i = 0; i < 10; ++i) {
            assertEq(stakeOf(validators[i]), validators[i] == silent ? STAKE - PENALTY : STAKE, "stake");
        }
    }

    function test_vote__proposer_with_a_place__neither_votes_nor_pays() external {
        openRound();
        submitAll();
        attestAll();
        advance(40);
        proposeAs(validators[0], makeContent(1));
        fixSeed("seed");
        sendAll(1, 9);
        vm.warp(manager.getBallot(taskId).openedAt);
        Vote memory paper = makeVote(Verdict.Approve);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.OwnProposal.selector, validators[0]));
        this.voteFrom(validators[0], paper);
        _runOut();
        _runOut();
        assertTrue(phase() == Phase.Propose, "undecided");
        assertEq(stakeOf(validators[0]), STAKE, "the proposer may not vote");
        assertEq(registry.getAgent(validators[0]).locked, 0, "bond");
    }

    /* SILENCE */

    function test_extension__silent_holders__are_replaced_from_the_list() external {
        (uint256 silent, uint256 freed) = _openWithSilent();
        uint256[] memory list = listOf();
        uint256[10] memory expected;
        for (uint256 i = 0; i < 10; ++i) {
            if ((silent >> i) & 1 == 0) expected[i] = seatsOf(validators[i]);
        }
        for (uint256 i = 9; i < list.length && freed != 0; ++i) {
            uint256 place = list[i] % 64;
            if ((silent >> place) & 1 != 0 || expected[place] != 0) continue;
            (expected[place], freed) = (1, freed - 1);
        }
        uint32 epoch = uint32((vm.getBlockTimestamp() + 30) / EPOCH);
        _runOut();
        assertTrue(phase() == Phase.Vote && manager.getBallot(taskId).isExtended, "extended");
        assertEq(manager.getBallot(taskId).voteClose, vm.getBlockTimestamp() + 30, "close");
        uint256 burned = 0;
        for (uint256 i = 0; i < 10; ++i) {
            bool wasSilent = (silent >> i) & 1 != 0;
            assertEq(seatsOf(validators[i]), expected[i], "seats");
            assertEq(stakeOf(validators[i]), wasSilent ? STAKE - PENALTY : STAKE, "stake");
            assertEq(keyOf(validators[i]).penalties, wasSilent ? 1 : 0, "penalties");
            if (!wasSilent) continue;
            burned += PENALTY;
            assertEq(keyOf(validators[i]).activeFrom, epoch + 2, "rests");
            Vote memory paper = makeVote(Verdict.Approve);
            vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[i]));
            this.voteFrom(validators[i], paper);
        }
        assertEq(token.balanceOf(BURNED), burned, "burned");
    }

    function test_extension__spares_vote__decide_and_the_silent_rest_a_round() external {
        (uint256 silent,) = _openWithSilent();
        _runOut();
        for (uint256 i = 0; i < 10; ++i) {
            bool isSpare = seatsOf(validators[i]) != 0 && (manager.getBallot(taskId).voted >> i) & 1 == 0;
            if (isSpare && phase() == Phase.Vote) voteAs(validators[i], makeVote(Verdict.Approve));
        }
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        openSeeded("next");
        advance(3 * WINDOW);
        uint256 resting = 0;
        for (uint256 i = 0; i < 10; ++i) {
            if ((silent >> i) & 1 == 0) continue;
            ++resting;
            SeatProof[] memory proofs = one(proveFor(validators[i]));
            vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, uint8(i)));
            this.sendFrom(proofs);
        }
        assertEq(drawOf().totalWeight, (10 - resting) * WEIGHT, "the resting weigh nothing");
        advance(WINDOW);
        manager.settle(taskId);
        advance(20);
        openSeeded("after");
        assertEq(drawOf().totalWeight, 10 * WEIGHT, "they are back");
        sendAll(0, 10);
    }

    function test_extension__undecided_again__draws_anew_without_the_silent() external {
        (uint256 silent,) = _openWithSilent();
        _runOut();
        uint256 spares = 0;
        for (uint256 i = 0; i < 10; ++i) {
            if (seatsOf(validators[i]) != 0 && (manager.getBallot(taskId).voted >> i) & 1 == 0) spares |= 1 << i;
        }
        assertTrue(spares != 0, "spares sit");
        _runOut();
        assertTrue(phase() == Phase.Propose, "next attempt");
        for (uint256 i = 0; i < 10; ++i) {
            bool pays = ((silent | spares) >> i) & 1 != 0;
            assertEq(stakeOf(validators[i]), pays ? STAKE - PENALTY : STAKE, "each pays once");
        }
        proposeNext();
        assertEq(drawOf().attempt, 1, "attempt");
        fixSeed("second");
        assertEq(drawOf().totalWeight, 10 * WEIGHT, "weight at the opening");
        for (uint256 i = 0; i < 10; ++i) {
            if (((silent | spares) >> i) & 1 == 0) continue;
            SeatProof[] memory proofs = one(proveFor(validators[i]));
            vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, uint8(i)));
            this.sendFrom(proofs);
        }
    }

    function test_silence__three_times__may_be_dismissed() external {
        for (uint256 turn = 1; turn <= 3; ++turn) {
            openDrawnVote(bytes32(turn));
            _runOut();
            _runOut();
            vm.warp(vm.getBlockTimestamp() + 60);
            manager.settle(taskId);
            assertTrue(outcome() == Outcome.AbortedNoProposal, "outcome");
            vm.warp(manager.getTaskStatus(taskId).nextOpenAt + 30);
        }
        uint256 dismissed = 0;
        for (uint256 i = 0; i < 10; ++i) {
            uint256 penalties = keyOf(validators[i]).penalties;
            assertEq(stakeOf(validators[i]), STAKE - penalties * PENALTY, "stake");
            if (penalties < 3) {
                vm.expectRevert(abi.encodeWithSelector(ITasks.StillInGoodStanding.selector, taskId, validators[i]));
            } else {
                ++dismissed;
            }
            manager.dismiss(taskId, validators[i]);
        }
        assertTrue(dismissed > 0, "somebody was seated three times");
    }

    function test_silence__holder_left_meanwhile__its_successor_does_not_pay() external {
        openDrawnVote("seed");
        address gone = _find(1);
        uint8 place = manager.getMember(taskId, gone).place;
        advance(1);
        vm.prank(gone);
        manager.leaveTask(taskId);
        address successor = addValidator("successor");
        assertEq(manager.getMember(taskId, successor).place, place, "place");
        advance(29);
        manager.settle(taskId);
        assertEq(stakeOf(gone), STAKE, "who left");
        assertEq(stakeOf(successor), STAKE, "who came");
        DrawKey memory known = keyOf(successor);
        assertEq(known.penalties, 0, "penalties");
    }

    /* INTERNAL */

    /// @dev The first validator with so many seats.
    function _find(uint256 seats) private view returns (address) {
        for (uint256 i = 0; i < 10; ++i) {
            if (seatsOf(validators[i]) == seats) return validators[i];
        }
        revert NotTrue("nobody has so many seats");
    }

    /// @dev A vote with three or four seats silent, and as many spares on the list as a quorum needs.
    function _openWithSilent() private returns (uint256 silent, uint256 freed) {
        for (uint256 seed = 1;; ++seed) {
            uint256 id = vm.snapshotState();
            openDrawnVote(bytes32(seed));
            if (_countSpares() > 1) break;
            vm.revertToState(id);
        }
        for (uint256 i = 0; i < 10; ++i) {
            uint256 seats = seatsOf(validators[i]);
            if (seats == 0) continue;
            if (freed < 3) (silent, freed) = (silent | (1 << i), freed + seats);
            else voteAs(validators[i], makeVote(Verdict.Approve));
        }
    }

    function _countSpares() private view returns (uint256 spares) {
        uint256[] memory list = listOf();
        uint256 known = 0;
        for (uint256 i = 9; i < list.length; ++i) {
            uint256 place = list[i] % 64;
            if (seatsOf(validators[place]) == 0 && (known >> place) & 1 == 0) ++spares;
            known |= 1 << place;
        }
    }

    function _runOut() private {
        vm.warp(manager.getBallot(taskId).voteClose);
        manager.settle(taskId);
    }
}

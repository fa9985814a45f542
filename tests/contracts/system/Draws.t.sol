// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {Committees} from "../../../contracts/libraries/Committees.sol";
import {VRF} from "../../../contracts/libraries/VRF.sol";
import {Draw, DrawKey, SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Outcome, Phase, Verdict} from "../../../contracts/types/Types.sol";
import {Vote} from "../../../contracts/types/VoteTypes.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice SEAT with real proofs: seeds, stages, and who comes onto the list.
contract DrawsTest is DrawSuite {
    function setUp() external {
        // At most two seats for each of ten validators; seven of nine decide; fourteen are listed.
        deployDrawn(9, 10);
    }

    /* THE SEED */

    function test_seed__unknown_for_three_windows__everybody_sits() external {
        openSeat();
        uint40 deadline = uint40(vm.getBlockTimestamp()) + 3 * WINDOW;
        SeatProof[] memory proofs = proveAll(0, 1);
        vm.expectRevert(IRoundManager.NotSeeded.selector);
        this.sendFrom(proofs);
        advance(3 * WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.SeedNotReady.selector, deadline));
        manager.openSeats(taskId, 1);
        advance(1);
        vm.expectEmit(address(manager));
        emit IRoundManager.SeatsOpened(taskId, 1, 0, 0);
        manager.openSeats(taskId, 1);
        assertEq(manager.getRound(taskId).seats, 0, "no committee");
        assertTrue(phase() == Phase.Vote, "vote");
        assertEq(manager.getBallot(taskId).voteClose, vm.getBlockTimestamp() + 30, "close");
        voteFirst(6, Verdict.Approve);
        assertTrue(phase() == Phase.Vote, "six of ten are no quorum");
        voteAs(validators[6], makeVote(Verdict.Approve));
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        openSeeded("next");
        assertEq(manager.getRound(taskId).seats, 9, "the next round draws again");
        assertEq(drawOf().beacons, 0, "nobody led the draw before");
        sendAll(0, 10);
        _assertList(1023, 0);
    }

    function test_seed__late_but_before_anybody_opened__still_draws() external {
        openSeat();
        advance(5 * WINDOW);
        fixSeed("late");
        assertTrue(phase() == Phase.Seat && manager.getRound(taskId).seats == 9, "drawn");
        assertEq(manager.getBallot(taskId).openedAt, vm.getBlockTimestamp() + 4 * WINDOW, "stages count from the seed");
    }

    function test_seed__known__is_fixed_once() external {
        openRound();
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Seat, Phase.Submit));
        manager.openSeats(taskId, 1);
        submitAll();
        attestAll();
        proposeAs(proposers[0], makeContent(1));
        Draw memory expected;
        (expected.round, expected.totalWeight) = (1, uint40(10 * WEIGHT));
        (expected.pinnedBlock, expected.proposedAt) = (uint40(vm.getBlockNumber()) + 1, uint40(vm.getBlockTimestamp()));
        assertEq(keccak256(abi.encode(drawOf())), keccak256(abi.encode(expected)), "draw");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongRound.selector, 1, 2));
        manager.openSeats(taskId, 2);
        advance(7);
        fixSeed("seed");
        (expected.isSeeded, expected.seededAt) = (true, uint40(vm.getBlockTimestamp()));
        assertEq(keccak256(abi.encode(drawOf())), keccak256(abi.encode(expected)), "seeded");
        vm.expectRevert(IRoundManager.AlreadySeeded.selector);
        manager.openSeats(taskId, 1);
        (, bytes32 seed,,) = manager.getDraw(taskId);
        assertEq(seed, "seed", "seed");
    }

    /* THE LIST */

    function test_list__all_proofs_in_a_bundle__holds_the_lowest_scores() external {
        openSeeded("seed");
        bytes32[] memory outputs = new bytes32[](10);
        uint8[] memory places = new uint8[](10);
        for (uint8 i = 0; i < 10; ++i) {
            places[i] = i;
            if (_isAmongLowest(i)) outputs[i] = prover.computeOutput(secretOf(validators[i]), alpha());
        }
        SeatProof[] memory proofs = proveAll(0, 10);
        uint256 committee = _expectCommittee(listWon(1023, 0));
        vm.expectEmit(address(manager));
        emit IRoundManager.SeatsProven(taskId, 1, 0, places, outputs, committee);
        send(proofs);
        _assertList(1023, 0);
        assertEq(countSeated(), 9, "seats");
        for (uint256 i = 0; i < 10; ++i) {
            assertLe(seatsOf(validators[i]), 2, "one third of the seats, but one");
        }
    }

    function test_list__any_order__is_the_same() external {
        for (uint256 turn = 0; turn < 4; ++turn) {
            uint256 id = vm.snapshotState();
            openSeeded(bytes32(turn + 1));
            for (uint256 i = 0; i < 10; ++i) {
                SeatProof[] memory proofs = one(proveFor(validators[turn % 2 == 0 ? 9 - i : (7 * i) % 10]));
                // Some win nothing, some come too late: they are refused, and nothing else changes.
                try this.sendFrom(proofs) {}
                catch (bytes memory reason) {
                    assertEq(bytes32(bytes4(reason)), bytes32(IRoundManager.NoSeat.selector), "reason");
                }
            }
            _assertList(1023, 0);
            vm.revertToState(id);
        }
    }

    function test_list__same_proof_again__is_refused_or_skipped() external {
        openSeeded("seed");
        advance(3 * WINDOW);
        SeatProof[] memory proofs = proveAll(0, 2);
        send(one(proofs[0]));
        bytes32 before = keccak256(abi.encode(listOf()));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NoSeat.selector, proofs[0].place));
        this.sendFrom(one(proofs[0]));
        proofs[1] = proofs[0];
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NoSeat.selector, proofs[0].place));
        this.sendFrom(proofs);
        assertEq(keccak256(abi.encode(listOf())), before, "list");
        proofs[1] = proveFor(validators[1]);
        send(proofs);
        _assertList(3, 3);
    }

    function test_leaders__next_draw__are_the_first_three_holders() external {
        openDrawnVote("seed");
        uint256[] memory list = listOf();
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        (uint256 expected, uint256 count, uint256 known) = (0, 0, 0);
        for (uint256 i = 0; i < list.length && count < 3; ++i) {
            uint256 place = list[i] % 64;
            if ((known >> place) & 1 != 0) continue;
            (known, expected) = (known | (1 << place), expected | ((place + 1) << (8 * count++)));
        }
        assertEq(drawOf().beacons, expected, "beacons");
        assertEq(drawOf().entries, 0, "entries");
        SeatProof[] memory proofs = proveAll(0, 1);
        vm.expectRevert(IRoundManager.NotSeeded.selector);
        this.sendFrom(proofs);
    }

    /* STAGES */

    function test_stages__committee_fills_in_the_second__vote_opens_at_its_end() external {
        openSeeded("seed");
        uint256 seeded = vm.getBlockTimestamp();
        send(proveAll(0, 4));
        uint256 first = listOf().length;
        assertEq(first, listWon(15, 0).length, "first stage");
        assertLe(first, 8, "not full");
        assertEq(manager.getBallot(taskId).openedAt, seeded + 4 * WINDOW, "no stage has filled it");
        advance(WINDOW);
        send(proveAll(0, 9));
        _assertList(511, 1);
        assertLe(9, listOf().length, "full");
        assertEq(manager.getBallot(taskId).openedAt, seeded + 2 * WINDOW, "opens");
        assertEq(manager.getBallot(taskId).voteClose, seeded + 2 * WINDOW + 30, "closes");
        advance(WINDOW - 1);
        assertTrue(phase() == Phase.Seat, "the stage runs to its end");
        advance(1);
        assertTrue(phase() == Phase.Vote, "vote");
        SeatProof[] memory late = one(proveFor(validators[9]));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Seat, Phase.Vote));
        this.sendFrom(late);
    }

    function test_stages__filled__lower_scores_still_enter_until_its_end() external {
        openSeeded("seed");
        send(proveAll(0, 9));
        uint256 opens = manager.getBallot(taskId).openedAt;
        assertEq(opens, vm.getBlockTimestamp() + WINDOW, "filled in the first stage");
        advance(WINDOW - 1);
        uint256[] memory best = listWon(1 << 9, 0);
        if (best.length != 0) send(one(proveFor(validators[9])));
        _assertList(1023, 0);
        assertEq(manager.getBallot(taskId).openedAt, opens, "no later stage");
    }

    function test_stages__later_stage__gives_a_validator_more_seats() external {
        openSeat();
        uint256 who = 10;
        // A seed under which somebody wins nothing at first.
        for (uint256 seed = 1; who == 10; ++seed) {
            uint256 id = vm.snapshotState();
            fixSeed(bytes32(seed));
            for (uint256 i = 0; i < 10; ++i) {
                if (countWon(validators[i], 0) == 0) who = i;
            }
            if (who == 10) vm.revertToState(id);
        }
        SeatProof[] memory proofs = one(proveFor(validators[who]));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NoSeat.selector, uint8(who)));
        this.sendFrom(proofs);
        advance(3 * WINDOW);
        send(proofs);
        assertEq(listOf().length, countWon(validators[who], 3), "the same proof wins later");
    }

    function test_stages__quorum_after_the_last__votes_with_fewer_seats() external {
        openSeeded("seed");
        uint256 seeded = vm.getBlockTimestamp();
        advance(4 * WINDOW - 1);
        send(proveAll(0, 4));
        assertEq(countSeated(), 8, "two each");
        advance(1);
        assertTrue(phase() == Phase.Vote, "eight of nine seats");
        assertEq(manager.getBallot(taskId).voteClose, seeded + 4 * WINDOW + 30, "close");
        voteSeated(0, 3, Verdict.Approve);
        assertTrue(phase() == Phase.Vote, "six of nine are no quorum");
        voteAs(validators[3], makeVote(Verdict.Approve));
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
    }

    function test_stages__too_few_seats__ends_without_a_committee() external {
        openSeeded("seed");
        advance(3 * WINDOW);
        send(proveAll(0, 3));
        assertEq(countSeated(), 6, "one short of a quorum");
        advance(WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Settle, Phase.Seat));
        manager.settle(taskId);
        advance(1);
        assertTrue(phase() == Phase.Settle, "settle");
        _assertUnseated();
    }

    function test_stages__no_proof_at_all__ends_without_a_committee() external {
        openSeeded("seed");
        advance(4 * WINDOW);
        Vote memory paper = makeVote(Verdict.Approve);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Vote, Phase.Settle));
        this.voteFrom(validators[0], paper);
        _assertUnseated();
    }

    function test_vote__in_seat__is_too_early() external {
        openSeat();
        Vote memory paper = makeVote(Verdict.Approve);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Vote, Phase.Seat));
        this.voteFrom(validators[0], paper);
    }

    /* WHO MAY NOT */

    function test_proof__of_a_new_or_unknown_validator__is_not_drawable() external {
        openRound();
        address late = addValidator("late");
        submitAll();
        attestAll();
        proposeAs(proposers[0], makeContent(1));
        fixSeed("seed");
        SeatProof[] memory proofs = one(proveFor(late));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, 10));
        this.sendFrom(proofs);
        proofs[0].place = 63;
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, 63));
        this.sendFrom(proofs);
        proofs[0].place = 255;
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, 255));
        this.sendFrom(proofs);
    }

    function test_proof__of_one_who_left__is_not_drawable() external {
        openSeeded("seed");
        SeatProof[] memory proofs = one(proveFor(validators[2]));
        vm.prank(validators[2]);
        manager.leaveTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, 2));
        this.sendFrom(proofs);
        (DrawKey memory known, address holder) = manager.getDrawKey(taskId, 2);
        assertTrue(known.keyHash == 0 && holder == validators[2], "the place remembers who held it");
    }

    function test_proof__under_anothers_place_or_key__is_refused() external {
        openSeeded("seed");
        SeatProof memory proof = proveFor(validators[1]);
        proof.place = 2;
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongKey.selector, 2));
        this.sendFrom(one(proof));
        proof.key.parity ^= 1;
        proof.place = 1;
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongKey.selector, 1));
        this.sendFrom(one(proof));
    }

    function test_proof__for_another_draw__is_invalid() external {
        openSeeded("one seed");
        SeatProof memory other = proveFor(validators[0]);
        advance(4 * WINDOW);
        manager.settle(taskId);
        advance(10);
        openSeeded("another seed");
        // Everybody is admitted, so that only the proof can be at fault.
        advance(3 * WINDOW);
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        this.sendFrom(one(other));
        SeatProof memory forged = proveFor(validators[0]);
        forged.proof.gammaX = other.proof.gammaX;
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        this.sendFrom(one(forged));
        SeatProof[] memory pair = proveAll(0, 2);
        pair[1].proof.s ^= 1;
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        this.sendFrom(pair);
        assertEq(listOf().length, 0, "nothing is kept of a bundle that failed");
    }

    function test_proof__of_the_proposer__is_refused() external {
        openRound();
        submitAll();
        attestAll();
        advance(40);
        proposeAs(validators[3], makeContent(1));
        fixSeed("seed");
        advance(3 * WINDOW);
        SeatProof[] memory proofs = one(proveFor(validators[3]));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.OwnProposal.selector, validators[3]));
        this.sendFrom(proofs);
        send(proveAll(4, 4));
        assertEq(countSeated(), 8, "the others sit");
    }

    function test_bundle__empty_or_too_long_or_for_another_round__is_refused() external {
        openSeeded("seed");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidBundle.selector, 0));
        this.sendFrom(new SeatProof[](0));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidBundle.selector, 33));
        this.sendFrom(new SeatProof[](33));
        SeatProof[] memory proofs = proveAll(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongRound.selector, 1, 2));
        manager.proveSeats(taskId, 2, proofs);
    }

    /* INTERNAL */

    function _assertUnseated() private {
        uint256 available = rewards.getBudget(taskId).available;
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedNoCommittee, "outcome");
        assertEq(registry.getAgent(proposers[0]).locked, 0, "bond given back");
        assertEq(stakeOf(proposers[0]), STAKE, "proposer's stake");
        for (uint256 i = 0; i < 10; ++i) {
            assertEq(stakeOf(validators[i]), STAKE, "stake");
        }
        assertEq(rewards.getBudget(taskId).available, available + RESERVE, "reserve is back");
        assertEq(uint256(manager.getTaskStatus(taskId).abortStreak), 1, "streak");
        assertEq(token.balanceOf(BURNED), 0, "burned");
    }

    /// @dev Return whether a validator has a seat on the list of those up to it.
    function _isAmongLowest(uint256 place) private view returns (bool) {
        uint256[] memory won = listWon((2 << place) - 1, 0);
        for (uint256 i = 0; i < won.length && i < Committees.capacity(committeeSize); ++i) {
            if (won[i] % 64 == place) return true;
        }
        return false;
    }

    function _assertList(uint256 set, uint256 stage) private view {
        uint256[] memory expected = listWon(set, stage);
        uint256[] memory list = listOf();
        uint256 most = Committees.capacity(committeeSize);
        assertEq(list.length, expected.length < most ? expected.length : most, "length");
        for (uint256 i = 0; i < list.length; ++i) {
            assertEq(list[i], expected[i], "seat");
        }
        (,,, uint256 committee) = manager.getDraw(taskId);
        assertEq(committee, _expectCommittee(expected), "committee");
    }

    function _expectCommittee(uint256[] memory sorted) private view returns (uint256 committee) {
        for (uint256 i = 0; i < sorted.length && i < committeeSize; ++i) {
            committee += 1 << (4 * (sorted[i] % 64));
        }
    }
}

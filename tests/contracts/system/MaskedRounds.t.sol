// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "../../../contracts/interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {MaskedRound, SignedRecord} from "../../../contracts/types/MaskedTypes.sol";
import {Outcome, Phase, Verdict} from "../../../contracts/types/Types.sol";
import {MaskedSuite} from "./MaskedSuite.sol";

/// @notice The masked part of a round, call by call.
contract MaskedRoundsTest is MaskedSuite {
    function test_round__everybody_acts__is_finalised() external {
        reach(Phase.Unmask);
        postAll();
        assertEq(uint256(phase()), uint256(Phase.Settle), "waits for settle");
        manager.settle(taskId);
        assertEq(uint256(phase()), uint256(Phase.Propose), "propose");
        (uint256[] memory words, uint256 count) = manager.getSurvivors(taskId);
        assertEq(words[0], ALL, "survivors");
        assertEq(count, 8, "count");
        assertEq(manager.getRound(taskId).attesters, 4, "attesters");
        proposeAs(proposers[0], makeContent(currentRound()));
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(Outcome.Finalized), "final");
    }

    function test_RevertWhen_plain_calls_come_in_the_masked_part() external {
        reach(Phase.Shares);
        uint32 round = currentRound();
        vm.prank(agents[0]);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Submit, Phase.Shares));
        manager.submit(taskId, round, "digest", 1);
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Attest, Phase.Shares));
        manager.attest(taskId, round, single(0));
    }

    function test_RevertWhen_a_record_names_another_anchor() external {
        reach(Phase.Shares);
        MaskedRound memory now_ = seen();
        vm.prank(agents[0]);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.StaleView.selector, now_.anchor, bytes32("fork")));
        masked.postRecord(taskId, now_.round, Phase.Shares, "fork", "digest");
    }

    function test_RevertWhen_a_phase_waits_for_finality() external {
        postAll();
        vm.roll(vm.getBlockNumber() + 1);
        MaskedRound memory now_ = seen();
        assertEq(now_.opensAt, vm.getBlockTimestamp() + PAUSE, "opening");
        vm.prank(agents[0]);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotOpenYet.selector, now_.opensAt));
        masked.postRecord(taskId, now_.round, Phase.Shares, now_.anchor, "digest");
    }

    function test_anchor__another_block_hash__differs() external {
        postAll();
        begin();
        bytes32 one = seen().anchor;
        vm.setBlockhash(seen().closeBlock, keccak256("another fork"));
        assertTrue(one != seen().anchor, "anchor");
        masked.pinAnchor(taskId);
        bytes32 pinned = seen().anchor;
        vm.setBlockhash(seen().closeBlock, keccak256("a third fork"));
        assertEq(pinned, seen().anchor, "pinned");
    }

    function test_void__forged_record__costs_the_relayer_and_lets_the_agent_post() external {
        reach(Phase.Shares);
        SignedRecord[] memory records = relay(2, 1);
        uint96 stake = registry.getAgent(proposers[0]).stake;
        _void(records, 1);
        assertEq(seen().count, 1, "count");
        assertEq(registry.getAgent(proposers[0]).stake, stake - 10 ether, "stake");
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NoSuchRecord.selector, 0, 1));
        this.callVoid(records, 1);
        post(1);
        assertEq(seen().count, 2, "count after the direct record");
    }

    function test_void__join_of_an_agent_who_left__costs_the_relayer_nothing() external {
        // A first JOIN is direct; in the second round agents have places.
        postAll();
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        vm.warp(manager.getTaskStatus(taskId).nextOpenAt);
        openRound();
        SignedRecord[] memory records = relay(2, 2);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.RecordIsSound.selector, 1));
        this.callVoid(records, 1);
        // In the second of the opening, so that it is no member of the round.
        vm.prank(agents[1]);
        manager.leaveTask(taskId);
        uint96 stake = registry.getAgent(proposers[0]).stake;
        _void(records, 1);
        assertEq(seen().count, 1, "count");
        assertEq(registry.getAgent(proposers[0]).stake, stake, "stake");
    }

    function test_RevertWhen_a_sound_record_is_voided() external {
        reach(Phase.Shares);
        SignedRecord[] memory records = relay(2, 1);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.RecordIsSound.selector, 0));
        this.callVoid(records, 0);
    }

    function test_relay__all_places__waits_for_direct_records() external {
        reach(Phase.Shares);
        relay(8, 8);
        assertEq(uint256(phase()), uint256(Phase.Shares), "still open");
        post(0);
        advance(FORCED);
        manager.settle(taskId);
        assertEq(uint256(phase()), uint256(Phase.Check), "closed");
    }

    function test_RevertWhen_a_batch_comes_late_or_from_a_stranger() external {
        reach(Phase.Shares);
        MaskedRound memory now_ = seen();
        SignedRecord[] memory records = new SignedRecord[](1);
        records[0] = signRecord(0, agents[0]);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotRelayer.selector, address(this)));
        masked.relayRecords(taskId, now_.round, now_.phase, now_.anchor, single(1), records);
        vm.warp(now_.closesAt - FORCED + 1);
        vm.prank(proposers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.TooLateToRelay.selector, now_.closesAt - FORCED));
        masked.relayRecords(taskId, now_.round, now_.phase, now_.anchor, single(1), records);
    }

    function test_settle__too_few_unmask__aborts_and_stakes_are_whole() external {
        reach(Phase.Unmask);
        post(0);
        uint96 stake = registry.getAgent(agents[3]).stake;
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(Outcome.AbortedUnmask), "outcome");
        assertEq(registry.getAgent(agents[3]).stake, stake, "stake");
        uint256[] memory places = single(3);
        masked.punishMissing(taskId, currentRound(), Phase.Unmask, places);
        assertEq(registry.getAgent(agents[3]).stake, stake - 0.2 ether, "penalty");
    }

    function testFuzz_attest__any_bits__the_majority_decides(uint8[4] memory held) external {
        reach(Phase.Check);
        MaskedRound memory now_ = seen();
        uint256 kept = 0;
        for (uint256 place = 0; place < 8; ++place) {
            uint256 count = 0;
            for (uint256 i = 0; i < 4; ++i) {
                count += (held[i] >> place) & 1;
            }
            if (count >= 3) kept |= 1 << place;
        }
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(validators[i]);
            masked.attestRecords(taskId, now_.round, Phase.Check, now_.anchor, single(held[i]));
        }
        if (_popcount(kept) < 3) {
            manager.settle(taskId);
            assertEq(uint256(outcome()), uint256(Outcome.AbortedTooFew), "too few");
        } else {
            assertEq(masked.getSet(taskId, Phase.Check)[0], kept, "kept");
        }
    }

    function test_RevertWhen_others_use_what_is_the_round_managers() external {
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.ReservedForRoundManager.selector, address(this)));
        masked.open(taskId, 2, 1, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.ReservedForRoundManager.selector, address(this)));
        masked.settle(taskId);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRoundManager.selector, address(this)));
        registry.punishSilence(agents[0]);
    }

    /// @notice Void a record of batch 0; external, so that a revert can be expected of it.
    function callVoid(SignedRecord[] calldata records, uint256 place) external {
        _void(records, place);
    }

    function _void(SignedRecord[] memory records, uint256 place) private {
        MaskedRound memory now_ = seen();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = leafOf(now_.anchor, 1 - place, records[1 - place]);
        masked.voidRecord({
            taskId: taskId,
            round: now_.round,
            batch: 0,
            anchor: now_.anchor,
            place: place,
            record: records[place],
            proof: proof
        });
    }

    function _popcount(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }
}

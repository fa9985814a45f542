// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISeedSource} from "../../../contracts/interfaces/ISeedSource.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Verdict} from "../../../contracts/types/Types.sol";
import {Audit, SignedVote} from "../../../contracts/types/VoteTypes.sol";
import {DrawSuite} from "./DrawSuite.sol";
import {IChainSeeds} from "./System.sol";

/// @notice Attacks that worked once.
contract AttacksTest is DrawSuite {
    function setUp() external {
        deployDrawn(9, 10);
    }

    function test_attack__stranger_refreshes_keys_in_a_live_round__the_honest_stay_drawable() external {
        openRound();
        submitAll();
        attestAll();
        proposeAs(proposers[0], makeContent(1));
        vm.startPrank(address(0xBAD));
        for (uint256 i = 4; i < 10; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITasks.NothingToRefresh.selector, validators[i]));
            manager.refreshDrawKey(taskId, validators[i]);
        }
        vm.stopPrank();
        fixSeed("seed");
        advance(3 * WINDOW);
        // Four of ten validators hold eight of nine seats: a quorum.
        send(proveAll(0, 4));
        send(proveAll(4, 6));
    }

    function test_attack__double_voter_enrols_as_agent__still_pays() external {
        address guilty = makeHolder("guilty");
        (VrfKey memory key, VrfProof memory proof) = provePossession(guilty, secretOf(guilty));
        vm.startPrank(guilty);
        registry.registerWithKey(AGENT | VALIDATOR, STAKE, key, proof);
        manager.enrol(taskId, VALIDATOR);
        vm.stopPrank();
        advance(3 * EPOCH);
        validators.push(guilty);
        openSeat();
        SignedVote memory first = signVote(guilty, 1, 0, makeVote(Verdict.Approve));
        SignedVote memory second = signVote(guilty, 1, 0, makeVote(Verdict.Worse));
        vm.startPrank(guilty);
        manager.leaveTask(taskId);
        manager.enrol(taskId, AGENT);
        vm.stopPrank();
        manager.reportDoubleVote(taskId, 1, 0, first, second);
    }

    function test_attack__audits_of_many_draws__do_not_add_up_to_a_quorum() external {
        openDrawnVote("first");
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        Audit memory finding = Audit(1, 0, validators[9], "claimed", "found");
        uint256 done = 0;
        // Validators 0 to 3 collude; each audits in a draw in which it has two seats.
        for (uint256 number = 1; done != 15 && number < 60; ++number) {
            openSeat();
            bytes32 seed = keccak256(abi.encode(number));
            while (!_isPicked(seed, finding)) seed = keccak256(abi.encode(seed));
            fixSeed(seed);
            sendAll(0, 10);
            vm.warp(manager.getBallot(taskId).openedAt);
            for (uint256 i = 0; i < 4; ++i) {
                if ((done >> i) & 1 != 0 || seatsOf(validators[i]) != 2) continue;
                // One auditor in each draw: never more than two of nine seats.
                vm.prank(validators[i]);
                manager.auditVote(taskId, finding);
                done |= 1 << i;
                break;
            }
            voteSeated(0, 10, Verdict.Approve);
            manager.settle(taskId);
        }
        assertEq(stakeOf(validators[9]), STAKE, "no committee had a quorum");
    }

    function test_attack__stranger_registers_the_announced_digest__recovery_still_works() external {
        address owner = validators[0];
        vm.prank(owner);
        registry.setGuardian(address(0x6A));
        (VrfKey memory key, VrfProof memory proof) = provePossession(owner, 5);
        vm.prank(address(0x6A));
        registry.announceRecovery(owner, key, proof);
        (bytes32 digest,) = registry.getRecovery(owner);
        address griefer = makeHolder("griefer");
        vm.prank(griefer);
        registry.register(AGENT, STAKE, digest);
        advance(UNBONDING);
        registry.executeRecovery(owner);
    }

    function _isPicked(bytes32 seed, Audit memory finding) private view returns (bool) {
        bytes32 key = manager.computeRoundKey(taskId, finding.round);
        bytes memory draw = abi.encode("flchain.audit.v1", seed, key, finding.attempt, finding.validator);
        return uint256(keccak256(draw)) % 10 == 0;
    }
}

contract BeaconAttackTest is DrawSuite {
    function setUp() external {
        vm.roll(1000);
        deployDrawn(9, 10);
    }

    function deploySeeds(IRoundManager predicted) internal override returns (ISeedSource) {
        return ISeedSource(deploy("ChainSeeds", abi.encode(predicted, EPOCH)));
    }

    function test_attack__leader_changes_its_key_after_the_pinned_block__is_refused() external {
        IChainSeeds chain = IChainSeeds(address(seeds));
        openSeat();
        vm.roll(vm.getBlockNumber() + 2);
        vm.setBlockhash(drawOf().pinnedBlock, "first hash");
        chain.start(taskId);
        manager.openSeats(taskId, 1);
        sendAll(0, 10);
        vm.warp(manager.getBallot(taskId).openedAt);
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        vm.roll(vm.getBlockNumber() + 2);
        vm.setBlockhash(drawOf().pinnedBlock, "second hash");
        // Everything that goes into the output is known but the leader's key, and that it may choose.
        address leader = validators[uint8(drawOf().beacons) - 1];
        uint256 chosen = 1;
        bytes32 message = chain.beaconMessage(taskId, drawOf());
        for (;; ++chosen) {
            prover.load(chosen);
            if (uint256(prover.computeOutput(chosen, message)) % 16 == 0) break;
        }
        (VrfKey memory key, VrfProof memory proof) = provePossession(leader, chosen);
        vm.prank(leader);
        registry.rotateKey(key, proof);
        manager.refreshDrawKey(taskId, leader);
        (key, proof) = prover.prove(chosen, message);
        vm.expectRevert();
        chain.reveal(taskId, 0, key, proof);
    }
}

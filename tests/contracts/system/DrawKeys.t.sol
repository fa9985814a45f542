// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {Committees} from "../../../contracts/libraries/Committees.sol";
import {VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {DrawKey, SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Task} from "../../../contracts/types/Types.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice What a task keeps of its validators, as they come, change and go.
contract DrawKeysTest is DrawSuite {
    /// @notice A validator's part in the sum of weights, by plain bookkeeping.
    struct Part {
        uint256 weight;
        uint256 activeFrom;
    }

    Part[10] private _parts;

    function setUp() external {
        deployDrawn(9, 10);
    }

    function test_enrol__without_a_proven_key__is_refused() external {
        address account = makeHolder("keyless");
        vm.startPrank(account);
        registry.register(VALIDATOR, STAKE, "keyless");
        vm.expectRevert(abi.encodeWithSelector(ITasks.NoDrawKey.selector, account));
        manager.enrol(taskId, VALIDATOR);
        vm.stopPrank();
    }

    function test_enrol__validator__is_drawable_two_epochs_later() external {
        uint32 epoch = uint32(vm.getBlockTimestamp() / EPOCH);
        address account = makeHolder("newcomer");
        registerAs(account, VALIDATOR);
        VrfKey memory key = prover.getKey(secretOf(account));
        bytes20 hash = bytes20(keccak256(abi.encodePacked(uint8(2 + key.parity), key.x)));
        vm.expectEmit(address(manager));
        emit ITasks.DrawKeySet(taskId, account, 10, hash, uint32(WEIGHT), epoch + 2);
        vm.prank(account);
        manager.enrol(taskId, VALIDATOR);
        DrawKey memory known = keyOf(account);
        assertTrue(known.keyHash == hash && known.weight == WEIGHT, "key and weight");
        assertTrue(known.activeFrom == epoch + 2 && known.penalties == 0, "since when");
        openSeeded("too early");
        SeatProof[] memory proofs = one(proveFor(account));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotDrawable.selector, 10));
        this.sendFrom(proofs);
        advance(4 * WINDOW);
        manager.settle(taskId);
        advance(10);
        validators.push(account);
        openSeeded("in time");
        assertEq(drawOf().totalWeight, 11 * WEIGHT, "total");
        advance(3 * WINDOW);
        send(one(proveFor(account)));
    }

    function test_refresh__more_stake_and_another_key__count_two_epochs_later() external {
        address account = validators[4];
        (VrfKey memory key, VrfProof memory proof) = provePossession(account, 5);
        vm.startPrank(account);
        registry.increaseStake(5.009 ether);
        registry.rotateKey(key, proof);
        vm.stopPrank();
        assertEq(keyOf(account).weight, WEIGHT, "a copy");
        manager.refreshDrawKey(taskId, account);
        uint32 epoch = uint32(vm.getBlockTimestamp() / EPOCH);
        assertEq(keyOf(account).weight, 2250, "thousandths, rounded down");
        assertEq(keyOf(account).activeFrom, epoch + 2, "since when");
        openRound();
        assertEq(manager.getTotalWeight(taskId), 9 * WEIGHT, "without it");
        advance(60);
        manager.settle(taskId);
        advance(10);
        openSeeded("later");
        assertEq(drawOf().totalWeight, 9 * WEIGHT + 2250, "with it");
        advance(3 * WINDOW);
        SeatProof memory old = proveFor(account);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongKey.selector, 4));
        this.sendFrom(one(old));
        (old.key, old.proof) = prover.prove(5, alpha());
        send(one(old));
    }

    function test_refresh__of_others__is_refused() external {
        vm.expectRevert(abi.encodeWithSelector(ITasks.NotEnrolled.selector, taskId, agents[0]));
        manager.refreshDrawKey(taskId, agents[0]);
        vm.prank(validators[0]);
        manager.leaveTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(ITasks.NotEnrolled.selector, taskId, validators[0]));
        manager.refreshDrawKey(taskId, validators[0]);
        committeeSize = 0;
        uint64 plain = manager.createTask(makeTask(proposers[0]));
        vm.startPrank(validators[0]);
        manager.enrol(plain, VALIDATOR);
        vm.expectRevert(abi.encodeWithSelector(ITasks.NothingDrawn.selector, plain));
        manager.refreshDrawKey(plain, validators[0]);
        vm.stopPrank();
    }

    function test_refresh__by_another_without_cause__is_refused() external {
        address account = validators[4];
        vm.expectRevert(abi.encodeWithSelector(ITasks.NothingToRefresh.selector, account));
        manager.refreshDrawKey(taskId, account);
        vm.startPrank(account);
        registry.increaseStake(1 ether);
        vm.stopPrank();
        // More weight is the validator's to claim: until it counts it would not be drawn.
        vm.expectRevert(abi.encodeWithSelector(ITasks.NothingToRefresh.selector, account));
        manager.refreshDrawKey(taskId, account);
        vm.prank(account);
        manager.refreshDrawKey(taskId, account);
        vm.prank(address(manager));
        registry.punishSilence(account);
        manager.refreshDrawKey(taskId, account);
    }

    function test_place__left_and_taken_again__has_no_penalties() external {
        openDrawnVote("seed");
        vm.warp(manager.getBallot(taskId).voteClose);
        manager.settle(taskId);
        uint256 who = 0;
        while (keyOf(validators[who]).penalties == 0) ++who;
        address account = validators[who];
        vm.startPrank(account);
        manager.leaveTask(taskId);
        manager.enrol(taskId, VALIDATOR);
        assertEq(manager.getMember(taskId, account).place, who, "same place");
        assertEq(keyOf(account).penalties, 0, "an enrolment begins without");
        manager.leaveTask(taskId);
        vm.stopPrank();
        address newcomer = addValidator("newcomer");
        assertEq(manager.getMember(taskId, newcomer).place, who, "same place");
        assertEq(keyOf(newcomer).penalties, 0, "they are not the newcomer's");
        vm.prank(account);
        manager.enrol(taskId, VALIDATOR);
        assertEq(manager.getMember(taskId, account).place, 10, "another place");
        assertEq(keyOf(account).penalties, 0, "and are forgotten then");
    }

    /// forge-config: default.fuzz.runs = 48
    function test_weights__random_life__equal_plain_sums(uint256 seed) external {
        for (uint256 i = 0; i < 10; ++i) {
            _parts[i] = Part(WEIGHT, 0);
        }
        for (uint256 step = 0; step < 40; ++step) {
            uint256 draw = uint256(keccak256(abi.encode(seed, step)));
            _live((draw >> 8) % 10, draw % 6, (draw >> 16) % 25);
            for (uint256 ahead = 0; ahead < 3; ++ahead) {
                assertEq(_readWeights(ahead), _sumParts(ahead), "weight");
            }
        }
        _close();
    }

    function test_create_task__committee_out_of_reach__names_the_field() external {
        for (uint256 c = 1; c <= 64; ++c) {
            committeeSize = uint8(c);
            Task memory task = makeTask(proposers[0]);
            manager.createTask(task);
            // One validator less, and those but the proposer cannot make a quorum.
            uint256 quorum = 2 * c / 3 + 1;
            --task.minValidators;
            assertTrue((uint256(task.minValidators) - 1) * Committees.cap(c) < quorum, "out of reach");
            vm.expectRevert(abi.encodeWithSelector(ITasks.InvalidTask.selector, bytes32("committee")));
            manager.createTask(task);
        }
        committeeSize = 65;
        Task memory large = makeTask(proposers[0]);
        vm.expectRevert(abi.encodeWithSelector(ITasks.InvalidTask.selector, bytes32("committee")));
        manager.createTask(large);
        committeeSize = 9;
        large = makeTask(proposers[0]);
        large.seatWindow = 0;
        vm.expectRevert(abi.encodeWithSelector(ITasks.InvalidTask.selector, bytes32("seatWindow")));
        manager.createTask(large);
        // 60 + 30 + 2 * (3 * 20 + 7 * 47 + 2 * 30), and unbonding takes 1,000 seconds.
        large.seatWindow = 47;
        manager.createTask(large);
        large.seatWindow = 48;
        vm.expectRevert(abi.encodeWithSelector(ITasks.UnbondingTooShort.selector, 1002, UNBONDING));
        manager.createTask(large);
    }

    /* INTERNAL */

    function _live(uint256 who, uint256 action, uint256 amount) private {
        address account = validators[who];
        uint256 epoch = vm.getBlockTimestamp() / EPOCH;
        bool isEnrolled = _parts[who].weight != 0;
        if (action == 0) {
            advance(amount);
        } else if (action == 1) {
            if (amount != 0) {
                vm.prank(account);
                registry.increaseStake(uint96(amount * 1 ether));
            }
        } else if (action == 2 && isEnrolled) {
            vm.prank(account);
            manager.leaveTask(taskId);
            _parts[who] = Part(0, 0);
        } else if (isEnrolled) {
            vm.prank(account);
            manager.refreshDrawKey(taskId, account);
            _parts[who] = Part(stakeOf(account) * 1000 / 20 ether, epoch + 2);
        } else {
            vm.prank(account);
            manager.enrol(taskId, VALIDATOR);
            _parts[who] = Part(stakeOf(account) * 1000 / 20 ether, epoch + 2);
        }
    }

    /// @dev At the end a round opens, if enough validators are active: then the weight is on record for its draw.
    function _close() private {
        for (uint256 i = 0; i < 10; ++i) {
            if (_parts[i].weight == 0) _live(i, 3, 0);
            if (manager.getMember(taskId, validators[i]).hasEndorsed) continue;
            vm.prank(validators[i]);
            manager.endorse(taskId, POLICY, VERSION_0);
        }
        advance(2 * EPOCH);
        openRound();
        assertEq(manager.getTotalWeight(taskId), _sumParts(0), "weight at the opening");
    }

    function _sumParts(uint256 ahead) private view returns (uint256 sum) {
        for (uint256 i = 0; i < 10; ++i) {
            if (_parts[i].activeFrom <= vm.getBlockTimestamp() / EPOCH + ahead) sum += _parts[i].weight;
        }
    }

    /// @dev Slot 27 of the page: active, epochA, weightA, epochB, weightB, from the lowest bits.
    function _readWeights(uint256 ahead) private view returns (uint256 sum) {
        uint256 page = uint256(keccak256(abi.encode(taskId, uint256(3))));
        uint256 word = uint256(vm.load(address(manager), bytes32(page + 27)));
        uint256 epoch = vm.getBlockTimestamp() / EPOCH + ahead;
        sum = uint40(word);
        if (uint32(word >> 40) <= epoch) sum += uint40(word >> 72);
        if (uint32(word >> 112) <= epoch) sum += uint40(word >> 144);
    }
}

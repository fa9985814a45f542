// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {Outcome, Phase, Task} from "../../../contracts/types/Types.sol";
import {MaskedSuite} from "./MaskedSuite.sol";
import {Suite} from "./Suite.sol";

/// @notice In plain mode each round that opened is spent, whatever became of it.
contract PlainBudgetTest is Suite {
    function setUp() external {
        deploySuite();
        createFederation(3, 3, 1);
    }

    function makeTask(address orchestrator) internal view override returns (Task memory task) {
        task = super.makeTask(orchestrator);
        task.privacyRounds = 2;
    }

    function test_RevertWhen_as_many_rounds_opened_as_the_budget_allows() external {
        for (uint256 i = 0; i < 2; ++i) {
            openRound();
            vm.warp(manager.getRound(taskId).submitClose);
            manager.settle(taskId);
            assertEq(uint256(outcome()), uint256(Outcome.AbortedTooFew), "outcome");
            vm.warp(manager.getTaskStatus(taskId).nextOpenAt);
        }
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.PrivacyBudgetSpent.selector, 2));
        manager.openRound(taskId);
    }
}

/// @notice In secure mode each sum that may be opened is spent, and sums must not be told apart.
contract SecureBudgetTest is MaskedSuite {
    function makeTask(address orchestrator) internal view override returns (Task memory task) {
        task = super.makeTask(orchestrator);
        task.privacyRounds = 2;
    }

    function test_RevertWhen_as_many_sums_were_revealed_as_the_budget_allows() external {
        // Nothing is revealed before UNMASK.
        reach(Phase.Submit);
        _failAfter(Outcome.AbortedTooFew);
        assertEq(seen().spent, 0, "not spent");
        for (uint256 i = 1; i < 3; ++i) {
            openRound();
            reach(Phase.Unmask);
            assertEq(seen().spent, i, "spent");
            _failAfter(Outcome.AbortedUnmask);
        }
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.PrivacyBudgetSpent.selector, 2));
        manager.openRound(taskId);
    }

    function test_second_sum__one_agent_less__aborts_and_costs_nothing() external {
        reach(Phase.Unmask);
        _failAfter(Outcome.AbortedUnmask);
        openRound();
        reach(Phase.Attest);
        attestRecordsAll(ALL - 1);
        assertEq(uint256(phase()), uint256(Phase.Settle), "only settling ends it");
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(Outcome.AbortedDifferencing), "outcome");
        assertEq(seen().spent, 1, "spent");
    }

    function test_second_sum__three_agents_less__is_revealed() external {
        reach(Phase.Unmask);
        _failAfter(Outcome.AbortedUnmask);
        openRound();
        reach(Phase.Attest);
        attestRecordsAll(ALL - 7);
        assertEq(uint256(seen().phase), uint256(Phase.Unmask), "phase");
        assertEq(seen().revealed, 2, "revealed");
    }

    function test_attest__no_majority__aborts_without_attesters() external {
        reach(Phase.Attest);
        uint32 round = currentRound();
        bytes32 anchor = seen().anchor;
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(validators[i]);
            masked.attestRecords(taskId, round, Phase.Attest, anchor, single(ALL));
        }
        _failAfter(Outcome.AbortedNoAttesters);
    }

    /// @dev Let the newest window run out, and the pause before the next round.
    function _failAfter(Outcome expected) private {
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(expected), "outcome");
        vm.warp(manager.getTaskStatus(taskId).nextOpenAt);
        vm.roll(vm.getBlockNumber() + 1);
    }
}

/// @notice Two sums per model version are the most, even where the budget allows more.
contract SumsPerVersionTest is MaskedSuite {
    function test_third_sum__same_survivors__aborts() external {
        for (uint256 i = 0; i < 2; ++i) {
            reach(Phase.Unmask);
            vm.warp(seen().closesAt);
            manager.settle(taskId);
            vm.warp(manager.getTaskStatus(taskId).nextOpenAt);
            openRound();
        }
        reach(Phase.Attest);
        attestRecordsAll(ALL);
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(Outcome.AbortedDifferencing), "outcome");
    }
}

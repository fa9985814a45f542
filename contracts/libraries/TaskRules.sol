// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ITasks} from "../interfaces/ITasks.sol";
import {Mode, Task} from "../types/Types.sol";
import {Attestations} from "./Attestations.sol";
import {Committees} from "./Committees.sol";
import {DrawBook} from "./DrawBook.sol";
import {Seats} from "./Seats.sol";

/// @title TaskRules
/// @notice What a task's parameters must satisfy, each and in relation to one another.
library TaskRules {
    uint256 private constant AGENTS_LIMIT = 1024;
    uint256 private constant WHOLE_BPS = 10_000;
    uint256 private constant CAPACITY = 1 << 31;

    /// @notice Revert unless `task` is sound in a registry with this unbonding period.
    function verify(Task calldata task, uint40 unbondingPeriod) internal pure {
        _verifyCounts(task);
        _verifyWindows(task);
        if (task.mode != Mode.Plain) revert ITasks.InvalidTask("mode");
        if (task.policyDigest == 0) revert ITasks.InvalidTask("policyDigest");
        if (task.initialState == 0) revert ITasks.InvalidTask("initialState");
        uint256 largestSum = uint256(task.maxAgents) * task.wMax * task.coordinateBound;
        if (largestSum >= CAPACITY) revert ITasks.CapacityExceeded(largestSum);
        uint256 draw = (DrawBook.SEED_WINDOWS + DrawBook.STAGES) * uint256(task.seatWindow);
        uint256 attempt = uint256(task.proposeRanks) * task.proposeWindow + draw + 2 * uint256(task.voteWindow);
        uint256 needed = uint256(task.submitWindow) + task.attestWindow + task.maxAttempts * attempt;
        if (unbondingPeriod < needed) revert ITasks.UnbondingTooShort(needed, unbondingPeriod);
    }

    function _verifyCounts(Task calldata task) private pure {
        _require(task.orchestrator != address(0), "orchestrator");
        _require(task.maxAgents != 0 && task.maxAgents <= AGENTS_LIMIT, "maxAgents");
        _require(task.minAgents != 0 && task.minAgents <= task.maxAgents, "minAgents");
        _require(task.minSurvivors != 0 && task.minSurvivors <= task.minAgents, "minSurvivors");
        _require(task.minValidators != 0 && task.minValidators <= Seats.LIMIT, "minValidators");
        // A committee must be within reach of the fewest validators, the proposer being one of them.
        bool isInReach = task.committee == 0
            || Seats.quorum(task.committee) <= (uint256(task.minValidators) - 1) * Committees.cap(task.committee);
        _require(isInReach && task.committee <= Seats.LIMIT, "committee");
        _require(task.wMax != 0, "wMax");
        _require(task.coordinateBound != 0, "coordinateBound");
        _require(task.maxAttempts != 0 && task.maxAttempts <= 3, "maxAttempts");
        _require(task.proposeRanks != 0 && task.proposeRanks <= 8, "proposeRanks");
        _require(task.maxShareBps != 0 && task.maxShareBps <= WHOLE_BPS, "maxShareBps");
        _require(task.participationBps <= WHOLE_BPS, "participationBps");
        _require(task.maxRounds != 0 && task.maxRounds <= Attestations.MAX_TAG, "maxRounds");
    }

    function _verifyWindows(Task calldata task) private pure {
        _require(task.submitWindow != 0, "submitWindow");
        _require(task.attestWindow != 0, "attestWindow");
        _require(task.proposeWindow != 0, "proposeWindow");
        _require(task.voteWindow != 0, "voteWindow");
        _require(task.claimWindow != 0, "claimWindow");
        uint32 secure = task.joinWindow | task.sharesWindow | task.checkWindow | task.unmaskWindow | task.forcedWindow;
        _require(secure == 0, "secureWindows");
        _require((task.seatWindow == 0) == (task.committee == 0), "seatWindow");
    }

    function _require(bool isSound, bytes32 field) private pure {
        if (!isSound) revert ITasks.InvalidTask(field);
    }
}

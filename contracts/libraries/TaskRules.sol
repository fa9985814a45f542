// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ITasks} from "../interfaces/ITasks.sol";
import {Mode, Task} from "../types/Types.sol";
import {Attestations} from "./Attestations.sol";
import {Committees} from "./Committees.sol";
import {DrawBook} from "./DrawBook.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";

/// @title TaskRules
/// @notice What a task's parameters must satisfy, each and in relation to one another.
library TaskRules {
    uint256 private constant AGENTS_LIMIT = 1024;
    uint256 private constant WHOLE_BPS = 10_000;
    uint256 private constant CAPACITY = 1 << 31;
    /// @dev Fewest honest survivors among whom an update is hidden.
    uint256 private constant MIN_HONEST = 3;
    /// @dev SHARES, SUBMIT and UNMASK wait for finality.
    uint256 private constant FINALITY_PAUSES = 3;

    /// @notice Revert unless `task` is sound in a registry with this unbonding period.
    function verify(Task calldata task, uint40 unbondingPeriod) internal pure {
        _verifyCounts(task);
        _verifyWindows(task);
        _require(_isThresholdSound(task), "threshold");
        if (task.policyDigest == 0) revert ITasks.InvalidTask("policyDigest");
        if (task.initialState == 0) revert ITasks.InvalidTask("initialState");
        uint256 largestSum = uint256(task.maxAgents) * task.wMax * task.coordinateBound;
        if (largestSum >= CAPACITY) revert ITasks.CapacityExceeded(largestSum);
        uint256 draw = (DrawBook.SEED_WINDOWS + DrawBook.STAGES) * uint256(task.seatWindow);
        uint256 ranks = task.proposeRanks + (task.mode == Mode.Secure ? RoundState.LAST_WINDOWS - 1 : 0);
        uint256 attempt = ranks * task.proposeWindow + draw + 2 * uint256(task.voteWindow);
        uint256 secure = uint256(task.joinWindow) + task.sharesWindow + task.checkWindow + task.unmaskWindow;
        secure += FINALITY_PAUSES * uint256(task.finalityDelay);
        uint256 needed = uint256(task.submitWindow) + task.attestWindow + secure + task.maxAttempts * attempt;
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
        _require(task.mode == Mode.Secure ? _areSecureWindowsSound(task) : _areUnused(task), "secureWindows");
        _require((task.seatWindow == 0) == (task.committee == 0), "seatWindow");
    }

    /// @dev What only direct records can use must leave a part of each window to batches.
    function _areSecureWindowsSound(Task calldata task) private pure returns (bool) {
        uint32 forced = task.forcedWindow;
        bool isShorter = forced < task.joinWindow && forced < task.sharesWindow && forced < task.checkWindow;
        return forced != 0 && isShorter && forced < task.submitWindow && forced < task.unmaskWindow;
    }

    function _areUnused(Task calldata task) private pure returns (bool) {
        uint32 windows = task.joinWindow | task.sharesWindow | task.checkWindow | task.unmaskWindow;
        return windows | task.forcedWindow | task.finalityDelay == 0;
    }

    /// @dev Colluding survivors must neither restore a secret nor isolate one agent.
    function _isThresholdSound(Task calldata task) private pure returns (bool) {
        if (task.mode == Mode.Plain) return task.threshold | task.maxCorrupt == 0;
        bool isReachable = task.threshold > task.maxCorrupt && task.threshold <= task.minSurvivors;
        return isReachable && task.minSurvivors >= task.maxCorrupt + MIN_HONEST;
    }

    function _require(bool isSound, bytes32 field) private pure {
        if (!isSound) revert ITasks.InvalidTask(field);
    }
}

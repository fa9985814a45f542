// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Weights} from "../types/DrawTypes.sol";

/// @title WeightBook
/// @notice Keeps the weight of a task's active validators readable without iterating over them.
/// @dev As in `Populations`, at most two epochs hold pending weight. The functions change `w` in memory.
library WeightBook {
    /// @notice Move weight whose epoch has come from pending to active.
    function fold(Weights memory w, uint256 epoch) internal pure {
        for (uint256 i = 0; i < 2; ++i) {
            if (w.epochA == 0 || w.epochA > epoch) return;
            w.active += w.weightA;
            (w.epochA, w.weightA, w.epochB, w.weightB) = (w.epochB, w.weightB, 0, 0);
        }
    }

    /// @notice Add weight that becomes active in `activeFrom`; `w` must be folded to the current epoch.
    function add(Weights memory w, uint32 activeFrom, uint32 weight) internal pure {
        if (w.epochA == 0 || w.epochA == activeFrom) {
            (w.epochA, w.weightA) = (activeFrom, w.weightA + weight);
        } else {
            (w.epochB, w.weightB) = (activeFrom, w.weightB + weight);
        }
    }

    /// @notice Remove weight that is or becomes active in `activeFrom`; `w` must be folded.
    function remove(Weights memory w, uint32 activeFrom, uint32 weight, uint256 epoch) internal pure {
        if (activeFrom <= epoch) w.active -= weight;
        else if (w.epochA == activeFrom) w.weightA -= weight;
        else w.weightB -= weight;
    }
}

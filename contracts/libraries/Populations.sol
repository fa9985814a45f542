// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Population} from "../types/Types.sol";

/// @title Populations
/// @notice Keeps the number of active members of a task readable without iterating over them.
/// @dev Members become active two epochs after they enrol, so after folding the matured ones at most two
/// epochs hold pending members.
library Populations {
    /// @notice Move members whose epoch has come from pending to active.
    function fold(Population memory p, uint256 epoch) internal pure returns (Population memory) {
        if (p.countA != 0 && p.epochA <= epoch) {
            p.active += p.countA;
            (p.epochA, p.countA, p.epochB, p.countB) = (p.epochB, p.countB, 0, 0);
        }
        if (p.countA != 0 && p.epochA <= epoch) {
            p.active += p.countA;
            (p.epochA, p.countA) = (0, 0);
        }
        return p;
    }

    /// @notice Add one member who becomes active in `activeFrom`; `p` must be folded to the current epoch.
    function add(Population memory p, uint32 activeFrom) internal pure returns (Population memory) {
        if (p.countA == 0 || p.epochA == activeFrom) {
            (p.epochA, p.countA) = (activeFrom, p.countA + 1);
        } else {
            (p.epochB, p.countB) = (activeFrom, p.countB + 1);
        }
        return p;
    }

    /// @notice Remove one member who is or becomes active in `activeFrom`; `p` must be folded.
    function remove(Population memory p, uint32 activeFrom, uint256 epoch) internal pure returns (Population memory) {
        if (activeFrom <= epoch) {
            --p.active;
        } else if (p.countB != 0 && p.epochB == activeFrom) {
            if (--p.countB == 0) p.epochB = 0;
        } else if (--p.countA == 0) {
            (p.epochA, p.countA, p.epochB, p.countB) = (p.epochB, p.countB, 0, 0);
        }
        return p;
    }

    /// @notice Return all members, active or pending.
    function total(Population memory p) internal pure returns (uint256) {
        return uint256(p.active) + p.countA + p.countB;
    }
}

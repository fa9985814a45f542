// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Member} from "../types/Types.sol";

/// @title Seats
/// @notice Who sits on a round's committee, and how many seats decide.
/// @dev The rule here is "every validator active at opening holds one seat, but not on its own proposal".
/// A drawn committee replaces this library and nothing else.
library Seats {
    uint8 internal constant AGENT = 1;
    uint8 internal constant VALIDATOR = 2;
    uint8 internal constant PROPOSER = 4;

    /// @notice Return whether `member` was enrolled and active when the round opened.
    function isEntitled(Member memory member, uint8 role, uint256 openedAt, uint256 openedEpoch)
        internal
        pure
        returns (bool)
    {
        return
            member.role == role && member.activeFrom <= openedEpoch && (member.leftAt == 0 || member.leftAt > openedAt);
    }

    /// @notice Return whether `member` holds a seat.
    function isSeated(Member memory member, uint256 openedAt, uint256 openedEpoch) internal pure returns (bool) {
        return isEntitled(member, VALIDATOR, openedAt, openedEpoch);
    }

    /// @notice Return the seats that decide, q = floor(2c / 3) + 1 of all `seats`.
    function quorum(uint256 seats) internal pure returns (uint256) {
        return (2 * seats) / 3 + 1;
    }

    /// @notice Return the attesters that decide, h = floor(v / 2) + 1 of all `validators`.
    function majority(uint256 validators) internal pure returns (uint256) {
        return validators / 2 + 1;
    }
}

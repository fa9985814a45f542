// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Member, Round} from "../types/Types.sol";

/// @title Seats
/// @notice Who belongs to a round, and how many seats decide.
/// @dev Where no committee is drawn, every validator active at opening holds one seat, but not on its own proposal.
library Seats {
    uint8 internal constant AGENT = 1;
    uint8 internal constant VALIDATOR = 2;
    uint8 internal constant PROPOSER = 4;
    /// @dev Seats are bits of one word, so that a round's votes share it.
    uint256 internal constant LIMIT = 64;

    /// @notice Return the number of seats in a round.
    function count(Round storage round) internal view returns (uint256) {
        uint8 drawn = round.seats;
        return drawn == 0 ? round.validators : drawn;
    }

    /// @notice Return whether `member` was an active validator when the round opened.
    function isSeated(Member storage member, uint256 openedAt, uint256 epochLength) internal view returns (bool) {
        return isEntitled({
            role: member.role,
            wanted: VALIDATOR,
            activeFrom: member.activeFrom,
            leftAt: member.leftAt,
            openedAt: openedAt,
            epochLength: epochLength
        });
    }

    /// @notice Return whether a member under `role` was active under the role `wanted` when the round opened.
    /// @dev Without branches: a difference below zero sets its highest bit. Takes values, since a function that
    /// takes a member in storage makes its caller load the slot again.
    function isEntitled(
        uint256 role,
        uint256 wanted,
        uint256 activeFrom,
        uint40 leftAt,
        uint256 openedAt,
        uint256 epochLength
    ) internal pure returns (bool) {
        unchecked {
            // Zero, which stands for never, wraps to the end of time.
            uint256 lastSecond = uint40(leftAt - 1);
            uint256 below = (openedAt - activeFrom * epochLength) | (lastSecond - openedAt);
            return (role ^ wanted) | (below >> 255) == 0;
        }
    }

    /// @notice Return the bit of seat number `place`.
    function bit(uint8 place) internal pure returns (uint64) {
        return uint64(1) << place;
    }

    /// @notice Return the lowest seat that is free in the bitmap `taken`; `LIMIT` if none is.
    function lowestFree(uint64 taken) internal pure returns (uint8 place) {
        while (place < LIMIT && taken & bit(place) != 0) ++place;
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

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Draw} from "../types/DrawTypes.sol";

/// @title ISeedSource
/// @notice Where the randomness of a draw comes from.
/// @dev A seed is fixed after the proposal that it decides on, and nothing that its proposer, the sender of this call
/// or a new member can choose goes into it.
interface ISeedSource {
    /// @notice Return the seed of the newest draw of a task of the calling contract; zero while it is not known.
    function getSeed(uint64 taskId, Draw calldata draw) external view returns (bytes32 seed);
}

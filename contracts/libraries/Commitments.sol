// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice The number of a round's submissions and a rolling commitment to them in one word: `count 16 | commitment
/// 240`.
type Commitment is uint256;

using Commitments for Commitment global;

/// @title Commitments
/// @notice Commits to submissions in order while a round reads and writes one slot for each.
library Commitments {
    uint256 private constant COUNT_SHIFT = 240;

    /// @notice Return the word of a round without submissions.
    function start(bytes32 roundKey) internal pure returns (Commitment) {
        return Commitment.wrap(uint240(uint256(roundKey)));
    }

    /// @notice Return the word after one more submission; a round has at most 1024.
    /// @dev The hash is keccak256(abi.encode(value, agent, digest, weight)).
    function append(Commitment word, address agent, bytes32 digest, uint256 weight)
        internal
        pure
        returns (Commitment next)
    {
        uint240 previous = word.value();
        uint256 index = word.count();
        // Every submission pays for this line; in plain Solidity it allocates memory that nothing else needs.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, previous)
            mstore(add(free, 0x20), agent)
            mstore(add(free, 0x40), digest)
            mstore(add(free, 0x60), weight)
            let low := shr(16, shl(16, keccak256(free, 0x80)))
            next := or(shl(COUNT_SHIFT, add(index, 1)), low)
        }
    }

    /// @notice Return the number of submissions.
    function count(Commitment word) internal pure returns (uint256) {
        return Commitment.unwrap(word) >> COUNT_SHIFT;
    }

    /// @notice Return the lower 240 bits of the rolling keccak-256.
    function value(Commitment word) internal pure returns (uint240) {
        return uint240(Commitment.unwrap(word));
    }
}

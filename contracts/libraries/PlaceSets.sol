// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Phase} from "../types/Types.sol";

/// @title PlaceSets
/// @notice Sets of places by phase: words of 224 bits, tagged with the round, so that each serves every round.
library PlaceSets {
    uint256 internal constant WORD = 224;
    uint256 internal constant MASK = (1 << WORD) - 1;
    uint256 private constant WORDS = 8;

    /// @notice Set a word's bits in `round`.
    function save(mapping(uint256 => uint256) storage self, uint256 index, uint256 round, uint256 bits) internal {
        self[index] = (round << WORD) | bits;
    }

    /// @notice Return a word's bits in `round`.
    function load(mapping(uint256 => uint256) storage self, uint256 index, uint256 round)
        internal
        view
        returns (uint256 bits)
    {
        uint256 stored = self[index];
        if (stored >> WORD == round) bits = stored & MASK;
    }

    /// @notice Return whether a place is in a phase's set.
    function has(mapping(uint256 => uint256) storage self, Phase phase, uint256 round, uint256 place)
        internal
        view
        returns (bool)
    {
        return (load(self, key(phase, place / WORD), round) >> (place % WORD)) & 1 != 0;
    }

    /// @notice Return the key of a phase's word number `word`.
    function key(Phase phase, uint256 word) internal pure returns (uint256) {
        return uint256(phase) * WORDS + word;
    }

    /// @notice Return the number of words for so many places.
    function length(uint256 places) internal pure returns (uint256) {
        return (places + WORD - 1) / WORD;
    }
}

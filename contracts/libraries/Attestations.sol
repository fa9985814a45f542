// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Attestations
/// @notice Counts, for 32 submissions at a time, how many validators hold each blob.
/// @dev One word is `round tag 32 | plane 6 | … | plane 0`, seven bit planes of 32 lanes: lane i of the
/// planes is the binary count of submission i (at most 127 validators). Adding a bitmap is a ripple carry
/// over the planes; the test against a threshold is a bit-sliced comparison. A word whose tag is another
/// round's counts as zero, so the same slots serve every round and a write never starts from an empty slot.
library Attestations {
    uint256 internal constant LANES = 32;
    uint256 internal constant PLANES = 7;
    uint256 private constant LANE_MASK = type(uint32).max;
    uint256 private constant TAG_SHIFT = 224;

    /// @notice Return `word` with each lane that is set in `bits` counted once more.
    function add(uint256 word, uint32 tag, uint256 bits) internal pure returns (uint256 result) {
        result = _fresh(word, tag);
        uint256 carry = bits;
        for (uint256 shift = 0; carry != 0; shift += LANES) {
            uint256 lane = (result >> shift) & LANE_MASK;
            result ^= carry << shift;
            carry &= lane;
        }
    }

    /// @notice Return the lanes whose count is at least `threshold`.
    function atLeast(uint256 word, uint32 tag, uint256 threshold) internal pure returns (uint256) {
        uint256 planes = _fresh(word, tag);
        uint256 greater = 0;
        uint256 equal = LANE_MASK;
        for (uint256 plane = PLANES; plane > 0; --plane) {
            uint256 lane = (planes >> ((plane - 1) * LANES)) & LANE_MASK;
            if ((threshold >> (plane - 1)) & 1 == 0) {
                greater |= equal & lane;
                equal &= ~lane;
            } else {
                equal &= lane;
            }
        }
        return greater | equal;
    }

    /// @notice Return the number of bits set in `bits`.
    function popcount(uint256 bits) internal pure returns (uint256 count) {
        for (; bits != 0; ++count) {
            bits &= bits - 1;
        }
    }

    function _fresh(uint256 word, uint32 tag) private pure returns (uint256) {
        uint256 tagged = uint256(tag) << TAG_SHIFT;
        return word >> TAG_SHIFT == tag ? word : tagged;
    }
}

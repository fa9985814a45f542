// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Attestations
/// @notice Counts, for 32 submissions at a time, how many validators hold each blob.
/// @dev One word is `attesters 8 | round tag 24 | plane 6 | … | plane 0`, seven bit planes of 32 lanes: lane i
/// of the planes is the binary count of submission i (at most 127 validators). Adding a bitmap is a ripple carry
/// over the planes; the test against a threshold is a bit-sliced comparison. A word whose tag is another
/// round's counts as zero, so the same slots serve every round and a write never starts from an empty slot.
/// The top byte of the first word counts the validators who attested at all.
library Attestations {
    uint256 internal constant LANES = 32;
    uint256 internal constant PLANES = 7;
    uint32 internal constant MAX_TAG = type(uint24).max;
    uint256 private constant LANE_MASK = type(uint32).max;
    uint256 private constant TAG_SHIFT = 224;
    uint256 private constant ATTESTERS_SHIFT = 248;

    /// @notice Return `word` with each lane that is set in `bits`, below 2^32, counted once more.
    function add(uint256 word, uint256 tag, uint256 bits) internal pure returns (uint256 result) {
        result = _fresh(word, tag);
        uint256 carry = bits;
        unchecked {
            for (uint256 shift = 0; carry != 0; shift += LANES) {
                uint256 lane = result >> shift;
                result ^= carry << shift;
                carry &= lane;
            }
        }
    }

    /// @notice Return a word of a round in which the lanes in `bits` count `count`, with a number of attesters.
    function fill(uint256 tag, uint256 bits, uint256 count, uint256 attesters) internal pure returns (uint256 word) {
        word = (attesters << ATTESTERS_SHIFT) | (tag << TAG_SHIFT);
        for (uint256 plane = 0; plane < PLANES; ++plane) {
            if ((count >> plane) & 1 != 0) word |= bits << (plane * LANES);
        }
    }

    /// @notice Return `word`, tagged with its round, with one attester more, and their number.
    function addAttester(uint256 word) internal pure returns (uint256 result, uint256 attesters) {
        unchecked {
            result = word + (1 << ATTESTERS_SHIFT);
        }
        attesters = result >> ATTESTERS_SHIFT;
    }

    /// @notice Return the number of attesters.
    function getAttesters(uint256 word, uint256 tag) internal pure returns (uint8) {
        return uint8(_fresh(word, tag) >> ATTESTERS_SHIFT);
    }

    /// @notice Return the lanes whose count is at least `threshold`.
    function atLeast(uint256 word, uint256 tag, uint256 threshold) internal pure returns (uint256) {
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

    function _fresh(uint256 word, uint256 tag) private pure returns (uint256) {
        return uint24(word >> TAG_SHIFT) == tag ? word : tag << TAG_SHIFT;
    }
}

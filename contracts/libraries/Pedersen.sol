// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A point of BN254's G1 in affine coordinates; (0, 0) is infinity, as in EIP-196.
struct G1Point {
    uint256 x;
    uint256 y;
}

/// @title Pedersen
/// @notice Commitments value * V + blinding * B on BN254, whose sums open to the sums.
/// @dev V and B are hashed to the curve from the names "value" and "blinding" in the domain "flchain/gen/v1/": nobody
/// knows the logarithm of one to the other. Points and scalars are checked here, before a precompile sees them: one
/// that refuses its input burns all the gas it was given.
library Pedersen {
    uint256 internal constant FIELD_MODULUS = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    uint256 internal constant ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 internal constant VALUE_X = 0x14dc5f4b84274288c0e20e201fccdfeb89fcb5f8a05dc9a718137084cfb6e8a3;
    uint256 internal constant VALUE_Y = 0x0b6964e59d5c24efdb87ee7bc03cac01d087dbe455a6e217899c2f87dc7741ed;
    uint256 internal constant BLINDING_X = 0x0d958e040ea390fe1eeadb6137978b7e460deec4cc3f18fd93aece57844fc62a;
    uint256 internal constant BLINDING_Y = 0x0bcf39f4e66023b3e6f900ab5a6d216a71c2a7f409b70515188a58890ddc94b5;

    uint256 private constant ADD = 0x06;
    uint256 private constant MULTIPLY = 0x07;

    /// @notice Thrown when coordinates are not canonical or not on the curve.
    error InvalidPoint(uint256 x, uint256 y);
    /// @notice Thrown when a scalar is the group's order or more.
    error InvalidScalar(uint256 scalar);
    /// @notice Thrown when the chain has no such precompile, or a call to it ran out of gas.
    error PrecompileFailed(uint256 precompile);

    /// @notice Return whether a commitment hides exactly this value under this blinding.
    /// @dev Two multiplications and one addition: about 14,000 gas.
    function verifyOpening(G1Point memory commitment, uint256 value, uint256 blinding) internal view returns (bool) {
        checkPoint(commitment);
        if (value >= ORDER) revert InvalidScalar(value);
        if (blinding >= ORDER) revert InvalidScalar(blinding);
        G1Point memory left = _multiply(VALUE_X, VALUE_Y, value);
        _addTo(left, _multiply(BLINDING_X, BLINDING_Y, blinding));
        return left.x == commitment.x && left.y == commitment.y;
    }

    /// @notice Return the commitment to the sum of what the commitments hide; infinity if there are none.
    function sum(G1Point[] memory commitments) internal view returns (G1Point memory total) {
        for (uint256 i = 0; i < commitments.length; ++i) {
            checkPoint(commitments[i]);
            _addTo(total, commitments[i]);
        }
    }

    /// @notice Revert unless a point is infinity or a point of the curve with canonical coordinates.
    function checkPoint(G1Point memory point) internal pure {
        (uint256 x, uint256 y) = (point.x, point.y);
        if (x | y == 0) return;
        bool isCanonical = x < FIELD_MODULUS && y < FIELD_MODULUS;
        uint256 cube = mulmod(mulmod(x, x, FIELD_MODULUS), x, FIELD_MODULUS);
        bool isOnCurve = mulmod(y, y, FIELD_MODULUS) == addmod(cube, 3, FIELD_MODULUS);
        if (!isCanonical || !isOnCurve) revert InvalidPoint(x, y);
    }

    /// @dev Add `right` to `left` in place.
    function _addTo(G1Point memory left, G1Point memory right) private view {
        uint256[4] memory input = [left.x, left.y, right.x, right.y];
        bool isDone;
        assembly ("memory-safe") {
            isDone := staticcall(gas(), ADD, input, 0x80, left, 0x40)
            isDone := and(isDone, eq(returndatasize(), 0x40))
        }
        if (!isDone) revert PrecompileFailed(ADD);
    }

    function _multiply(uint256 x, uint256 y, uint256 scalar) private view returns (G1Point memory product) {
        uint256[3] memory input = [x, y, scalar];
        bool isDone;
        assembly ("memory-safe") {
            isDone := staticcall(gas(), MULTIPLY, input, 0x60, product, 0x40)
            isDone := and(isDone, eq(returndatasize(), 0x40))
        }
        if (!isDone) revert PrecompileFailed(MULTIPLY);
    }
}

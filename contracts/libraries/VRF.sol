// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice What is wrong with a proof.
enum VrfFault {
    None,
    KeyOutOfRange,
    GammaOutOfRange,
    AnswerOutOfRange,
    WrongRoot,
    WrongInverse,
    WrongU,
    WrongA,
    WrongB
}

/// @notice A public key of the VRF: the point at `x` whose y is even (parity 0) or odd (parity 1).
struct VrfKey {
    uint256 x;
    uint256 parity;
}

/// @notice A proof of RFC 9381 with hints; the challenge c is not in it, since U, A and B determine it.
/// @param gammaX The output as a point, Gamma.
/// @param gammaParity Parity of Gamma's y.
/// @param s The answer to the challenge.
/// @param uX The point U = sG - cY.
/// @param uY Of U.
/// @param aX The point A = sH.
/// @param aY Of A.
/// @param bX The point B = c Gamma.
/// @param bY Of B.
/// @param inverse The inverse of bX - aX in the field.
/// @param roots For each counter whose hash is no x-coordinate of the curve, a root of -(x^3 + 7).
struct VrfProof {
    uint256 gammaX;
    uint256 gammaParity;
    uint256 s;
    uint256 uX;
    uint256 uY;
    uint256 aX;
    uint256 aY;
    uint256 bX;
    uint256 bY;
    uint256 inverse;
    uint256[] roots;
}

/// @title VRF
/// @notice Verifies ECVRF-SECP256K1-SHA256-TAI, the construction of RFC 9381 section 5 on secp256k1.
/// @dev Compared with the RFC's ECVRF-P256-SHA256-TAI (section 5.5):
///
/// 1. Curve and suite. secp256k1 (cofactor 1) in place of P-256 and the suite octet 0xFE, for private use, in
///    place of 0x01. The salt is the public key, c has 16 octets, the hash is SHA-256: all as there.
/// 2. Messages are 32 octets long.
/// 3. Products are compared by address. `ecrecover(z, v, r, s)` returns the address of (sR - zG)/r, where R is
///    the point at x = r with the parity of v. It gives U with R = Y, z = -s r, s = -c r; A with R = H, z = 0,
///    s = s r; B with R = Gamma, z = 0, s = c r. An address has 160 bits: a pair of points that share one takes
///    2^80 work, but a proof needs a given point's, and c, a hash over U and V, is fixed before s and B are.
/// 4. c is computed from U and V = A - B as they are claimed, and then U, A and B are checked against s and that
///    c. A proof passes exactly when some c of 16 octets satisfies the RFC's equations.
/// 5. That a counter's hash is no x-coordinate is shown by a root of -(x^3 + 7): -1 has no root in the field, so
///    one of x^3 + 7 and -(x^3 + 7) has. x^3 + 7 is never zero.
/// 6. `ecrecover` refuses x-coordinates and scalars of zero or from the group order n up. So c = 0, s = 0, a key,
///    an H or a Gamma whose x is n or more, and A and B with the same x are refused, although the RFC accepts
///    them. Honest provers meet each with a probability below 2^-126.
/// 7. Hints are not unique (either root will do); the output is.
library VRF {
    uint256 private constant P = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant MAX_ROOTS = 255;
    // Suite octet and domain separator, at the top of a word.
    uint256 private constant ENCODE_TO_CURVE = 0xFE01 << 240;
    uint256 private constant CHALLENGE = 0xFE02 << 240;
    uint256 private constant OUTPUT = 0xFE03 << 240;
    uint256 private constant EVEN = 2;

    error VrfProofInvalid(VrfFault fault);

    /// @notice Return the output of a proof, or revert with `VrfProofInvalid`.
    /// @dev The caller vouches for the key: it is one that its owner registered before `alpha` could be known.
    function verify(VrfKey calldata key, bytes32 alpha, VrfProof calldata proof) internal view returns (bytes32 beta) {
        VrfFault fault = findFault(key, alpha, proof);
        if (fault != VrfFault.None) revert VrfProofInvalid(fault);
        beta = computeOutput(proof);
    }

    /// @notice Return the output that a proof claims, without verifying it.
    function computeOutput(VrfProof calldata proof) internal view returns (bytes32 beta) {
        uint256 x = proof.gammaX;
        uint256 parity = proof.gammaParity;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, or(OUTPUT, shl(232, add(EVEN, parity))))
            mstore(add(free, 3), x)
            mstore8(add(free, 35), 0)
        }
        beta = bytes32(_sha256(36));
    }

    /// @notice Return the first thing found wrong with a proof.
    function findFault(VrfKey calldata key, bytes32 alpha, VrfProof calldata proof) internal view returns (VrfFault) {
        if (!_isCoordinate(key.x) || key.parity > 1) return VrfFault.KeyOutOfRange;
        if (!_isCoordinate(proof.gammaX) || proof.gammaParity > 1) return VrfFault.GammaOutOfRange;
        if (!_isCoordinate(proof.s)) return VrfFault.AnswerOutOfRange;
        (uint256 hX, bool isFound) = _encodeToCurve(key, alpha, proof.roots);
        if (!isFound) return VrfFault.WrongRoot;
        (uint256 vX, uint256 vY, bool isInverse) = _subtract(proof);
        if (!isInverse) return VrfFault.WrongInverse;
        return _checkProducts(key, proof, hX, _computeChallenge(key, proof, hX, vX, vY));
    }

    /// @notice Return the keccak-256 of a key's 33 compressed octets: what binds it in storage.
    function hashKey(VrfKey calldata key) internal pure returns (bytes32 digest) {
        uint256 x = key.x;
        uint256 parity = key.parity;
        assembly ("memory-safe") {
            mstore8(0, add(EVEN, parity))
            mstore(1, x)
            digest := keccak256(0, 33)
        }
    }

    function _checkProducts(VrfKey calldata key, VrfProof calldata proof, uint256 hX, uint256 c)
        private
        view
        returns (VrfFault)
    {
        uint256 s = proof.s;
        uint256 x = key.x;
        unchecked {
            // Factors below n and not zero, as c is below 2^128: so are the products, n being prime.
            if (!_isPoint({
                    x: proof.uX, y: proof.uY, z: N - mulmod(s, x, N), parity: key.parity, r: x, s: N - mulmod(c, x, N)
                })) return VrfFault.WrongU;
        }
        if (!_isMultiple(proof.aX, proof.aY, 0, hX, s)) return VrfFault.WrongA;
        if (!_isMultiple(proof.bX, proof.bY, proof.gammaParity, proof.gammaX, c)) return VrfFault.WrongB;
        return VrfFault.None;
    }

    /// @notice Return the x-coordinate of the message's point H, whose y is even (section 5.4.1.1).
    /// @dev Whether the curve has a point there is left to `ecrecover`.
    function _encodeToCurve(VrfKey calldata key, bytes32 alpha, uint256[] calldata roots)
        private
        view
        returns (uint256 x, bool isFound)
    {
        uint256 count = roots.length;
        if (count > MAX_ROOTS) return (0, false);
        uint256 keyX = key.x;
        uint256 parity = key.parity;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, or(ENCODE_TO_CURVE, shl(232, add(EVEN, parity))))
            mstore(add(free, 3), keyX)
            mstore(add(free, 35), alpha)
            // The counter and the trailing zero octet.
            mstore(add(free, 67), 0)
        }
        x = _sha256(69);
        for (uint256 counter = 0; counter < count;) {
            uint256 root = roots[counter];
            unchecked {
                if (mulmod(root, root, P) != P - addmod(mulmod(mulmod(x, x, P), x, P), 7, P)) return (0, false);
                ++counter;
            }
            assembly ("memory-safe") {
                mstore8(add(mload(0x40), 67), counter)
            }
            x = _sha256(69);
        }
        isFound = _isCoordinate(x);
    }

    /// @notice Return c: 16 octets of the hash over Y, H, Gamma, U and V (section 5.4.3).
    function _computeChallenge(VrfKey calldata key, VrfProof calldata proof, uint256 hX, uint256 vX, uint256 vY)
        private
        view
        returns (uint256 c)
    {
        uint256 keyX = key.x;
        uint256 keyParity = key.parity;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, or(CHALLENGE, shl(232, add(EVEN, keyParity))))
            mstore(add(free, 3), keyX)
            mstore8(add(free, 35), EVEN)
            mstore(add(free, 36), hX)
            mstore8(add(free, 68), add(EVEN, calldataload(add(proof, 0x20))))
            calldatacopy(add(free, 69), proof, 0x20)
            mstore8(add(free, 101), add(EVEN, and(calldataload(add(proof, 0x80)), 1)))
            calldatacopy(add(free, 102), add(proof, 0x60), 0x20)
            mstore8(add(free, 134), add(EVEN, and(vY, 1)))
            mstore(add(free, 135), vX)
            mstore8(add(free, 167), 0)
        }
        c = _sha256(168) >> 128;
    }

    /// @notice Return the SHA-256 of the first `length` octets of free memory.
    function _sha256(uint256 length) private view returns (uint256 digest) {
        assembly ("memory-safe") {
            // A call that runs out of gas would leave what was there before.
            if iszero(staticcall(gas(), 2, mload(0x40), length, 0, 32)) { revert(0, 0) }
            digest := mload(0)
        }
    }

    /// @notice Return whether (x, y) is `factor` times the point at r with this parity.
    function _isMultiple(uint256 x, uint256 y, uint256 parity, uint256 r, uint256 factor) private view returns (bool) {
        return _isPoint({x: x, y: y, z: 0, parity: parity, r: r, s: mulmod(factor, r, N)});
    }

    /// @notice Return whether (x, y) has the address of (sR - zG)/r, where R is the point at r with this parity.
    function _isPoint(uint256 x, uint256 y, uint256 z, uint256 parity, uint256 r, uint256 s)
        private
        view
        returns (bool isEqual)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, x)
            mstore(add(free, 0x20), y)
            let expected := shr(96, shl(96, keccak256(free, 0x40)))
            mstore(free, z)
            mstore(add(free, 0x20), add(27, parity))
            mstore(add(free, 0x40), r)
            mstore(add(free, 0x60), s)
            // Where nothing recovers, the call succeeds and returns nothing.
            mstore(0, 0)
            pop(staticcall(gas(), 1, free, 0x80, 0, 0x20))
            let recovered := mload(0)
            isEqual := and(eq(recovered, expected), iszero(iszero(recovered)))
        }
    }

    /// @notice Return V = A - B in affine coordinates, and whether the hint is the inverse that this needs.
    function _subtract(VrfProof calldata proof) private pure returns (uint256 x, uint256 y, bool isInverse) {
        uint256 aX = proof.aX;
        uint256 aY = proof.aY;
        uint256 bX = proof.bX;
        uint256 bY = proof.bY;
        uint256 inverse = proof.inverse;
        unchecked {
            // Coordinates from P up are refused with A and B: no point's address hashes them.
            uint256 difference = addmod(bX, P - (aX % P), P);
            isInverse = mulmod(difference, inverse, P) == 1;
            // The slope of the line through A and -B, negated: its square is the same.
            uint256 slope = mulmod(addmod(aY, bY, P), inverse, P);
            x = addmod(mulmod(slope, slope, P), P - addmod(aX, bX, P), P);
            y = addmod(mulmod(slope, addmod(x, P - (aX % P), P), P), P - (aY % P), P);
        }
    }

    /// @notice Return whether `ecrecover` accepts `x` as a coordinate or a scalar.
    function _isCoordinate(uint256 x) private pure returns (bool) {
        unchecked {
            // Zero wraps to the largest number.
            return x - 1 < N - 1;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VrfKey, VrfProof} from "../../contracts/libraries/VRF.sol";

/// @notice Makes proofs for `VRF`, written from RFC 9381 section 5.1 without a line of the verifier.
/// @dev For tests alone: it takes a secret as an argument, and a proof costs most of a million gas.
contract Prover {
    /// @dev A point of secp256k1; (0, 0) is infinity.
    struct Point {
        uint256 x;
        uint256 y;
    }

    uint256 private constant P = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant G_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 private constant G_Y = 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8;

    mapping(uint256 secret => Point) private _keys;

    /// @notice Remember the public key of a secret, so that each proof need not compute it.
    function load(uint256 secret) external returns (VrfKey memory) {
        _keys[secret] = _multiply(Point(G_X, G_Y), secret);
        return getKey(secret);
    }

    /// @notice Return key and proof over a message, with the hints that the contracts take.
    function prove(uint256 secret, bytes32 alpha) external view returns (VrfKey memory key, VrfProof memory proof) {
        key = getKey(secret);
        Point memory h;
        (h, proof.roots) = _encodeToCurve(_keys[secret], alpha);
        Point memory gamma = _multiply(h, secret);
        // Any nonce that nobody can guess will do.
        uint256 nonce = uint256(keccak256(abi.encode("nonce", secret, h))) % N;
        Point memory u = _multiply(Point(G_X, G_Y), nonce);
        Point memory v = _multiply(h, nonce);
        uint256 c = _computeChallenge(_keys[secret], h, gamma, u, v);
        (proof.gammaX, proof.gammaParity, proof.uX, proof.uY) = (gamma.x, gamma.y & 1, u.x, u.y);
        proof.s = addmod(nonce, mulmod(c, secret, N), N);
        Point memory a = _multiply(h, proof.s);
        Point memory b = _add(a, Point(v.x, P - v.y));
        (proof.aX, proof.aY, proof.bX, proof.bY) = (a.x, a.y, b.x, b.y);
        proof.inverse = _invert(addmod(b.x, P - a.x, P));
    }

    /// @notice Return a proof's output alone, for a quarter of the price.
    function computeOutput(uint256 secret, bytes32 alpha) external view returns (bytes32) {
        (Point memory h,) = _encodeToCurve(_keys[secret], alpha);
        return sha256(abi.encodePacked(hex"fe03", _compress(_multiply(h, secret)), hex"00"));
    }

    /// @notice Return the public key of a secret that was loaded.
    function getKey(uint256 secret) public view returns (VrfKey memory) {
        Point memory key = _keys[secret];
        return VrfKey(key.x, key.y & 1);
    }

    function _encodeToCurve(Point memory key, bytes32 alpha)
        private
        view
        returns (Point memory h, uint256[] memory roots)
    {
        uint256[] memory found = new uint256[](256);
        uint256 count = 0;
        while (true) {
            uint256 x = uint256(sha256(abi.encodePacked(hex"fe01", _compress(key), alpha, uint8(count), hex"00")));
            uint256 square = addmod(mulmod(mulmod(x, x, P), x, P), 7, P);
            uint256 root = _power(square, (P + 1) / 4);
            if (mulmod(root, root, P) == square) {
                h = Point(x, root & 1 == 0 ? root : P - root);
                break;
            }
            // Then minus the square has a root, and this is it.
            found[count++] = root;
        }
        roots = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            roots[i] = found[i];
        }
    }

    function _computeChallenge(Point memory key, Point memory h, Point memory gamma, Point memory u, Point memory v)
        private
        pure
        returns (uint256)
    {
        bytes memory points =
            abi.encodePacked(_compress(key), _compress(h), _compress(gamma), _compress(u), _compress(v));
        return uint256(sha256(abi.encodePacked(hex"fe02", points, hex"00"))) >> 128;
    }

    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        (, bytes memory answer) = address(5).staticcall(abi.encode(32, 32, 32, base, exponent, P));
        result = abi.decode(answer, (uint256));
    }

    function _invert(uint256 value) private view returns (uint256) {
        return _power(value, P - 2);
    }

    function _add(Point memory p, Point memory q) private view returns (Point memory r) {
        uint256 slope = mulmod(addmod(q.y, P - p.y, P), _invert(addmod(q.x, P - p.x, P)), P);
        r.x = addmod(mulmod(slope, slope, P), P - addmod(p.x, q.x, P), P);
        r.y = addmod(mulmod(slope, addmod(p.x, P - r.x, P), P), P - p.y, P);
    }

    /// @dev From the highest bit, in Jacobian coordinates.
    function _multiply(Point memory p, uint256 factor) private view returns (Point memory r) {
        (uint256 x, uint256 y, uint256 z) = (0, 1, 0);
        for (uint256 bit = 256; bit != 0; --bit) {
            if (z != 0) (x, y, z) = _double(x, y, z);
            if ((factor >> (bit - 1)) & 1 != 0) (x, y, z) = _addAffine(x, y, z, p.x, p.y);
        }
        uint256 inverse = _invert(z);
        uint256 square = mulmod(inverse, inverse, P);
        r.x = mulmod(x, square, P);
        r.y = mulmod(y, mulmod(square, inverse, P), P);
    }

    function _compress(Point memory p) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(2 + (p.y & 1)), p.x);
    }

    function _double(uint256 x, uint256 y, uint256 z) private pure returns (uint256 dX, uint256 dY, uint256 dZ) {
        uint256 square = mulmod(y, y, P);
        uint256 s = mulmod(4, mulmod(x, square, P), P);
        uint256 m = mulmod(3, mulmod(x, x, P), P);
        dX = addmod(mulmod(m, m, P), P - mulmod(2, s, P), P);
        dY = addmod(mulmod(m, addmod(s, P - dX, P), P), P - mulmod(8, mulmod(square, square, P), P), P);
        dZ = mulmod(2, mulmod(y, z, P), P);
    }

    /// @dev The sum of points that are neither equal nor each other's negative, as in a product below the order.
    function _addAffine(uint256 x, uint256 y, uint256 z, uint256 qX, uint256 qY)
        private
        pure
        returns (uint256, uint256, uint256)
    {
        if (z == 0) return (qX, qY, 1);
        uint256 square = mulmod(z, z, P);
        uint256 h = addmod(mulmod(qX, square, P), P - x, P);
        uint256 r = addmod(mulmod(qY, mulmod(square, z, P), P), P - y, P);
        uint256 h2 = mulmod(h, h, P);
        uint256 h3 = mulmod(h2, h, P);
        uint256 v = mulmod(x, h2, P);
        uint256 sX = addmod(mulmod(r, r, P), P - addmod(h3, mulmod(2, v, P), P), P);
        return (sX, addmod(mulmod(r, addmod(v, P - sX, P), P), P - mulmod(y, h3, P), P), mulmod(z, h, P));
    }
}

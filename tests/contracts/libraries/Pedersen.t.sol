// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {G1Point, Pedersen} from "../../../contracts/libraries/Pedersen.sol";
import {Cheats} from "../Cheats.sol";

/// @notice The cheat codes that put another answer in place of a precompile's.
interface Mocks {
    /// @notice Answer calls whose data begins with `data` with `result`.
    function mockCall(address callee, bytes calldata data, bytes calldata result) external;
    /// @notice Refuse calls whose data begins with `data` with `result`.
    function mockCallRevert(address callee, bytes calldata data, bytes calldata result) external;
    /// @notice End all of that.
    function clearMockedCalls() external;
}

/// @notice The library's functions as calls of their own, for tests here and over a node.
contract PedersenHarness {
    function verifyOpening(G1Point calldata commitment, uint256 value, uint256 blinding) external view returns (bool) {
        return Pedersen.verifyOpening(commitment, value, blinding);
    }

    function sum(G1Point[] calldata commitments) external view returns (G1Point memory) {
        return Pedersen.sum(commitments);
    }

    function generators() external pure returns (G1Point memory value, G1Point memory blinding) {
        value = G1Point(Pedersen.VALUE_X, Pedersen.VALUE_Y);
        blinding = G1Point(Pedersen.BLINDING_X, Pedersen.BLINDING_Y);
    }
}

/// @notice Openings and sums against the published vectors and against what a sum must be.
contract PedersenTest is Cheats {
    uint256 private constant _MAX_GAS = 20_000;

    PedersenHarness private _harness;
    string private _vectors;

    function setUp() external {
        _harness = new PedersenHarness();
        _vectors = vm.readFile("tests/vectors/pedersen.json");
    }

    function test_generators__constants__are_the_published_ones() external view {
        (G1Point memory value, G1Point memory blinding) = _harness.generators();
        _assertEq(value, _readPoint(".generators.value"));
        _assertEq(blinding, _readPoint(".generators.blinding"));
    }

    function test_opening__every_valid_vector__is_accepted() external view {
        uint256 count = _read(".counts.valid");
        for (uint256 i = 0; i < count; ++i) {
            (G1Point memory point, uint256 value, uint256 blinding) = _readOpening(".valid", i);
            uint256 before = gasleft();
            assertTrue(_harness.verifyOpening(point, value, blinding), vm.toString(i));
            assertLe(before - gasleft(), _MAX_GAS, "gas");
        }
    }

    function test_opening__every_other_value__is_not_accepted() external view {
        uint256 count = _read(".counts.mismatched");
        for (uint256 i = 0; i < count; ++i) {
            (G1Point memory point, uint256 value, uint256 blinding) = _readOpening(".mismatched", i);
            assertTrue(!_harness.verifyOpening(point, value, blinding), vm.toString(i));
        }
    }

    function test_opening__malformed_point__reverts() external {
        uint256 count = _read(".counts.invalid_points");
        for (uint256 i = 0; i < count; ++i) {
            (G1Point memory point, uint256 value, uint256 blinding) = _readOpening(".invalid_points", i);
            bytes memory refusal = abi.encodeWithSelector(Pedersen.InvalidPoint.selector, point.x, point.y);
            vm.expectRevert(refusal);
            _harness.verifyOpening(point, value, blinding);
            G1Point[] memory one = new G1Point[](1);
            one[0] = point;
            vm.expectRevert(refusal);
            _harness.sum(one);
        }
    }

    function test_opening__scalar_of_the_order_or_more__reverts() external {
        uint256 count = _read(".counts.invalid_scalars");
        for (uint256 i = 0; i < count; ++i) {
            (G1Point memory point, uint256 value, uint256 blinding) = _readOpening(".invalid_scalars", i);
            uint256 wrong = value >= Pedersen.ORDER ? value : blinding;
            vm.expectRevert(abi.encodeWithSelector(Pedersen.InvalidScalar.selector, wrong));
            _harness.verifyOpening(point, value, blinding);
        }
    }

    function test_sum__of_all_valid_vectors__opens_to_the_sums() external view {
        uint256 count = _read(".counts.valid");
        G1Point[] memory points = new G1Point[](count);
        uint256 values = 0;
        uint256 blindings = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 value;
            uint256 blinding;
            (points[i], value, blinding) = _readOpening(".valid", i);
            values = addmod(values, value, Pedersen.ORDER);
            blindings = addmod(blindings, blinding, Pedersen.ORDER);
        }
        G1Point memory total = _harness.sum(points);
        _assertEq(total, _readPoint(".sum_of_valid"));
        assertTrue(_harness.verifyOpening(total, values, blindings), "opens");
        assertTrue(!_harness.verifyOpening(total, addmod(values, 1, Pedersen.ORDER), blindings), "another value");
    }

    function test_sum__of_nothing__is_infinity() external view {
        _assertEq(_harness.sum(new G1Point[](0)), G1Point(0, 0));
    }

    function test_sum__point_and_its_negative__is_infinity() external view {
        (G1Point memory value,) = _harness.generators();
        G1Point[] memory points = new G1Point[](2);
        points[0] = value;
        points[1] = G1Point(value.x, Pedersen.FIELD_MODULUS - value.y);
        _assertEq(_harness.sum(points), G1Point(0, 0));
    }

    function test_opening__precompile_that_answers_otherwise__reverts() external {
        (G1Point memory point, uint256 value, uint256 blinding) = _readOpening(".valid", 0);
        bytes[3] memory answers = [bytes(""), new bytes(32), new bytes(96)];
        for (uint160 precompile = 6; precompile <= 7; ++precompile) {
            bytes memory refusal = abi.encodeWithSelector(Pedersen.PrecompileFailed.selector, uint256(precompile));
            for (uint256 i = 0; i < answers.length; ++i) {
                Mocks(address(vm)).mockCall(address(precompile), "", answers[i]);
                vm.expectRevert(refusal);
                _harness.verifyOpening(point, value, blinding);
                Mocks(address(vm)).clearMockedCalls();
            }
            Mocks(address(vm)).mockCallRevert(address(precompile), "", new bytes(64));
            vm.expectRevert(refusal);
            _harness.verifyOpening(point, value, blinding);
            Mocks(address(vm)).clearMockedCalls();
        }
        assertTrue(_harness.verifyOpening(point, value, blinding), "the precompiles are back");
    }

    function _readOpening(string memory list, uint256 index)
        private
        view
        returns (G1Point memory point, uint256 value, uint256 blinding)
    {
        string memory path = string.concat(list, "[", vm.toString(index), "]");
        point = _readPoint(string.concat(path, ".commitment"));
        value = _read(string.concat(path, ".value"));
        blinding = _read(string.concat(path, ".blinding"));
    }

    function _readPoint(string memory path) private view returns (G1Point memory) {
        return G1Point(_read(string.concat(path, ".x")), _read(string.concat(path, ".y")));
    }

    function _read(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(_vectors, path);
    }

    function _assertEq(G1Point memory actual, G1Point memory expected) private pure {
        assertEq(actual.x, expected.x, "x");
        assertEq(actual.y, expected.y, "y");
    }
}

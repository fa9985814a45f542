// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VRF, VrfFault, VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Cheats} from "../Cheats.sol";
import {IProver} from "../IProver.sol";

/// @notice The library behind calls, as a contract would use it.
contract Verifier {
    function verify(VrfKey calldata key, bytes32 alpha, VrfProof calldata proof) external view returns (bytes32) {
        return VRF.verify(key, alpha, proof);
    }

    function findFault(VrfKey calldata key, bytes32 alpha, VrfProof calldata proof) external view returns (VrfFault) {
        return VRF.findFault(key, alpha, proof);
    }

    function computeOutput(VrfProof calldata proof) external view returns (bytes32) {
        return VRF.computeOutput(proof);
    }

    function hashKey(VrfKey calldata key) external pure returns (bytes32) {
        return VRF.hashKey(key);
    }
}

/// @notice The VRF's verifier against the published vectors and against mutations of them.
contract VRFTest is Cheats {
    uint256 private constant VALID = 27;
    uint256 private constant INVALID = 89;
    uint256 private constant INTRINSIC = 21_000;
    uint256 private constant BUDGET = 50_000;

    Verifier private _verifier;
    string private _vectors;

    function setUp() external {
        _verifier = new Verifier();
        _vectors = vm.readFile(string.concat(vm.projectRoot(), "/tests/vectors/vrf.json"));
    }

    function test_verify__invalid_vector__has_its_fault() external {
        for (uint256 i = 0; i < INVALID; ++i) {
            (VrfKey memory key, bytes32 alpha, VrfProof memory proof) = _load(".invalid", i);
            string memory place = string.concat(".invalid[", vm.toString(i), "]");
            VrfFault fault = VrfFault(vm.parseJsonUint(_vectors, string.concat(place, ".fault")));
            assertEq(uint256(_verifier.findFault(key, alpha, proof)), uint256(fault), place);
            if (fault == VrfFault.None) continue;
            vm.expectRevert(abi.encodeWithSelector(VRF.VrfProofInvalid.selector, fault));
            _verifier.verify(key, alpha, proof);
        }
    }

    function test_vectors__counted__are_all_read() external {
        vm.expectRevert();
        this.load(".valid", VALID);
        vm.expectRevert();
        this.load(".invalid", INVALID);
    }

    function test_gas__whole_transaction__is_within_the_budget() external {
        uint256 total = 0;
        for (uint256 i = 0; i < VALID; ++i) {
            (VrfKey memory key, bytes32 alpha, VrfProof memory proof) = _load(".valid", i);
            bytes memory call = abi.encodeCall(Verifier.verify, (key, alpha, proof));
            vm.cool(address(_verifier));
            uint256 before = gasleft();
            (bool isDone,) = address(_verifier).staticcall(call);
            // A transaction pays for access to its target within the intrinsic gas.
            uint256 used = before - gasleft() - 2600 + INTRINSIC + _priceCalldata(call);
            assertTrue(isDone, "verified");
            total += used;
            assertLe(used, BUDGET, "gas of a transaction");
            if (proof.roots.length == 0 && i > VALID - 8) vm.snapshotValue("VRF", "verify, first counter", used);
        }
        vm.snapshotValue("VRF", "verify, mean", total / VALID);
    }

    function test_verify__valid_vector__returns_its_output() external view {
        for (uint256 i = 0; i < VALID; ++i) {
            (VrfKey memory key, bytes32 alpha, VrfProof memory proof) = _load(".valid", i);
            string memory place = string.concat(".valid[", vm.toString(i), "]");
            bytes32 output = vm.parseJsonBytes32(_vectors, string.concat(place, ".output"));
            assertEq(_verifier.verify(key, alpha, proof), output, place);
            assertEq(_verifier.computeOutput(proof), output, place);
            bytes memory encoded = vm.parseJsonBytes(_vectors, string.concat(place, ".public_key"));
            assertEq(_verifier.hashKey(key), keccak256(encoded), place);
        }
    }

    /// @dev Outputs are unique, whatever the nonce.
    function test_prover__vector__gives_a_valid_proof_of_the_same_output() external {
        IProver prover = IProver(deploy("Prover", ""));
        for (uint256 i = 0; i < VALID; ++i) {
            string memory place = string.concat(".valid[", vm.toString(i), "]");
            uint256 secret = uint256(vm.parseJsonBytes32(_vectors, string.concat(place, ".secret_key")));
            bytes32 alpha = vm.parseJsonBytes32(_vectors, string.concat(place, ".alpha"));
            prover.load(secret);
            (VrfKey memory key, VrfProof memory proof) = prover.prove(secret, alpha);
            bytes32 output = vm.parseJsonBytes32(_vectors, string.concat(place, ".output"));
            assertEq(_verifier.verify(key, alpha, proof), output, place);
            assertEq(prover.computeOutput(secret, alpha), output, place);
        }
    }

    /// @dev Key, message and every word of the proof, with one to three random bits flipped.
    function test_verify__random_mutations__are_all_refused() external view {
        uint256 refused = 0;
        uint256 tried = 0;
        for (uint256 i = 0; i < VALID; ++i) {
            (VrfKey memory key, bytes32 alpha, VrfProof memory proof) = _load(".valid", i);
            bytes memory call = abi.encodeCall(Verifier.findFault, (key, alpha, proof));
            for (uint256 word = 0; word < _countWords(proof); ++word) {
                for (uint256 turn = 0; turn < 8; ++turn) {
                    ++tried;
                    if (_isRefused(call, word, uint256(keccak256(abi.encode(i, word, turn))))) ++refused;
                }
            }
        }
        assertEq(refused, tried, "every mutation is refused");
        assertLe(2000, tried, "mutations");
    }

    /// @dev A root and its negative show the same, so the sign alone may change.
    function test_verify__negated_root__is_accepted() external view {
        (VrfKey memory key, bytes32 alpha, VrfProof memory proof) = _load(".valid", 2);
        bytes32 output = _verifier.verify(key, alpha, proof);
        proof.roots[0] = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F - proof.roots[0];
        assertEq(_verifier.verify(key, alpha, proof), output, "output");
    }

    function test_verify__any_input__answers_without_panic(VrfKey memory key, bytes32 alpha, VrfProof memory proof)
        external
        view
    {
        assertTrue(_verifier.findFault(key, alpha, proof) != VrfFault.None, "random words are no proof");
    }

    /// @notice Return a vector, or revert where there is none.
    function load(string memory kind, uint256 index)
        external
        view
        returns (VrfKey memory key, bytes32 alpha, VrfProof memory proof)
    {
        return _load(kind, index);
    }

    function _isRefused(bytes memory call, uint256 word, uint256 random) private view returns (bool) {
        bytes memory altered = abi.encodePacked(call);
        uint256 flips = 1 << (random & 255);
        if ((random >> 8) & 1 == 1) flips |= (1 << ((random >> 16) & 255)) | (1 << ((random >> 24) & 255));
        // Three head words, the offset, ten words of the proof, offset and number of the roots, the roots.
        uint256 position = word < 3 ? word : word < 13 ? word + 1 : word + 3;
        uint256 start = 4 + 32 * position;
        assembly ("memory-safe") {
            let cell := add(add(altered, 0x20), start)
            mstore(cell, xor(mload(cell), flips))
        }
        (bool isDone, bytes memory answer) = address(_verifier).staticcall(altered);
        return !isDone || abi.decode(answer, (VrfFault)) != VrfFault.None;
    }

    function _load(string memory kind, uint256 index)
        private
        view
        returns (VrfKey memory key, bytes32 alpha, VrfProof memory proof)
    {
        string memory place = string.concat(kind, "[", vm.toString(index), "].call");
        return abi.decode(vm.parseJsonBytes(_vectors, place), (VrfKey, bytes32, VrfProof));
    }

    function _countWords(VrfProof memory proof) private pure returns (uint256) {
        return 13 + proof.roots.length;
    }

    function _priceCalldata(bytes memory call) private pure returns (uint256 gas) {
        for (uint256 i = 0; i < call.length; ++i) {
            gas += call[i] == 0 ? 4 : 16;
        }
    }
}

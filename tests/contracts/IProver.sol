// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VrfKey, VrfProof} from "../../contracts/libraries/VRF.sol";

/// @title IProver
/// @notice What the tests call of `Prover`, which is compiled once and deployed from its artifact.
interface IProver {
    /// @notice Remember the public key of a secret, so that each proof need not compute it.
    function load(uint256 secret) external returns (VrfKey memory);

    /// @notice Return key and proof over a message, with the hints that the contracts take.
    function prove(uint256 secret, bytes32 alpha) external view returns (VrfKey memory key, VrfProof memory proof);

    /// @notice Return a proof's output alone, for a quarter of the price.
    function computeOutput(uint256 secret, bytes32 alpha) external view returns (bytes32);

    /// @notice Return the public key of a secret that was loaded.
    function getKey(uint256 secret) external view returns (VrfKey memory);
}

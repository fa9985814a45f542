// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title ISigned
/// @notice Errors of every call that carries somebody else's EIP-712 signature.
interface ISigned {
    /// @notice Thrown when a signature is used after its deadline.
    error SignatureExpired(uint40 deadline);
    /// @notice Thrown when a signature is not `signer`'s over exactly these values.
    error SignatureInvalid(address signer);
}

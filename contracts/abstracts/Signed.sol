// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ISigned} from "../interfaces/ISigned.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title Signed
/// @notice EIP-712 domain and the two checks that every signed twin makes.
abstract contract Signed is ISigned, EIP712("flchain", "1") {
    /// @notice Return the digest that `structHash` is signed as: the domain is this contract on this chain.
    function computeTypedDigest(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    function _verifyDeadline(uint40 deadline) internal view {
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
    }

    function _verifySignature(address signer, bytes32 structHash, bytes calldata signature) internal view {
        (address recovered,,) = ECDSA.tryRecover(_hashTypedDataV4(structHash), signature);
        if (recovered != signer || signer == address(0)) revert SignatureInvalid(signer);
    }

    /// @dev For bundles: the caller looks up the domain once, and a compact signature (ERC-2098) is cheaper to read.
    function _verifySignature(address signer, bytes32 domain, bytes32 structHash, bytes32 r, bytes32 vs) internal pure {
        (address recovered,,) = ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domain, structHash), r, vs);
        if (recovered != signer || signer == address(0)) revert SignatureInvalid(signer);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ISigned} from "../interfaces/ISigned.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Signed
/// @notice EIP-712 domain, nonces and the two checks that every signed twin makes.
abstract contract Signed is ISigned, EIP712("flchain", "1"), Nonces {
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
}

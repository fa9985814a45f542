// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Content, Vote} from "../types/VoteTypes.sol";

/// @title Digests
/// @notice Every hash that a signature or a vote binds, in one place.
library Digests {
    bytes32 internal constant VOTE_TYPEHASH = keccak256(
        "Vote(bytes32 roundKey,uint8 attempt,bytes32 proposalId,uint8 verdict,uint8 reason,"
        "bytes32 counterContentId,uint16 quality,bytes32 execTag)"
    );
    bytes32 internal constant ATTESTATION_TYPEHASH = keccak256("Attestation(bytes32 roundKey,uint256[] bitmap)");
    bytes32 internal constant UPDATE_TYPEHASH =
        keccak256("Update(bytes32 roundKey,bytes32 digest,uint8 weight,uint40 deadline)");
    bytes32 internal constant ENROLMENT_TYPEHASH =
        keccak256("Enrolment(uint64 taskId,uint8 role,uint256 nonce,uint40 deadline)");
    bytes32 internal constant LEAVE_TYPEHASH = keccak256("Leave(uint64 taskId,uint256 nonce,uint40 deadline)");
    bytes32 internal constant ENDORSEMENT_TYPEHASH =
        keccak256("Endorsement(uint64 taskId,bytes32 policyDigest,bytes32 initialState,uint40 deadline)");

    /// @notice Return the domain value of one round: bound by every signature, vote and blob of it.
    /// @dev keccak256(abi.encode(block.chainid, manager, taskId, round)), without allocating memory.
    function roundKey(address manager, uint256 taskId, uint256 round) internal view returns (bytes32 key) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, chainid())
            mstore(add(free, 0x20), manager)
            mstore(add(free, 0x40), taskId)
            mstore(add(free, 0x60), round)
            key := keccak256(free, 0x80)
        }
    }

    /// @notice Return the digest of the survivor set: submissions in order and the bitmap of those that count.
    function survivorRoot(bytes32 key, uint240 commitment, uint256[] memory survivors) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, commitment, survivors));
    }

    /// @notice Return the digest of everything a vote is about.
    function contentId(bytes32 key, bytes32 uRoot, Content memory content, bytes32 policyDigest, uint32 parentVersion)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                key,
                uRoot,
                content.aggregateRoot,
                content.stateDigest,
                content.rewardRoot,
                content.rewardTotal,
                policyDigest,
                parentVersion
            )
        );
    }

    /// @notice Return the id of one attempt's proposal.
    function proposalId(bytes32 content, uint8 attempt, address proposer) internal pure returns (bytes32) {
        return keccak256(abi.encode(content, attempt, proposer));
    }

    /// @notice Return the EIP-712 struct hash of a vote: keccak256(abi.encode(VOTE_TYPEHASH, key, attempt, vote)).
    /// @dev A vote's fields are checked where they are used; here their words are hashed as they came.
    function hashVote(bytes32 key, uint256 attempt, Vote calldata vote) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = VOTE_TYPEHASH;
        // In plain Solidity the fields are checked and copied one by one, for every vote of a bundle.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 0x20), key)
            mstore(add(free, 0x40), attempt)
            calldatacopy(add(free, 0x60), vote, 0xc0)
            structHash := keccak256(free, 0x120)
        }
    }

    /// @notice Return the EIP-712 struct hash of an attestation.
    function hashAttestation(bytes32 key, uint256[] memory bitmap) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTESTATION_TYPEHASH, key, keccak256(abi.encodePacked(bitmap))));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title IModelRegistry
/// @notice Finalised model versions of every task; each version's parent is the one before it.
interface IModelRegistry {
    /// @notice Emitted when a version is published.
    /// @param round The round that made it; zero for version 0.
    event ModelPublished(
        uint64 indexed taskId, uint32 indexed version, uint32 round, bytes32 stateDigest, bytes32 proposalId
    );

    /// @notice Thrown when a call is reserved for the round manager.
    error OnlyRoundManager(address caller);
    /// @notice Thrown when a version does not exist.
    error UnknownVersion(uint64 taskId, uint32 version);

    /// @notice Publish version 0 of a task; reserved for the round manager.
    function publishInitial(uint64 taskId, bytes32 stateDigest) external;

    /// @notice Publish the next version; reserved for the round manager.
    function publish(uint64 taskId, uint32 round, bytes32 stateDigest, bytes32 proposalId)
        external
        returns (uint32 version);

    /// @notice Return the newest version of a task.
    function getLatest(uint64 taskId) external view returns (uint32 version);

    /// @notice Return the manifest digest of a version's state.
    function getStateDigest(uint64 taskId, uint32 version) external view returns (bytes32);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";

/// @title ModelRegistry
/// @notice Finalised model versions and their lineage.
contract ModelRegistry is IModelRegistry {
    /// @notice The only publisher.
    address public immutable ROUND_MANAGER;

    mapping(uint64 taskId => uint32 version) private _latest;
    mapping(uint64 taskId => mapping(uint32 version => bytes32 stateDigest)) private _digests;

    modifier onlyRoundManager() {
        if (msg.sender != ROUND_MANAGER) revert OnlyRoundManager(msg.sender);
        _;
    }

    /// @param roundManager The round manager's (predicted) address.
    constructor(address roundManager) {
        ROUND_MANAGER = roundManager;
    }

    /// @inheritdoc IModelRegistry
    function publish(uint64 taskId, uint32 round, bytes32 stateDigest, bytes32 proposalId)
        external
        onlyRoundManager
        returns (uint32 version)
    {
        version = ++_latest[taskId];
        _digests[taskId][version] = stateDigest;
        emit ModelPublished(taskId, version, round, stateDigest, proposalId);
    }

    /// @inheritdoc IModelRegistry
    function publishInitial(uint64 taskId, bytes32 stateDigest) external onlyRoundManager {
        _digests[taskId][0] = stateDigest;
        emit ModelPublished(taskId, 0, 0, stateDigest, 0);
    }

    /// @inheritdoc IModelRegistry
    function getLatest(uint64 taskId) external view returns (uint32) {
        return _latest[taskId];
    }

    /// @inheritdoc IModelRegistry
    function getStateDigest(uint64 taskId, uint32 version) external view returns (bytes32 digest) {
        digest = _digests[taskId][version];
        if (digest == 0) revert UnknownVersion(taskId, version);
    }
}

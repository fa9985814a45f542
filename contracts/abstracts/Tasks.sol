// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "../interfaces/IRewardDistributor.sol";
import {ISeedSource} from "../interfaces/ISeedSource.sol";
import {ITasks} from "../interfaces/ITasks.sol";
import {Digests} from "../libraries/Digests.sol";
import {Populations} from "../libraries/Populations.sol";
import {Seats} from "../libraries/Seats.sol";
import {TaskBook} from "../libraries/TaskBook.sol";
import {Book, Suite} from "../types/Book.sol";
import {Member, Population, Task, TaskStatus} from "../types/Types.sol";
import {Signed} from "./Signed.sol";

/// @title Tasks
/// @notice The calls of `ITasks` and their signed twins; the rules are in `TaskBook`.
abstract contract Tasks is ITasks, Signed {
    using Populations for Population;

    /* IMMUTABLES */

    IAgentRegistry internal immutable _AGENTS;
    IModelRegistry internal immutable _MODELS;
    IRewardDistributor internal immutable _REWARDS;
    ISeedSource internal immutable _SEEDS;
    IMaskedRounds internal immutable _MASKED;
    uint32 internal immutable _EPOCH_LENGTH;

    /* STORAGE */

    Book internal _book;

    /* CONSTRUCTOR */

    constructor(
        IAgentRegistry agents,
        IModelRegistry models,
        IRewardDistributor rewards,
        ISeedSource seeds,
        IMaskedRounds masked
    ) {
        _AGENTS = agents;
        _MODELS = models;
        _REWARDS = rewards;
        _SEEDS = seeds;
        _MASKED = masked;
        _EPOCH_LENGTH = agents.epochLength();
    }

    /* STATE-CHANGING */

    /// @inheritdoc ITasks
    function closeTask(uint64 taskId) external {
        TaskBook.close(_book.pages[taskId], _suite(), taskId);
    }

    /// @inheritdoc ITasks
    function createTask(Task calldata task) external returns (uint64 taskId) {
        bytes calldata raw;
        // Encoding the task anew would take more code than passing it on as it came.
        assembly ("memory-safe") {
            raw.offset := task
            raw.length := sub(calldatasize(), task)
        }
        return TaskBook.create(_book, _suite(), raw);
    }

    /// @inheritdoc ITasks
    function dismiss(uint64 taskId, address member) external {
        TaskBook.dismiss(_book.pages[taskId], _suite(), taskId, member);
    }

    /// @inheritdoc ITasks
    function endorse(uint64 taskId, bytes32 policyDigest, bytes32 initialState) external {
        TaskBook.endorse(_book.pages[taskId], msg.sender, taskId, policyDigest, initialState);
    }

    /// @inheritdoc ITasks
    function endorseWithSig(
        address validator,
        uint64 taskId,
        bytes32 policyDigest,
        bytes32 initialState,
        uint40 deadline,
        bytes calldata signature
    ) external {
        _verifyDeadline(deadline);
        bytes32 structHash =
            keccak256(abi.encode(Digests.ENDORSEMENT_TYPEHASH, taskId, policyDigest, initialState, deadline));
        _verifySignature(validator, structHash, signature);
        TaskBook.endorse(_book.pages[taskId], validator, taskId, policyDigest, initialState);
    }

    /// @inheritdoc ITasks
    function enrol(uint64 taskId, uint8 role) external {
        TaskBook.enrol(_book.pages[taskId], _suite(), msg.sender, taskId, role);
    }

    /// @inheritdoc ITasks
    function enrolWithSig(address member, uint64 taskId, uint8 role, uint40 deadline, bytes calldata signature)
        external
    {
        _verifyDeadline(deadline);
        uint32 nonce = _book.pages[taskId].members[member].nonce;
        bytes32 structHash = keccak256(abi.encode(Digests.ENROLMENT_TYPEHASH, taskId, role, nonce, deadline));
        _verifySignature(member, structHash, signature);
        TaskBook.enrol(_book.pages[taskId], _suite(), member, taskId, role);
    }

    /// @inheritdoc ITasks
    function leaveTask(uint64 taskId) external {
        TaskBook.endEnrolment(_book.pages[taskId], _suite(), taskId, msg.sender);
    }

    /// @inheritdoc ITasks
    function leaveTaskWithSig(address member, uint64 taskId, uint40 deadline, bytes calldata signature) external {
        _verifyDeadline(deadline);
        uint32 nonce = _book.pages[taskId].members[member].nonce;
        bytes32 structHash = keccak256(abi.encode(Digests.LEAVE_TYPEHASH, taskId, nonce, deadline));
        _verifySignature(member, structHash, signature);
        TaskBook.endEnrolment(_book.pages[taskId], _suite(), taskId, member);
    }

    /// @inheritdoc ITasks
    function refreshDrawKey(uint64 taskId, address validator) external {
        TaskBook.refreshDrawKey(_book.pages[taskId], _suite(), taskId, validator);
    }

    /* VIEW */

    /// @inheritdoc ITasks
    function countActive(uint64 taskId) external view returns (uint16 agents, uint16 validators, uint16 proposers) {
        agents = _foldPopulation(taskId, Seats.AGENT).active;
        validators = _foldPopulation(taskId, Seats.VALIDATOR).active;
        proposers = _foldPopulation(taskId, Seats.PROPOSER).active;
    }

    /// @inheritdoc ITasks
    function getMember(uint64 taskId, address member) external view returns (Member memory) {
        return _book.pages[taskId].members[member];
    }

    /// @inheritdoc ITasks
    function getTask(uint64 taskId) external view returns (Task memory) {
        return _book.pages[taskId].task;
    }

    /// @inheritdoc ITasks
    function taskCount() external view returns (uint64) {
        return _book.taskCount;
    }

    /// @inheritdoc ITasks
    function getTaskStatus(uint64 taskId) external view returns (TaskStatus memory) {
        return _book.pages[taskId].status;
    }

    /* INTERNAL */

    function _epochAt(uint256 time) internal view returns (uint256) {
        return time / _EPOCH_LENGTH;
    }

    function _foldPopulation(uint64 taskId, uint8 role) internal view returns (Population memory) {
        return _book.pages[taskId].populations[role].fold(_epochAt(block.timestamp));
    }

    function _suite() internal view returns (Suite memory) {
        return Suite({
            agents: _AGENTS,
            models: _MODELS,
            rewards: _REWARDS,
            seeds: _SEEDS,
            masked: _MASKED,
            epochLength: _EPOCH_LENGTH
        });
    }
}

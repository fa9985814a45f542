// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Member, Task, TaskStatus} from "../types/Types.sol";

/// @title ITasks
/// @notice Tasks, their endorsement by validators, and enrolment.
interface ITasks {
    /// @notice Emitted when a task is created.
    event TaskCreated(uint64 indexed taskId, address indexed sponsor, Task task);
    /// @notice Emitted when a validator attests that it holds and accepts the policy and model version 0.
    event TaskEndorsed(uint64 indexed taskId, address indexed validator);
    /// @notice Emitted when the sponsor closes a task.
    event TaskClosed(uint64 indexed taskId);
    /// @notice Emitted when an identity enrols.
    event MemberEnrolled(uint64 indexed taskId, address indexed member, uint8 role, uint32 activeFrom);
    /// @notice Emitted when a member leaves, or is dismissed.
    event MemberLeft(uint64 indexed taskId, address indexed member, bool isDismissed);
    /// @notice Emitted when a validator's key and weight for draws change, and when they are gone (all zero).
    event DrawKeySet(
        uint64 indexed taskId, address indexed validator, uint8 place, bytes20 keyHash, uint32 weight, uint32 activeFrom
    );

    /// @notice Thrown when a task does not exist.
    error UnknownTask(uint64 taskId);
    /// @notice Thrown when a task's parameter is out of range; `field` names it.
    error InvalidTask(bytes32 field);
    /// @notice Thrown when the largest possible weighted sum would not fit 31 bits.
    error CapacityExceeded(uint256 largestSum);
    /// @notice Thrown when stake could leave before the longest possible round ends.
    error UnbondingTooShort(uint256 needed, uint40 unbondingPeriod);
    /// @notice Thrown when the caller did not create the task.
    error NotSponsor(address caller);
    /// @notice Thrown when the task was closed.
    error TaskIsClosed(uint64 taskId);
    /// @notice Thrown when a call must wait for the live round to end.
    error RoundIsLive(uint64 taskId, uint32 round);
    /// @notice Thrown when the identity is enrolled already.
    error AlreadyEnrolled(uint64 taskId, address member);
    /// @notice Thrown when the identity is not enrolled.
    error NotEnrolled(uint64 taskId, address member);
    /// @notice Thrown when a task has no place left under a role.
    error TaskFull(uint64 taskId, uint8 role);
    /// @notice Thrown when a validator has endorsed the task already.
    error AlreadyEndorsed(uint64 taskId, address validator);
    /// @notice Thrown when an endorsement names another policy or another initial state.
    error WrongEndorsement(bytes32 policyDigest, bytes32 initialState);
    /// @notice Thrown when a member may not be dismissed.
    error StillInGoodStanding(uint64 taskId, address member);

    /// @notice Thrown when a validator has no key that it proved to hold.
    error NoDrawKey(address validator);
    /// @notice Thrown when the task draws no committee.
    error NothingDrawn(uint64 taskId);
    /// @notice Thrown when somebody else wants to refresh a key and a weight that are as the registry has them.
    error NothingToRefresh(address validator);

    /// @notice Create a task; the caller becomes its sponsor.
    function createTask(Task calldata task) external returns (uint64 taskId);

    /// @notice Close a task that has no live round; the sponsor gets what is left of its budget.
    function closeTask(uint64 taskId) external;

    /// @notice Enrol the caller under one role; it counts from two epochs later.
    function enrol(uint64 taskId, uint8 role) external;

    /// @notice Enrol `member` on its signature.
    // solhint-disable-next-line max-line-length
    function enrolWithSig(address member, uint64 taskId, uint8 role, uint40 deadline, bytes calldata signature) external;

    /// @notice Leave a task; duties in the live round remain.
    function leaveTask(uint64 taskId) external;

    /// @notice Leave on the member's signature.
    function leaveTaskWithSig(address member, uint64 taskId, uint40 deadline, bytes calldata signature) external;

    /// @notice Attest that the caller holds the policy and version 0 and accepts them.
    function endorse(uint64 taskId, bytes32 policyDigest, bytes32 initialState) external;

    /// @notice Endorse on the validator's signature.
    function endorseWithSig(
        address validator,
        uint64 taskId,
        bytes32 policyDigest,
        bytes32 initialState,
        uint40 deadline,
        bytes calldata signature
    ) external;

    /// @notice Copy a validator's key and stake from the registry for the draws from two epochs later.
    /// @dev Until then it is not drawn, so others may call only if its key is another now or its weight has fallen.
    function refreshDrawKey(uint64 taskId, address validator) external;

    /// @notice Remove a member whose registration lapsed, or a validator who missed three votes; anybody may call.
    function dismiss(uint64 taskId, address member) external;

    /// @notice Return a task's parameters; all zero if it does not exist.
    function getTask(uint64 taskId) external view returns (Task memory);

    /// @notice Return a task's status.
    function getTaskStatus(uint64 taskId) external view returns (TaskStatus memory);

    /// @notice Return an identity's enrolment.
    function getMember(uint64 taskId, address member) external view returns (Member memory);

    /// @notice Return the number of active agents, validators and proposers at this block's time.
    function countActive(uint64 taskId) external view returns (uint16 agents, uint16 validators, uint16 proposers);

    /// @notice Return the number of tasks; ids run from 1.
    function taskCount() external view returns (uint64);
}

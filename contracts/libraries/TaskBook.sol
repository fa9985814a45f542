// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {ITasks} from "../interfaces/ITasks.sol";
import {Book, Suite} from "../types/Book.sol";
import {Member, Outcome, Population, Round, Task, TaskStatus} from "../types/Types.sol";
import {Populations} from "./Populations.sol";
import {Seats} from "./Seats.sol";
import {TaskRules} from "./TaskRules.sol";

/// @title TaskBook
/// @notice Tasks, endorsement and enrolment; a linked library, because a running round never needs this code.
library TaskBook {
    using Populations for Population;

    uint32 private constant ACTIVATION_EPOCHS = 2;
    uint256 private constant SEATS_LIMIT = 64;
    uint256 private constant MISSED_BALLOTS = 3;

    /// @notice Record a task and publish its version 0.
    function create(Book storage book, Suite memory suite, Task calldata task) external returns (uint64 taskId) {
        TaskRules.verify(task, suite.agents.unbondingPeriod());
        taskId = ++book.taskCount;
        book.tasks[taskId] = task;
        book.status[taskId] = TaskStatus(msg.sender, uint40(block.timestamp) + task.openDelay, 0, 0, false);
        emit ITasks.TaskCreated(taskId, msg.sender, task);
        suite.models.publishInitial(taskId, task.initialState);
    }

    /// @notice Close a task and refund its budget.
    function close(Book storage book, Suite memory suite, uint64 taskId) external {
        TaskStatus storage status = book.status[taskId];
        if (status.sponsor == address(0)) revert ITasks.UnknownTask(taskId);
        if (status.sponsor != msg.sender) revert ITasks.NotSponsor(msg.sender);
        _requireNoLiveRound(book, taskId);
        // Closing again collects rewards that were swept since.
        status.isClosed = true;
        emit ITasks.TaskClosed(taskId);
        suite.rewards.refund(taskId, msg.sender);
    }

    /// @notice Remove a member whose registration lapsed, or an inactive validator.
    function dismiss(Book storage book, Suite memory suite, uint64 taskId, address member) external {
        Member memory enrolment = _requireMember(book, taskId, member);
        bool hasLapsed = !suite.agents.isEligible(member, enrolment.role);
        bool isInactive =
            enrolment.role == Seats.VALIDATOR && book.ballots[taskId].number - enrolment.lastBallot >= MISSED_BALLOTS;
        if (!hasLapsed && !isInactive) revert ITasks.StillInGoodStanding(taskId, member);
        _leave(book, suite, taskId, member, true);
    }

    /// @notice Count a validator who accepts the policy and version 0.
    function endorse(Book storage book, address validator, uint64 taskId, bytes32 policyDigest, bytes32 initialState)
        external
    {
        Member memory enrolment = _requireMember(book, taskId, validator);
        if (enrolment.role != Seats.VALIDATOR) revert ITasks.NotEnrolled(taskId, validator);
        if (enrolment.hasEndorsed) revert ITasks.AlreadyEndorsed(taskId, validator);
        Task storage task = book.tasks[taskId];
        if (policyDigest != task.policyDigest || initialState != task.initialState) {
            revert ITasks.WrongEndorsement(policyDigest, initialState);
        }
        book.members[taskId][validator].hasEndorsed = true;
        ++book.status[taskId].endorsements;
        emit ITasks.TaskEndorsed(taskId, validator);
    }

    /// @notice Enrol a member under one role.
    function enrol(Book storage book, Suite memory suite, address member, uint64 taskId, uint8 role) external {
        if (book.status[taskId].sponsor == address(0)) revert ITasks.UnknownTask(taskId);
        if (book.status[taskId].isClosed) revert ITasks.TaskIsClosed(taskId);
        if (role != Seats.AGENT && role != Seats.VALIDATOR && role != Seats.PROPOSER) {
            revert IAgentRegistry.InvalidRoles(role);
        }
        Member memory enrolment = book.members[taskId][member];
        if (enrolment.role != 0 && enrolment.leftAt == 0) revert ITasks.AlreadyEnrolled(taskId, member);
        uint256 epoch = block.timestamp / suite.epochLength;
        Population memory population = book.populations[taskId][role].fold(epoch);
        uint256 limit = role == Seats.AGENT ? book.tasks[taskId].maxAgents : SEATS_LIMIT;
        if (population.total() >= limit) revert ITasks.TaskFull(taskId, role);
        uint32 activeFrom = uint32(epoch) + ACTIVATION_EPOCHS;
        (enrolment.role, enrolment.activeFrom, enrolment.leftAt) = (role, activeFrom, 0);
        enrolment.lastBallot = book.ballots[taskId].number;
        enrolment.hasEndorsed = false;
        if (role == Seats.PROPOSER) {
            enrolment.rankIndex = uint8(book.proposers[taskId].length);
            book.proposers[taskId].push(member);
        }
        book.members[taskId][member] = enrolment;
        book.populations[taskId][role] = population.add(activeFrom);
        emit ITasks.MemberEnrolled(taskId, member, role, activeFrom);
        suite.agents.addDuty(member, role);
    }

    /// @notice End an enrolment at the member's wish.
    function leave(Book storage book, Suite memory suite, uint64 taskId, address member) external {
        _leave(book, suite, taskId, member, false);
    }

    function _leave(Book storage book, Suite memory suite, uint64 taskId, address member, bool isDismissed) private {
        Member memory enrolment = _requireMember(book, taskId, member);
        uint256 epoch = block.timestamp / suite.epochLength;
        book.populations[taskId][enrolment.role] =
            book.populations[taskId][enrolment.role].fold(epoch).remove(enrolment.activeFrom, epoch);
        if (enrolment.role == Seats.PROPOSER) _removeProposer(book, taskId, enrolment.rankIndex);
        if (enrolment.hasEndorsed) --book.status[taskId].endorsements;
        enrolment.hasEndorsed = false;
        enrolment.leftAt = uint40(block.timestamp);
        book.members[taskId][member] = enrolment;
        emit ITasks.MemberLeft(taskId, member, isDismissed);
        suite.agents.removeDuty(member);
    }

    function _removeProposer(Book storage book, uint64 taskId, uint8 index) private {
        address[] storage proposers = book.proposers[taskId];
        address last = proposers[proposers.length - 1];
        proposers[index] = last;
        book.members[taskId][last].rankIndex = index;
        proposers.pop();
    }

    function _requireMember(Book storage book, uint64 taskId, address member)
        private
        view
        returns (Member memory enrolment)
    {
        enrolment = book.members[taskId][member];
        if (enrolment.role == 0 || enrolment.leftAt != 0) revert ITasks.NotEnrolled(taskId, member);
    }

    function _requireNoLiveRound(Book storage book, uint64 taskId) private view {
        Round memory round = book.rounds[taskId];
        if (round.round != 0 && round.outcome == Outcome.None) revert ITasks.RoundIsLive(taskId, round.round);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {ITasks} from "../interfaces/ITasks.sol";
import {Book, Page, Suite} from "../types/Book.sol";
import {Member, Outcome, Population, Task, TaskStatus, Terms} from "../types/Types.sol";
import {Absence} from "../types/VoteTypes.sol";
import {DrawKeys} from "./DrawKeys.sol";
import {Populations} from "./Populations.sol";
import {Seats} from "./Seats.sol";
import {TaskRules} from "./TaskRules.sol";

/// @title TaskBook
/// @notice Tasks, endorsement and enrolment; a linked library, because a running round never needs this code.
library TaskBook {
    using Populations for Population;

    uint32 private constant ACTIVATION_EPOCHS = 2;
    uint32 private constant MAX_PENALTIES = 3;

    /// @notice Record a task and publish its version 0.
    /// @param raw The task as it came.
    function create(Book storage book, Suite calldata suite, bytes calldata raw) external returns (uint64 taskId) {
        Task calldata task;
        assembly ("memory-safe") {
            task := raw.offset
        }
        TaskRules.verify(task, suite.agents.unbondingPeriod());
        taskId = ++book.taskCount;
        Page storage page = book.pages[taskId];
        page.task = task;
        page.terms = Terms(task.roundReserve, task.proposalBond, task.claimDelay, task.claimWindow);
        page.status = TaskStatus(msg.sender, uint40(block.timestamp) + task.openDelay, 0, 0, false);
        emit ITasks.TaskCreated(taskId, msg.sender, task);
        suite.models.publishInitial(taskId, task.initialState);
    }

    /// @notice Close a task and refund its budget.
    function close(Page storage page, Suite calldata suite, uint64 taskId) external {
        TaskStatus storage status = page.status;
        if (status.sponsor == address(0)) revert ITasks.UnknownTask(taskId);
        if (status.sponsor != msg.sender) revert ITasks.NotSponsor(msg.sender);
        bool isLive = page.round.round != 0 && page.round.outcome == Outcome.None;
        if (isLive) revert ITasks.RoundIsLive(taskId, page.round.round);
        // Closing again collects rewards that were swept since.
        status.isClosed = true;
        emit ITasks.TaskClosed(taskId);
        suite.rewards.refund(taskId, msg.sender);
    }

    /// @notice Remove a member whose registration lapsed, or an inactive validator.
    function dismiss(Page storage page, Suite calldata suite, uint64 taskId, address member) external {
        Member memory enrolment = _requireMember(page, taskId, member);
        bool hasLapsed = !suite.agents.isEligible(member, enrolment.role);
        if (!hasLapsed && !_isInactive(page, enrolment)) revert ITasks.StillInGoodStanding(taskId, member);
        _leave(page, suite, taskId, member, true);
    }

    /// @notice Count a validator who accepts the policy and version 0.
    function endorse(Page storage page, address validator, uint64 taskId, bytes32 policyDigest, bytes32 initialState)
        external
    {
        Member memory enrolment = _requireMember(page, taskId, validator);
        if (enrolment.role != Seats.VALIDATOR) revert ITasks.NotEnrolled(taskId, validator);
        if (enrolment.hasEndorsed) revert ITasks.AlreadyEndorsed(taskId, validator);
        if (policyDigest != page.task.policyDigest || initialState != page.task.initialState) {
            revert ITasks.WrongEndorsement(policyDigest, initialState);
        }
        page.members[validator].hasEndorsed = true;
        ++page.status.endorsements;
        emit ITasks.TaskEndorsed(taskId, validator);
    }

    /// @notice Enrol a member under one role.
    function enrol(Page storage page, Suite calldata suite, address member, uint64 taskId, uint8 role) external {
        if (page.status.sponsor == address(0)) revert ITasks.UnknownTask(taskId);
        if (page.status.isClosed) revert ITasks.TaskIsClosed(taskId);
        if (role != Seats.AGENT && role != Seats.VALIDATOR && role != Seats.PROPOSER) {
            revert IAgentRegistry.InvalidRoles(role);
        }
        Member memory enrolment = page.members[member];
        if (enrolment.role != 0 && enrolment.leftAt == 0) revert ITasks.AlreadyEnrolled(taskId, member);
        uint256 epoch = block.timestamp / suite.epochLength;
        Population memory population = page.populations[role].fold(epoch);
        uint256 limit = role == Seats.AGENT ? page.task.maxAgents : Seats.LIMIT;
        if (population.total() >= limit) revert ITasks.TaskFull(taskId, role);
        uint32 activeFrom = uint32(epoch) + ACTIVATION_EPOCHS;
        (enrolment.role, enrolment.activeFrom, enrolment.leftAt) = (role, activeFrom, 0);
        enrolment.hasEndorsed = false;
        ++enrolment.nonce;
        enrolment.place = _takePlace(page, population, member, role);
        page.members[member] = enrolment;
        page.populations[role] = population.add(activeFrom);
        emit ITasks.MemberEnrolled(taskId, member, role, activeFrom);
        bool isDrawable = role == Seats.VALIDATOR && page.task.committee != 0;
        if (isDrawable) {
            DrawKeys.add({
                page: page, suite: suite, taskId: taskId, validator: member, place: enrolment.place, penalties: 0
            });
        }
        suite.agents.addDuty(member, role);
    }

    /// @notice End an enrolment at the member's wish.
    function endEnrolment(Page storage page, Suite calldata suite, uint64 taskId, address member) external {
        _leave(page, suite, taskId, member, false);
    }

    /// @notice Copy a validator's key and stake anew for later draws.
    function refreshDrawKey(Page storage page, Suite calldata suite, uint64 taskId, address validator) external {
        Member memory enrolment = _requireMember(page, taskId, validator);
        if (page.task.committee == 0) revert ITasks.NothingDrawn(taskId);
        if (enrolment.role != Seats.VALIDATOR) revert ITasks.NotEnrolled(taskId, validator);
        bool mayCall = msg.sender == validator || DrawKeys.isOutdated(page, suite, validator, enrolment.place);
        if (!mayCall) revert ITasks.NothingToRefresh(validator);
        uint32 penalties = page.drawKeys[enrolment.place].penalties;
        DrawKeys.remove(page, suite, taskId, enrolment.place);
        DrawKeys.add({
            page: page, suite: suite, taskId: taskId, validator: validator, place: enrolment.place, penalties: penalties
        });
    }

    function _leave(Page storage page, Suite calldata suite, uint64 taskId, address member, bool isDismissed) private {
        Member memory enrolment = _requireMember(page, taskId, member);
        uint256 epoch = block.timestamp / suite.epochLength;
        Population memory population = page.populations[enrolment.role].fold(epoch);
        // A validator who left keeps its vote in the live round; whoever takes its seat is not active before the next.
        if (enrolment.role == Seats.VALIDATOR) population.seats &= ~Seats.bit(enrolment.place);
        if (enrolment.role == Seats.PROPOSER) _removeProposer(page, enrolment.place);
        bool isDrawable = enrolment.role == Seats.VALIDATOR && page.task.committee != 0;
        if (isDrawable) DrawKeys.remove(page, suite, taskId, enrolment.place);
        page.populations[enrolment.role] = population.remove(enrolment.activeFrom, epoch);
        if (enrolment.hasEndorsed) --page.status.endorsements;
        enrolment.hasEndorsed = false;
        enrolment.leftAt = uint40(block.timestamp);
        page.members[member] = enrolment;
        emit ITasks.MemberLeft(taskId, member, isDismissed);
        suite.agents.removeDuty(member);
    }

    function _removeProposer(Page storage page, uint8 index) private {
        address[] storage proposers = page.proposers;
        address last = proposers[proposers.length - 1];
        proposers[index] = last;
        page.members[last].place = index;
        proposers.pop();
    }

    function _takePlace(Page storage page, Population memory population, address member, uint8 role)
        private
        returns (uint8 place)
    {
        if (role == Seats.VALIDATOR) {
            place = Seats.lowestFree(population.seats);
            population.seats |= Seats.bit(place);
        } else if (role == Seats.PROPOSER) {
            place = uint8(page.proposers.length);
            page.proposers.push(member);
        }
    }

    /// @dev A seat that was empty or not yet active in one of the three votes was not silent in it.
    function _isInactive(Page storage page, Member memory enrolment) private view returns (bool) {
        if (enrolment.role != Seats.VALIDATOR) return false;
        if (page.task.committee != 0) return page.drawKeys[enrolment.place].penalties >= MAX_PENALTIES;
        for (uint256 i = 0; i < 3; ++i) {
            Absence memory absence = page.absences[i];
            bool wasSilent = absence.epoch >= enrolment.activeFrom && absence.voted & Seats.bit(enrolment.place) == 0;
            if (!wasSilent) return false;
        }
        return true;
    }

    function _requireMember(Page storage page, uint64 taskId, address member)
        private
        view
        returns (Member memory enrolment)
    {
        enrolment = page.members[member];
        if (enrolment.role == 0 || enrolment.leftAt != 0) revert ITasks.NotEnrolled(taskId, member);
    }
}

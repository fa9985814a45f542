// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Book, Suite} from "../types/Book.sol";
import {Ballot, Outcome, Phase, Proposal, Round, Task, TaskStatus} from "../types/Types.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {Decision, Tallies} from "./Tallies.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Settlement
/// @notice Records what time and counts have decided; a linked library.
library Settlement {
    uint16 private constant WHOLE_BPS = 10_000;
    uint256 private constant MAX_DOUBLINGS = 6;

    /// @notice Settle the newest round of a task, or its vote.
    function settle(Book storage book, Suite memory suite, uint64 taskId) external {
        Phase phase = RoundState.getPhase(book, taskId);
        Task storage task = book.tasks[taskId];
        Ballot memory ballot = book.ballots[taskId];
        Round memory round = book.rounds[taskId];
        if (phase == Phase.Attest && book.submissions[taskId].count < task.minSurvivors) {
            _abort(book, suite, taskId, task, round, Outcome.AbortedTooFew);
        } else if (phase != Phase.Settle) {
            revert IRoundManager.WrongPhase(Phase.Settle, phase);
        } else if (ballot.isLive) {
            _settleVote(book, suite, taskId, task, round, ballot);
        } else {
            Outcome doom = RoundState.getDoom(book, taskId, round);
            _abort(book, suite, taskId, task, round, doom == Outcome.None ? Outcome.AbortedNoProposal : doom);
        }
    }

    function _abort(
        Book storage book,
        Suite memory suite,
        uint64 taskId,
        Task storage task,
        Round memory round,
        Outcome outcome
    ) private {
        TaskStatus storage status = book.status[taskId];
        uint256 doublings = Math.min(status.abortStreak, MAX_DOUBLINGS);
        if (status.abortStreak < type(uint8).max) ++status.abortStreak;
        _end(book, taskId, round, outcome, uint40(block.timestamp + (uint256(task.openDelay) << doublings)));
        suite.rewards.release(taskId, task.roundReserve);
    }

    function _end(Book storage book, uint64 taskId, Round memory round, Outcome outcome, uint40 nextOpenAt) private {
        round.outcome = outcome;
        book.rounds[taskId] = round;
        book.status[taskId].nextOpenAt = nextOpenAt;
        emit IRoundManager.RoundSettled(taskId, round.round, outcome, nextOpenAt);
    }

    function _endWithRewards(
        Book storage book,
        Suite memory suite,
        uint64 taskId,
        Task storage task,
        Round memory round,
        Proposal memory proposal,
        bool isFinal
    ) private {
        book.status[taskId].abortStreak = 0;
        uint40 pause = isFinal ? 0 : task.openDelay;
        _end(
            book, taskId, round, isFinal ? Outcome.Finalized : Outcome.RejectedQuality, uint40(block.timestamp) + pause
        );
        if (isFinal) suite.models.publish(taskId, round.round, proposal.stateDigest, proposal.proposalId);
        suite.rewards
            .publish(
                taskId,
                round.round,
                proposal.rewardRoot,
                proposal.rewardTotal,
                isFinal ? WHOLE_BPS : task.participationBps,
                task.roundReserve,
                task.claimDelay,
                task.claimWindow
            );
    }

    function _settleVote(
        Book storage book,
        Suite memory suite,
        uint64 taskId,
        Task storage task,
        Round memory round,
        Ballot memory ballot
    ) private {
        Decision decision = Tallies.decide(ballot, round.validators);
        uint256 correct = uint256(ballot.approvals) + ballot.worse;
        if (decision == Decision.Open && correct >= Seats.quorum(round.validators)) decision = Decision.Final;
        if (decision == Decision.Open && !ballot.isExtended) {
            ballot.isExtended = true;
            ballot.voteClose = uint40(block.timestamp) + task.voteWindow;
            book.ballots[taskId] = ballot;
            emit IRoundManager.VoteExtended(taskId, round.round, ballot.attempt, ballot.voteClose);
            return;
        }
        Proposal memory proposal = book.proposals[taskId];
        ++ballot.number;
        ballot.isLive = false;
        if (decision == Decision.Wrong) {
            book.members[taskId][proposal.proposer].barredRound = round.round;
            suite.agents.slashBond(proposal.proposer, task.proposalBond);
        } else if (task.proposalBond != 0) {
            suite.agents.releaseBond(proposal.proposer, task.proposalBond);
        }
        bool isNextAttempt = decision == Decision.Wrong || decision == Decision.Void || decision == Decision.Open;
        if (isNextAttempt) _startAttempt(book, suite, taskId, task, round, ballot, decision == Decision.Wrong);
        book.ballots[taskId] = ballot;
        if (decision == Decision.Missing) _abort(book, suite, taskId, task, round, Outcome.AbortedDataLost);
        else if (!isNextAttempt) _endWithRewards(book, suite, taskId, task, round, proposal, decision == Decision.Final);
    }

    function _startAttempt(
        Book storage book,
        Suite memory suite,
        uint64 taskId,
        Task storage task,
        Round memory round,
        Ballot memory ballot,
        bool isProvenWrong
    ) private {
        emit IRoundManager.ProposalVoided(taskId, round.round, ballot.attempt, isProvenWrong);
        ++ballot.attempt;
        if (ballot.attempt == task.maxAttempts) {
            _abort(book, suite, taskId, task, round, Outcome.AbortedNoQuorum);
            return;
        }
        ballot.proposeOpen = uint40(block.timestamp);
        ballot.startRank = uint8(Math.min(uint256(ballot.rank) + 1, task.proposeRanks - 1));
        (ballot.approvals, ballot.worse, ballot.missing, ballot.cast) = (0, 0, 0, 0);
        (ballot.rejectKinds, ballot.topReject, ballot.rank) = (0, 0, 0);
    }
}

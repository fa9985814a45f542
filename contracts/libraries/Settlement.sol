// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Page, Suite} from "../types/Book.sol";
import {Outcome, Phase, TaskStatus} from "../types/Types.sol";
import {Absence, Ballot, Proposal} from "../types/VoteTypes.sol";
import {Ballots} from "./Ballots.sol";
import {DrawBook} from "./DrawBook.sol";
import {RoundBook} from "./RoundBook.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {Decision, Tallies} from "./Tallies.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Settlement
/// @notice Records what time and counts have decided; all state first, then the other contracts.
library Settlement {
    uint16 private constant WHOLE_BPS = 10_000;
    uint256 private constant MAX_DOUBLINGS = 6;

    /// @notice Settle the newest round of a task, or its vote.
    function settle(Page storage page, Suite memory suite, uint64 taskId) internal {
        Phase phase = RoundState.getPhase(page);
        if (phase == Phase.Join) {
            Outcome failure = RoundBook.settleMasked(page, suite, taskId);
            if (failure != Outcome.None) _abort(page, suite, taskId, failure);
        } else if (phase == Phase.Attest && page.submissions.count() < page.task.minSurvivors) {
            _abort(page, suite, taskId, Outcome.AbortedTooFew);
        } else if (phase != Phase.Settle) {
            revert IRoundManager.WrongPhase(Phase.Settle, phase);
        } else if (page.ballot.isLive()) {
            _settleVote(page, suite, taskId);
        } else {
            Outcome doom = RoundState.getDoom(page);
            _abort(page, suite, taskId, doom == Outcome.None ? Outcome.AbortedNoProposal : doom);
        }
    }

    function _abort(Page storage page, Suite memory suite, uint64 taskId, Outcome outcome) private {
        _end(page, taskId, outcome);
        suite.rewards.release(taskId);
    }

    function _end(Page storage page, uint64 taskId, Outcome outcome) private {
        page.round.outcome = outcome;
        uint40 nextOpenAt = uint40(block.timestamp);
        TaskStatus storage status = page.status;
        if (outcome == Outcome.Finalized) {
            // The next round may open at once: what `nextOpenAt` holds has passed.
            if (status.abortStreak != 0) status.abortStreak = 0;
        } else {
            uint8 streak = outcome == Outcome.RejectedQuality ? 0 : status.abortStreak;
            nextOpenAt += uint40(uint256(page.task.openDelay) << Math.min(streak, MAX_DOUBLINGS));
            if (outcome != Outcome.RejectedQuality && streak < type(uint8).max) ++streak;
            (status.abortStreak, status.nextOpenAt) = (streak, nextOpenAt);
        }
        emit IRoundManager.RoundSettled(taskId, page.round.round, outcome, nextOpenAt);
    }

    /// @return decision What the votes say; `Open` at the end of the extension counts as void.
    /// @return isExtended Whether the vote goes on.
    function _conclude(Page storage page, Suite memory suite, uint64 taskId)
        private
        returns (Decision decision, bool isExtended)
    {
        uint256 seats = Seats.count(page.round);
        bool isDrawn = page.round.seats != 0;
        decision = Tallies.decide(page.ballot, seats);
        if (decision != Decision.Open) return (decision, false);
        Ballot memory ballot = page.ballot.unpack();
        // Without a quorum of seats VOTE has no length, and nobody has voted.
        if (isDrawn && ballot.openedAt == ballot.voteClose) return (Decision.Unseated, false);
        bool isCorrect = uint256(ballot.approvals) + ballot.worse >= Seats.quorum(seats);
        if (!isCorrect && !ballot.isExtended) {
            ballot.isExtended = true;
            ballot.voteClose = uint40(block.timestamp) + page.task.voteWindow;
            if (isDrawn) DrawBook.replaceSilent(page, suite, taskId);
            page.ballot = Ballots.pack(ballot);
            emit IRoundManager.VoteExtended(taskId, page.round.round, ballot.attempt, ballot.voteClose);
            return (decision, true);
        }
        if (isDrawn) {
            DrawBook.punishSilent(page, suite);
        } else {
            page.absences[2] = page.absences[1];
            page.absences[1] = page.absences[0];
            page.absences[0] = Absence(uint32(page.round.openedAt / suite.epochLength), ballot.voted);
        }
        return (isCorrect ? Decision.Final : Decision.Void, false);
    }

    function _settleVote(Page storage page, Suite memory suite, uint64 taskId) private {
        (Decision decision, bool isExtended) = _conclude(page, suite, taskId);
        if (isExtended) return;
        Proposal memory proposal = page.proposal;
        uint96 bond = page.terms.proposalBond;
        uint32 round = page.round.round;
        if (decision == Decision.Wrong) page.members[proposal.proposer].barredRound = round;
        Outcome outcome = _close(page, taskId, round, decision);
        if (outcome != Outcome.None) _end(page, taskId, outcome);
        if (decision != Decision.Wrong && bond != 0) suite.agents.releaseBond(proposal.proposer, bond);
        if (outcome == Outcome.Finalized || outcome == Outcome.RejectedQuality) {
            _publish({
                page: page,
                suite: suite,
                taskId: taskId,
                round: round,
                proposal: proposal,
                isFinal: outcome == Outcome.Finalized
            });
        } else if (outcome != Outcome.None) {
            suite.rewards.release(taskId);
        }
        // Last, because it calls the token: whatever that calls in turn finds the round settled.
        if (decision == Decision.Wrong) suite.agents.slashBond(proposal.proposer, bond);
    }

    function _publish(
        Page storage page,
        Suite memory suite,
        uint64 taskId,
        uint32 round,
        Proposal memory proposal,
        bool isFinal
    ) private {
        if (isFinal) {
            suite.models.publish(taskId, round, proposal.stateDigest, proposal.proposalId);
        }
        suite.rewards
            .publish({
                taskId: taskId,
                round: round,
                root: proposal.rewardRoot,
                total: proposal.rewardTotal,
                payoutBps: isFinal ? WHOLE_BPS : page.task.participationBps,
                claimDelay: page.terms.claimDelay,
                claimWindow: page.terms.claimWindow
            });
    }

    /// @return outcome What the decision makes of the round; `None` if a next attempt has begun.
    function _close(Page storage page, uint64 taskId, uint32 round, Decision decision)
        private
        returns (Outcome outcome)
    {
        // The ballot of a round that ends stays as it is: its outcome says that nothing is voted on any more.
        if (decision == Decision.Final) return Outcome.Finalized;
        if (decision == Decision.Worse) return Outcome.RejectedQuality;
        if (decision == Decision.Missing) return Outcome.AbortedDataLost;
        if (decision == Decision.Unseated) return Outcome.AbortedNoCommittee;
        Ballot memory ballot = page.ballot.unpack();
        ballot.isLive = false;
        outcome = _startAttempt(page, taskId, round, ballot, decision == Decision.Wrong);
        page.ballot = Ballots.pack(ballot);
    }

    /// @return outcome `None` unless this was the last attempt.
    function _startAttempt(Page storage page, uint64 taskId, uint32 round, Ballot memory ballot, bool isProvenWrong)
        private
        returns (Outcome outcome)
    {
        emit IRoundManager.ProposalVoided(taskId, round, ballot.attempt, isProvenWrong);
        ++ballot.attempt;
        if (ballot.attempt == page.task.maxAttempts) return Outcome.AbortedNoQuorum;
        ballot.openedAt = uint40(block.timestamp);
        ballot.startRank = uint8(Math.min(uint256(ballot.rank) + 1, page.task.proposeRanks - 1));
        (ballot.approvals, ballot.worse, ballot.missing, ballot.cast) = (0, 0, 0, 0);
        (ballot.rejectKinds, ballot.topReject, ballot.rank, ballot.voted) = (0, 0, 0, 0);
    }
}

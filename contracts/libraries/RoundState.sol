// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Page} from "../types/Book.sol";
import {Mode, Outcome, Phase, Round} from "../types/Types.sol";
import {Ballot} from "../types/VoteTypes.sol";
import {Attestations} from "./Attestations.sol";
import {BallotWord} from "./Ballots.sol";
import {Seats} from "./Seats.sol";

/// @title RoundState
/// @notice What the time and the counts say about a round: phases are derived, never stored.
library RoundState {
    using Attestations for uint256;

    uint256 internal constant LANES = 32;
    /// @dev Length of the last proposing window in secure mode.
    uint256 internal constant LAST_WINDOWS = 10;

    /// @notice Return the phase of the task's newest round.
    function getPhase(Page storage page) internal view returns (Phase) {
        Round storage round = page.round;
        if (round.round == 0) return Phase.None;
        if (round.outcome != Outcome.None) return Phase.Ended;
        // The masked part of a round is elsewhere: `getExactPhase` tells its phases apart.
        if (round.attestClose == 0) return Phase.Join;
        if (block.timestamp < round.submitClose) return Phase.Submit;
        BallotWord ballot = page.ballot;
        if (ballot.isLive()) {
            if (block.timestamp < ballot.openedAt()) return Phase.Seat;
            return block.timestamp < ballot.voteClose() ? Phase.Vote : Phase.Settle;
        }
        if (block.timestamp < round.attestClose) return Phase.Attest;
        if (getDoom(page) != Outcome.None) return Phase.Settle;
        return getRank(page) < page.task.proposeRanks ? Phase.Propose : Phase.Settle;
    }

    /// @notice Return the phase of the task's newest round, with those of the masked part told apart.
    function getExactPhase(Page storage page, IMaskedRounds masked, uint64 taskId) internal view returns (Phase phase) {
        phase = getPhase(page);
        if (phase == Phase.Join) phase = masked.getPhase(taskId);
    }

    /// @notice Return what makes the round fail once ATTEST has closed; `None` if nothing does.
    function getDoom(Page storage page) internal view returns (Outcome) {
        if (getAttesters(page) < Seats.majority(page.round.validators)) return Outcome.AbortedNoAttesters;
        (, uint256 survivors) = getSurvivors(page);
        return survivors < page.task.minSurvivors ? Outcome.AbortedTooFew : Outcome.None;
    }

    /// @notice Return the number of validators who have attested.
    function getAttesters(Page storage page) internal view returns (uint8) {
        return page.counters[0].getAttesters(page.round.round);
    }

    /// @notice Return the rank whose window it is; `proposeRanks` or more once all windows are over.
    /// @dev In secure mode the last window is longer: the sum is revealed already.
    function getRank(Page storage page) internal view returns (uint256 rank) {
        Ballot memory ballot = page.ballot.unpack();
        uint256 opened = ballot.attempt == 0 ? page.round.attestClose : ballot.openedAt;
        rank = ballot.startRank + (block.timestamp - opened) / page.task.proposeWindow;
        if (page.task.mode == Mode.Secure) {
            uint256 last = page.task.proposeRanks - 1;
            if (rank > last && rank < last + LAST_WINDOWS) rank = last;
        }
    }

    /// @notice Return the submissions that a majority of validators hold, 32 per word, and their number.
    function getSurvivors(Page storage page) internal view returns (uint256[] memory words, uint256 count) {
        words = new uint256[]((page.submissions.count() + LANES - 1) / LANES);
        uint256 threshold = Seats.majority(page.round.validators);
        uint32 round = page.round.round;
        for (uint256 group = 0; group < words.length; ++group) {
            words[group] = page.counters[group].atLeast(round, threshold);
            count += Attestations.popcount(words[group]);
        }
    }

    /// @notice Revert unless `round` is the newest round; before the first, round 0 passes and no phase is open.
    function requireRound(Page storage page, uint256 round) internal view {
        uint32 newest = page.round.round;
        if (newest != round) revert IRoundManager.WrongRound(newest, round);
    }
}

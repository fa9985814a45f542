// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Book} from "../types/Book.sol";
import {Ballot, Outcome, Phase, Round} from "../types/Types.sol";
import {Attestations} from "./Attestations.sol";
import {Seats} from "./Seats.sol";

/// @title RoundState
/// @notice What the time and the counts say about a round: phases are derived, never stored.
library RoundState {
    using Attestations for uint256;

    uint256 internal constant LANES = 32;

    /// @notice Return the phase of the task's newest round.
    function getPhase(Book storage book, uint64 taskId) internal view returns (Phase) {
        Round memory round = book.rounds[taskId];
        if (round.round == 0) return Phase.None;
        if (round.outcome != Outcome.None) return Phase.Ended;
        if (block.timestamp < round.submitClose) return Phase.Submit;
        Ballot memory ballot = book.ballots[taskId];
        if (ballot.isLive) return block.timestamp < ballot.voteClose ? Phase.Vote : Phase.Settle;
        if (block.timestamp < round.attestClose) return Phase.Attest;
        if (getDoom(book, taskId, round) != Outcome.None) return Phase.Settle;
        return getRank(book, taskId, round, ballot) < book.tasks[taskId].proposeRanks ? Phase.Propose : Phase.Settle;
    }

    /// @notice Return what makes the round fail once ATTEST has closed; `None` if nothing does.
    function getDoom(Book storage book, uint64 taskId, Round memory round) internal view returns (Outcome) {
        if (round.attesters < Seats.majority(round.validators)) return Outcome.AbortedNoAttesters;
        (, uint256 survivors) = getSurvivors(book, taskId, round);
        return survivors < book.tasks[taskId].minSurvivors ? Outcome.AbortedTooFew : Outcome.None;
    }

    /// @notice Return the rank whose window it is; `proposeRanks` or more once all windows are over.
    function getRank(Book storage book, uint64 taskId, Round memory round, Ballot memory ballot)
        internal
        view
        returns (uint256)
    {
        uint256 opened = ballot.attempt == 0 ? round.attestClose : ballot.proposeOpen;
        return ballot.startRank + (block.timestamp - opened) / book.tasks[taskId].proposeWindow;
    }

    /// @notice Return the submissions that a majority of validators hold, 32 per word, and their number.
    function getSurvivors(Book storage book, uint64 taskId, Round memory round)
        internal
        view
        returns (uint256[] memory words, uint256 count)
    {
        words = new uint256[]((book.submissions[taskId].count + LANES - 1) / LANES);
        uint256 threshold = Seats.majority(round.validators);
        for (uint256 group = 0; group < words.length; ++group) {
            words[group] = book.counters[taskId][group].atLeast(round.round, threshold);
            count += Attestations.popcount(words[group]);
        }
    }

    /// @notice Return the newest round, which must be `round`.
    function requireRound(Book storage book, uint64 taskId, uint32 round) internal view returns (Round memory current) {
        current = book.rounds[taskId];
        if (round == 0 || current.round != round) revert IRoundManager.WrongRound(current.round, round);
    }
}

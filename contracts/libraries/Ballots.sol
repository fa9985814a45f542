// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot} from "../types/VoteTypes.sol";

/// @notice A `Ballot` in one word, from the lowest byte: cast, approvals, worse, missing, topReject, rejectKinds,
/// attempt, startRank, rank, isLive, isExtended (a byte each), voteClose 40, openedAt 40, voted 64.
type BallotWord is uint256;

using Ballots for BallotWord global;

/// @title Ballots
/// @notice Counts votes in one word, so that a bundle reads and writes one slot and no memory.
library Ballots {
    uint256 internal constant CAST = 0;
    uint256 internal constant APPROVALS = 8;
    uint256 internal constant WORSE = 16;
    uint256 internal constant MISSING = 24;
    uint256 internal constant TOP_REJECT = 32;
    uint256 internal constant REJECT_KINDS = 40;
    uint256 private constant ATTEMPT = 48;
    uint256 private constant START_RANK = 56;
    uint256 private constant RANK = 64;
    uint256 private constant IS_LIVE = 72;
    uint256 private constant IS_EXTENDED = 80;
    uint256 private constant VOTE_CLOSE = 88;
    uint256 private constant OPENED_AT = 128;
    uint256 private constant VOTED = 168;

    /// @notice Return the word of a ballot.
    function pack(Ballot memory b) internal pure returns (BallotWord) {
        uint256 counts = (uint256(b.cast) << CAST) | (uint256(b.approvals) << APPROVALS) | (uint256(b.worse) << WORSE)
            | (uint256(b.missing) << MISSING) | (uint256(b.topReject) << TOP_REJECT)
            | (uint256(b.rejectKinds) << REJECT_KINDS);
        uint256 stage = (uint256(b.attempt) << ATTEMPT) | (uint256(b.startRank) << START_RANK)
            | (uint256(b.rank) << RANK) | (b.isLive ? 1 << IS_LIVE : 0) | (b.isExtended ? 1 << IS_EXTENDED : 0);
        uint256 times = (uint256(b.voteClose) << VOTE_CLOSE) | (uint256(b.openedAt) << OPENED_AT);
        return BallotWord.wrap(counts | stage | times | (uint256(b.voted) << VOTED));
    }

    /// @notice Return the ballot of a word.
    function unpack(BallotWord word) internal pure returns (Ballot memory b) {
        b.openedAt = uint40(word.field(OPENED_AT));
        b.voteClose = word.voteClose();
        b.attempt = word.attempt();
        b.startRank = uint8(word.field(START_RANK));
        b.rank = uint8(word.field(RANK));
        b.isLive = word.isLive();
        b.isExtended = uint8(word.field(IS_EXTENDED)) != 0;
        b.approvals = uint8(word.field(APPROVALS));
        b.worse = uint8(word.field(WORSE));
        b.missing = uint8(word.field(MISSING));
        b.cast = uint8(word.field(CAST));
        b.rejectKinds = uint8(word.field(REJECT_KINDS));
        b.topReject = uint8(word.field(TOP_REJECT));
        b.voted = uint64(word.field(VOTED));
    }

    /// @notice Return the word shifted down by `shift`: a field is its lowest bits.
    function field(BallotWord word, uint256 shift) internal pure returns (uint256) {
        return BallotWord.unwrap(word) >> shift;
    }

    /// @notice Return one of the counts.
    function getCount(BallotWord word, uint256 shift) internal pure returns (uint256) {
        return uint8(word.field(shift));
    }

    /// @notice Return the number of the attempt.
    function attempt(BallotWord word) internal pure returns (uint8) {
        return uint8(word.field(ATTEMPT));
    }

    /// @notice Return whether a proposal is being voted on.
    function isLive(BallotWord word) internal pure returns (bool) {
        return uint8(word.field(IS_LIVE)) != 0;
    }

    /// @notice Return when proposing opened or, once a proposal is live, when VOTE opens.
    function openedAt(BallotWord word) internal pure returns (uint40) {
        return uint40(word.field(OPENED_AT));
    }

    /// @notice Return when VOTE closes.
    function voteClose(BallotWord word) internal pure returns (uint40) {
        return uint40(word.field(VOTE_CLOSE));
    }

    /// @notice Return whether the validator at `place` has voted.
    function hasVoted(BallotWord word, uint256 place) internal pure returns (bool) {
        return (BallotWord.unwrap(word) >> (VOTED + place)) & 1 != 0;
    }

    /// @notice Return the word with the votes of `place` more: `weight` seats; `counts` has by how much others rise.
    /// @dev No count exceeds the 64 seats, so none runs over into the next.
    function add(BallotWord word, uint256 place, uint256 weight, uint256 counts) internal pure returns (BallotWord) {
        unchecked {
            uint256 raised = BallotWord.unwrap(word) + (counts | (weight << CAST));
            return BallotWord.wrap(raised | (1 << (VOTED + place)));
        }
    }

    /// @notice Return the word with another time of VOTE's close.
    function withVoteClose(BallotWord word, uint256 time) internal pure returns (BallotWord) {
        uint256 rest = BallotWord.unwrap(word) & ~(uint256(type(uint40).max) << VOTE_CLOSE);
        return BallotWord.wrap(rest | (time << VOTE_CLOSE));
    }

    /// @notice Return the word with other times of VOTE's opening and close.
    function withVoteWindow(BallotWord word, uint256 opens, uint256 closes) internal pure returns (BallotWord) {
        uint256 rest = BallotWord.unwrap(word) & ~(uint256(type(uint40).max) << OPENED_AT);
        return BallotWord.wrap(rest | (opens << OPENED_AT)).withVoteClose(closes);
    }
}

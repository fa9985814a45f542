// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Reason, Verdict} from "../types/Types.sol";
import {Vote} from "../types/VoteTypes.sol";
import {BallotWord, Ballots} from "./Ballots.sol";
import {Seats} from "./Seats.sol";

/// @notice What a ballot's counts say.
/// @dev `Open` means that a remaining vote could still change the result, `Unseated` that too few seats were won.
enum Decision {
    Open,
    Final,
    Worse,
    Wrong,
    Missing,
    Void,
    Unseated
}

/// @title Tallies
/// @notice Counts votes and reads the result off the counts.
library Tallies {
    uint8 private constant APPROVE = uint8(Verdict.Approve);
    uint8 private constant WORSE = uint8(Verdict.Worse);
    uint8 private constant WRONG = uint8(Verdict.Wrong);
    uint8 private constant DATA_MISSING = uint8(Verdict.DataMissing);
    uint8 private constant MAX_REASON = uint8(type(Reason).max);

    /// @notice Return `ballot` with the vote of the `weight` seats at `place`; `rejects` holds a word per distinct
    /// objection.
    function count(
        BallotWord ballot,
        mapping(uint256 kind => uint256) storage rejects,
        uint256 place,
        uint256 weight,
        Vote calldata paper
    ) internal returns (BallotWord) {
        (uint8 verdict, uint8 reason, bytes32 counter) = (paper.verdict, paper.reason, paper.counterContentId);
        if (verdict == WRONG) {
            if (reason == 0 || reason > MAX_REASON || counter == 0) revert IRoundManager.InvalidVote(verdict, reason);
            bytes32 objection = keccak256(abi.encode(reason, counter));
            return ballot.add(place, weight, _countReject(ballot, rejects, objection, weight));
        }
        if (uint256(counter) | reason != 0) revert IRoundManager.InvalidVote(verdict, reason);
        if (verdict == APPROVE) return ballot.add(place, weight, weight << Ballots.APPROVALS);
        if (verdict == WORSE) return ballot.add(place, weight, weight << Ballots.WORSE);
        if (verdict == DATA_MISSING) return ballot.add(place, weight, weight << Ballots.MISSING);
        revert IRoundManager.InvalidVote(verdict, reason);
    }

    /// @notice Return what the counts decide among `seats`.
    function decide(BallotWord ballot, uint256 seats) internal pure returns (Decision) {
        unchecked {
            uint256 quorum = Seats.quorum(seats);
            uint256 remaining = seats - ballot.getCount(Ballots.CAST);
            uint256 worse = ballot.getCount(Ballots.WORSE);
            uint256 correct = ballot.getCount(Ballots.APPROVALS) + worse;
            if (correct >= quorum) {
                if (worse > seats / 2) return Decision.Worse;
                return worse + remaining <= seats / 2 ? Decision.Final : Decision.Open;
            }
            uint256 rejected = ballot.getCount(Ballots.TOP_REJECT);
            if (rejected >= quorum) return Decision.Wrong;
            uint256 missing = ballot.getCount(Ballots.MISSING);
            if (missing >= quorum) return Decision.Missing;
            uint256 best = correct > rejected ? correct : rejected;
            if (missing > best) best = missing;
            return best + remaining < quorum ? Decision.Void : Decision.Open;
        }
    }

    /// @dev The objection's hash and its count share a word: the count is the lowest byte.
    /// @return counts The ballot's counts that rise: the number of kinds, the most votes for one of them.
    function _countReject(
        BallotWord ballot,
        mapping(uint256 kind => uint256) storage rejects,
        bytes32 objection,
        uint256 weight
    ) private returns (uint256 counts) {
        uint256 kind = 0;
        uint256 kinds = ballot.getCount(Ballots.REJECT_KINDS);
        uint256 tally = uint256(objection) & ~uint256(0xff);
        for (; kind < kinds; ++kind) {
            uint256 stored = rejects[kind];
            if ((stored ^ tally) >> 8 == 0) {
                tally = stored;
                break;
            }
        }
        if (kind == kinds) counts |= 1 << Ballots.REJECT_KINDS;
        tally += weight;
        rejects[kind] = tally;
        uint256 top = ballot.getCount(Ballots.TOP_REJECT);
        if (uint8(tally) > top) counts |= (uint8(tally) - top) << Ballots.TOP_REJECT;
    }
}

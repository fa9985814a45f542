// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Ballot, Reason, Verdict, Vote} from "../types/Types.sol";
import {Seats} from "./Seats.sol";

/// @notice What a ballot's counts say.
/// @dev `Open` means that a remaining vote could still change the result.
enum Decision {
    Open,
    Final,
    Worse,
    Wrong,
    Missing,
    Void
}

/// @title Tallies
/// @notice Counts votes and reads the result off the counts.
library Tallies {
    /// @notice Count one vote in `ballot`; `rejects` holds one word per distinct objection.
    function count(Ballot memory ballot, mapping(uint256 kind => uint256) storage rejects, Vote calldata paper)
        internal
    {
        bool isWrong = paper.verdict == Verdict.Wrong;
        bool isWhole = isWrong == (paper.reason != Reason.None) && isWrong == (paper.counterContentId != 0);
        if (paper.verdict == Verdict.None || !isWhole) {
            revert IRoundManager.InvalidVote(paper.verdict, paper.reason);
        }
        ++ballot.cast;
        if (paper.verdict == Verdict.Approve) ++ballot.approvals;
        else if (paper.verdict == Verdict.Worse) ++ballot.worse;
        else if (paper.verdict == Verdict.DataMissing) ++ballot.missing;
        else _countReject(ballot, rejects, keccak256(abi.encode(paper.reason, paper.counterContentId)));
    }

    /// @notice Return what the counts decide among `seats`.
    function decide(Ballot memory ballot, uint256 seats) internal pure returns (Decision) {
        uint256 quorum = Seats.quorum(seats);
        uint256 remaining = seats - ballot.cast;
        uint256 correct = uint256(ballot.approvals) + ballot.worse;
        if (correct >= quorum) {
            if (ballot.worse > seats / 2) return Decision.Worse;
            return ballot.worse + remaining <= seats / 2 ? Decision.Final : Decision.Open;
        }
        if (ballot.topReject >= quorum) return Decision.Wrong;
        if (ballot.missing >= quorum) return Decision.Missing;
        uint256 best = correct > ballot.topReject ? correct : ballot.topReject;
        if (ballot.missing > best) best = ballot.missing;
        return best + remaining < quorum ? Decision.Void : Decision.Open;
    }

    /// @dev The objection's hash and its count share a word: the count is the lowest byte.
    function _countReject(Ballot memory ballot, mapping(uint256 kind => uint256) storage rejects, bytes32 objection)
        private
    {
        uint256 kind = 0;
        uint256 tally = uint256(objection) & ~uint256(0xff);
        for (; kind < ballot.rejectKinds; ++kind) {
            uint256 stored = rejects[kind];
            if ((stored ^ tally) >> 8 == 0) {
                tally = stored;
                break;
            }
        }
        if (kind == ballot.rejectKinds) ++ballot.rejectKinds;
        rejects[kind] = ++tally;
        if (uint8(tally) > ballot.topReject) ballot.topReject = uint8(tally);
    }
}

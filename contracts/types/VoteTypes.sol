// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice The newest vote of a task, in one slot that is reused.
/// @param openedAt When proposing opened for this attempt, zero meaning the close of ATTEST; once a proposal is live,
/// when VOTE opens.
/// @param voteClose When VOTE closes, moved forward once no remaining vote can change the result.
/// @param attempt Number of the attempt, from 0.
/// @param startRank First rank that may propose in this attempt.
/// @param rank Rank under which the live proposal was made.
/// @param isLive Whether a proposal is being voted on.
/// @param isExtended Whether the single extension was used.
/// @param approvals Votes that say correct and good enough.
/// @param worse Votes that say correct, but worse than the parent.
/// @param missing Votes that say data is missing.
/// @param cast All votes, by seats as the three before.
/// @param rejectKinds Number of distinct (reason, counter content) pairs among the `Wrong` votes.
/// @param topReject Most votes for one such pair.
/// @param voted Bitmap of the places whose validators have voted, and of the proposer's own, who may not.
struct Ballot {
    uint40 openedAt;
    uint40 voteClose;
    uint8 attempt;
    uint8 startRank;
    uint8 rank;
    bool isLive;
    bool isExtended;
    uint8 approvals;
    uint8 worse;
    uint8 missing;
    uint8 cast;
    uint8 rejectKinds;
    uint8 topReject;
    uint64 voted;
}

/// @notice Who was seated and silent in a vote whose window ran out.
/// @param epoch Epoch in which the round opened.
/// @param voted Bitmap of the places that were not silent: those without a seat too.
struct Absence {
    uint32 epoch;
    uint64 voted;
}

/// @notice What an auditor found about an earlier vote.
/// @param round Round of the vote.
/// @param attempt Attempt of the vote.
/// @param validator Who voted.
/// @param claimed The tag in its vote.
/// @param found The tag that the work gives.
struct Audit {
    uint32 round;
    uint8 attempt;
    address validator;
    bytes32 claimed;
    bytes32 found;
}

/// @notice The newest proposal of a task; the slots are reused.
/// @param proposalId Binds content, attempt and proposer.
/// @param stateDigest Manifest digest of the proposed model state.
/// @param rewardRoot Merkle root of the proposed rewards.
/// @param proposer Who made it.
/// @param rewardTotal Sum of the proposed rewards.
struct Proposal {
    bytes32 proposalId;
    bytes32 stateDigest;
    bytes32 rewardRoot;
    address proposer;
    uint96 rewardTotal;
}

/// @notice The integer results of a round, as a proposer claims them.
/// @param aggregateRoot sha2-256 of the manifest of the aggregate.
/// @param stateDigest sha2-256 of the manifest of the new model state.
/// @param rewardRoot Merkle root of the rewards.
/// @param rewardTotal Sum of the rewards.
struct Content {
    bytes32 aggregateRoot;
    bytes32 stateDigest;
    bytes32 rewardRoot;
    uint96 rewardTotal;
}

/// @notice A validator's answer to a proposal.
/// @param proposalId The proposal: binds content, attempt and proposer.
/// @param verdict The answer, a `Verdict`. Numbers here, since each use of an enum checks its range again.
/// @param reason What differs, a `Reason`; `None` unless the verdict is `Wrong`.
/// @param counterContentId Content of the validator's own re-execution; zero unless `Wrong`.
/// @param quality Accuracy on the validator's own held-out data, in basis points; a judgement.
/// @param execTag Commitment to an intermediate of the re-execution; zero where the task asks for none.
/// @dev Never stored; the order is that of the signed type.
// solhint-disable-next-line gas-struct-packing
struct Vote {
    bytes32 proposalId;
    uint8 verdict;
    uint8 reason;
    bytes32 counterContentId;
    uint16 quality;
    bytes32 execTag;
}

/// @notice A vote with the validator's EIP-712 signature, for bundles.
/// @param validator Who voted.
/// @param vote The vote.
/// @param r First half of the signature.
/// @param vs Second half, with the parity in its highest bit, as in ERC-2098.
struct SignedVote {
    address validator;
    Vote vote;
    bytes32 r;
    bytes32 vs;
}
